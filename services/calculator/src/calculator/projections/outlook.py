"""The projection: from a request to months, and to a grid of what could be otherwise."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from calculator.calculations.basis import Basis, basis_of, stated
from calculator.calculations.rating import scenario_of
from calculator.calculations.rounding import BTC_PLACES, USD_PLACES, plain
from calculator.calculations.schemas import Input
from calculator.domain.network import subsidy_btc
from calculator.domain.profitability import Column, net_share, profitability
from calculator.domain.projection import (
    Course,
    Months,
    Operation,
    days_of,
    months_of,
    payback_month,
    present_value,
    project,
    rates_of_return,
    sensitivity,
)
from calculator.history import archive
from calculator.projections.schemas import (
    Cell,
    Month,
    Projection,
    ProjectionRequest,
    Sensitivity,
    SensitivityRequest,
)
from common.auth import Principal
from common.errors import Invalid
from common.runtime import Runtime

_DEFAULT_MONTHS = 12


class HorizonUnclear(Invalid):
    title: ClassVar[str] = "The length of the projection is not clear"


class PricePathUnclear(Invalid):
    title: ClassVar[str] = "The price path does not fit the projection"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The months of a projection with everything that they were made from."""

    basis: Basis
    course: Course
    months: Months
    inputs: dict[str, Input]
    warnings: list[str]

    @property
    def capex_usd(self) -> float | None:
        """What all machines cost."""
        one = self.basis.capex_usd
        return None if one is None else one * self.basis.count


async def outlook(runtime: Runtime, caller: Principal, asked: ProjectionRequest) -> Outlook:
    """Return the months of a projection.

    Raises:
        HorizonUnclear: both days and months.
        PricePathUnclear: the path has neither a price for each month nor one for each day.
        Problem: what `basis_of` raises.
    """
    days = _days(asked)
    basis = await basis_of(runtime, caller, asked, _derived(asked))
    height, warnings = _height(asked, basis)
    course = Course(
        days=days,
        difficulty=basis.number("difficulty"),
        growth_per_epoch=asked.difficulty_growth_percent_per_epoch / 100,
        subsidy_btc=basis.number("subsidy_btc"),
        start_height=height,
        fees_btc_per_block=basis.number("fees_btc_per_block"),
        btc_price_usd=_prices(asked, days, basis.number("btc_price_usd")),
    )
    row = scenario_of(basis)
    today = profitability(row)
    operation = Operation(
        hashrate_ths=float(row.hashrate_ths[0]),
        net_share=float(net_share(row.pool_fee, row.stale, row.uptime)[0]),
        electricity_usd_per_day=float(today.electricity_usd_per_day[0]),
        other_opex_usd_per_day=float(row.other_opex_usd_per_day[0]),
    )
    warnings = [*basis.warnings, *warnings]
    inputs = dict(basis.inputs) | _stated(asked, days, height)
    return Outlook(basis, course, project(operation, course), inputs, warnings)


async def answer(runtime: Runtime, caller: Principal, asked: ProjectionRequest) -> Projection:
    """Project, and keep the result for a user; raises as `outlook`."""
    found = projection_of(await outlook(runtime, caller, asked), asked)
    entry_id = await archive.keep_apart(
        runtime,
        caller,
        "projection",
        title_of(found),
        summary=found.model_dump(include={"btc_total", "npv_usd", "payback_month"}),
        request=asked,
        result=found,
    )
    return found if entry_id is None else found.model_copy(update={"id": entry_id})


def projection_of(found: Outlook, asked: ProjectionRequest) -> Projection:
    """Return a projection as it leaves."""
    months, capex = found.months, found.capex_usd
    flows = months.cash_flow_usd
    rate, reason = _rate_of_return(capex, flows)
    back = None if capex is None else payback_month(capex, flows) or _never(capex)
    return Projection(
        id=None,
        model=found.basis.model,
        count=found.basis.count,
        days=found.course.days,
        btc_total=plain(float(months.btc.sum()), BTC_PLACES),
        revenue_usd=plain(float(months.revenue_usd.sum()), USD_PLACES),
        cost_usd=plain(float(months.cost_usd.sum()), USD_PLACES),
        cash_flow_usd=plain(float(flows.sum()), USD_PLACES),
        months=_months(months, capex, asked.depreciation_months),
        capex_usd=capex,
        npv_usd=plain(
            present_value(flows, asked.discount_percent_per_month / 100) - (capex or 0), USD_PLACES
        ),
        irr_percent_per_month=rate,
        irr_reason=reason,
        payback_month=back,
        inputs=found.inputs,
        warnings=found.warnings,
    )


def title_of(found: Projection) -> str:
    """Return how a projection is called in a list."""
    machine = found.model or f"{found.inputs['hashrate_ths'].value:,g} TH/s"
    kind = machine if found.count == 1 else f"{found.count:,} x {machine}"
    return f"{kind}, {found.days:,} days"


def grid_of(found: Outlook, asked: SensitivityRequest) -> Sensitivity:
    """Return a projection under all combinations."""
    axes = (
        asked.price_change_percent,
        asked.electricity_change_percent,
        asked.difficulty_change_percent,
    )
    price, power, difficulty = (1 + np.array(axis) / 100 for axis in axes)
    capex = found.capex_usd
    grid = sensitivity(
        found.months,
        capex_usd=capex or 0,
        rate_per_month=asked.discount_percent_per_month / 100,
        price=price,
        power=power,
        difficulty=difficulty,
    )
    cells = zip(
        itertools.product(*axes),
        grid.cash_flow_usd.ravel().tolist(),
        grid.npv_usd.ravel().tolist(),
        grid.payback_month.ravel().tolist(),
        strict=True,
    )
    return Sensitivity(
        days=found.course.days,
        cells=[_cell(found, *cell) for cell in cells],
        inputs=found.inputs,
        warnings=found.warnings,
    )


def _cell(
    found: Outlook,
    changes: tuple[float, float, float],
    cash_flow: float,
    npv: float,
    back: float,
) -> Cell:
    price, power, difficulty = changes
    basis = found.basis
    payback: int | Literal["never"] = "never" if np.isnan(back) else int(back)
    return Cell(
        price_change_percent=price,
        electricity_change_percent=power,
        difficulty_change_percent=difficulty,
        btc_price_usd=plain(basis.number("btc_price_usd") * (1 + price / 100), USD_PLACES),
        electricity_usd_per_kwh=plain(
            basis.number("electricity_usd_per_kwh") * (1 + power / 100), USD_PLACES
        ),
        difficulty=plain(basis.number("difficulty") * (1 + difficulty / 100), USD_PLACES),
        cash_flow_usd=plain(cash_flow, USD_PLACES),
        npv_usd=plain(npv, USD_PLACES),
        payback_month=None if found.capex_usd is None else payback,
    )


def _days(asked: ProjectionRequest) -> int:
    if asked.days is not None and asked.months is not None:
        raise HorizonUnclear("Give days or months, not both.", field="months")
    return asked.days or days_of(asked.months or _DEFAULT_MONTHS)


def _derived(asked: ProjectionRequest) -> dict[str, Input]:
    """Return the figures that follow from a path or a height, where they are not given."""
    derived: dict[str, Input] = {}
    if asked.price_path is not None:
        derived["btc_price_usd"] = stated(asked.price_path[0], "given")
    if asked.start_height is not None:
        derived["subsidy_btc"] = stated(float(subsidy_btc(asked.start_height)), "start_height")
    return derived


def _height(asked: ProjectionRequest, basis: Basis) -> tuple[int | None, list[str]]:
    """Return the height at the start, and a warning where no halving can be told."""
    quoted = basis.quoted.market.height if basis.quoted is not None else None
    height = quoted if asked.start_height is None else asked.start_height
    if height is None:
        return None, [
            "No halving is reckoned with: the height is not known. Give start_height to have it."
        ]
    return height, []


def _prices(asked: ProjectionRequest, days: int, today: float) -> Column:
    if asked.price_path is None:
        return np.full(days, today)
    path: Column = np.array(asked.price_path, dtype=np.float64)
    starts = months_of(days)
    if len(path) == days:
        return path
    if len(path) == len(starts):
        return np.repeat(path, np.diff(np.append(starts, days)))
    raise PricePathUnclear(
        f"The path has {len(path)} prices; give one for each of {len(starts)} months or one for "
        f"each of {days} days.",
        field="price_path",
    )


def _stated(asked: ProjectionRequest, days: int, height: int | None) -> dict[str, Input]:
    given = asked.model_fields_set

    def said(name: str, value: float | None) -> Input:
        return stated(value, "given" if name in given else "default")

    source = "given" if asked.start_height is not None else "unknown" if height is None else "tip"
    return {
        "days": stated(days, "given" if given & {"days", "months"} else "default"),
        "difficulty_growth_percent_per_epoch": said(
            "difficulty_growth_percent_per_epoch", asked.difficulty_growth_percent_per_epoch
        ),
        "discount_percent_per_month": said(
            "discount_percent_per_month", asked.discount_percent_per_month
        ),
        "depreciation_months": said("depreciation_months", asked.depreciation_months),
        "start_height": stated(height, source),
    }


def _rate_of_return(capex: float | None, flows: Column) -> tuple[float | None, str | None]:
    if not capex:
        return None, "Without a capex there is nothing to return."
    rates = rates_of_return(capex, flows)
    if len(rates) == 1:
        return plain(rates[0] * 100, USD_PLACES), None
    if rates:
        return None, "Several rates fit, as the cash flow changes its sign more than once."
    return None, "No rate between -95 % and 1,000 % a month makes the cash flows worth the capex."


def _never(capex: float) -> int | Literal["never"]:
    return "never" if capex > 0 else 0


def _months(months: Months, capex: float | None, over: int | None) -> list[Month]:
    cumulative = np.cumsum(months.cash_flow_usd) - (capex or 0)
    columns: dict[str, tuple[Column, int]] = {
        "btc": (months.btc, BTC_PLACES),
        "revenue_usd": (months.revenue_usd, USD_PLACES),
        "electricity_usd": (months.electricity_usd, USD_PLACES),
        "cost_usd": (months.cost_usd, USD_PLACES),
        "cash_flow_usd": (months.cash_flow_usd, USD_PLACES),
        "cumulative_usd": (cumulative, USD_PLACES),
        "difficulty": (months.difficulty, USD_PLACES),
        "subsidy_btc": (months.subsidy_btc, BTC_PLACES),
    }
    written_off = (capex or 0) / over if over else 0.0
    rows: list[Month] = []
    for place in range(len(months.days)):
        off = written_off if over and place < over else 0.0
        left = None if capex is None else capex - written_off * min(place + 1, over or 0)
        figures: dict[str, Any] = {
            name: plain(float(column[place]), places) for name, (column, places) in columns.items()
        }
        rows.append(
            Month(
                month=place + 1,
                days=int(months.days[place]),
                depreciation_usd=plain(off, USD_PLACES),
                profit_usd=plain(float(months.cash_flow_usd[place]) - off, USD_PLACES),
                book_value_usd=None if left is None else plain(left, USD_PLACES),
                **figures,
            )
        )
    return rows
