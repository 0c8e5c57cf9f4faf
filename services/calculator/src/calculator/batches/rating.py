"""The calculation of a batch: checked columns, nameplates and the market become figures."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from calculator.batches.columns import ELECTRICITY, RowFault, Table
from calculator.calculations.limits import LIMITS, MARKET
from calculator.calculations.nameplates import Nameplate
from calculator.calculations.rounding import PLACES, rounded_column
from calculator.calculations.schemas import Input
from calculator.domain.naming import fold
from calculator.domain.profitability import Column, Profitability, Scenarios, profitability
from calculator.tariffs.pricing import FIELDS, INSTEAD, Answer, Answers, Unpriced, Wanted

_ECHOED = ("hashrate_ths", "power_w", "count", "electricity_usd_per_kwh", "capex_usd")
"""Inputs that are repeated beside a row's figures."""
TOTALS = (
    "btc_per_day",
    "revenue_usd_per_day",
    "energy_kwh_per_day",
    "cost_usd_per_day",
    "profit_usd_per_day",
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch, or a part of one, calculated: columns of figures, and the faults by row."""

    length: int
    labels: list[str | None]
    models: list[str | None]
    figures: dict[str, list[float | None]]
    faults: dict[int, RowFault]

    def totals(self) -> dict[str, float]:
        """Return the sums over the good rows, and how many there are."""
        sums = {
            name: sum(value for value in self.figures[name] if value is not None) for name in TOTALS
        }
        return sums | {"succeeded": self.length - len(self.faults), "failed": len(self.faults)}


def needs_market(table: Table) -> bool:
    """Return whether any good row leaves something for the market to say."""
    good = _good(table)
    closed = [name for name in MARKET if LIMITS[name].default is None]
    return any(bool(np.isnan(table.numbers[name][good]).any()) for name in closed)


def settle(table: Table, plates: Mapping[str, Nameplate], answers: Answers) -> None:
    """Fill in what the models say and what tariffs cost; set the rows aside that are not clear."""
    _resolve_machines(table, plates)
    _resolve_electricity(table, answers)


def answered(table: Table, market: Mapping[str, Input]) -> Answered:
    """Calculate all rows of a settled table at once; the market is empty where none needs it."""
    _resolve_market(table, market)
    for name, limit in LIMITS.items():
        if limit.default is not None:
            _fill(table.numbers[name], limit.default)
    found = profitability(_scenarios(table))
    bad = ~_good(table)
    figures = {name: rounded_column(_blank(table.numbers[name], bad), 9) for name in _ECHOED}
    for one in fields(Profitability):
        figures[one.name] = rounded_column(_blank(getattr(found, one.name), bad), PLACES[one.name])
    return Answered(
        table.length, table.texts["label"], table.texts["model"], figures, dict(table.faults)
    )


def _good(table: Table) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    good = np.ones(table.length, dtype=np.bool_)
    good[list(table.faults)] = False
    return good


def _blank(values: Column, bad: "np.ndarray[Any, np.dtype[np.bool_]]") -> Column:
    return np.where(bad, np.nan, values)


def _fill(values: Column, value: "float | Column") -> None:
    """Put a value where a row says nothing."""
    np.copyto(values, value, where=np.isnan(values))


def _resolve_machines(table: Table, plates: Mapping[str, Nameplate]) -> None:
    names = table.texts["model"]
    printed = {name: np.full(table.length, np.nan) for name in ("hashrate_ths", "power_w")}
    prices = np.full(table.length, np.nan)
    for row, name in enumerate(names):
        if name is None:
            continue
        plate = plates.get(fold(name))
        if plate is None:
            detail = f"There is no miner model {name!r}."
            table.refuse(row, "model", "miner_model_not_found", detail)
            continue
        names[row] = plate.name
        printed["hashrate_ths"][row], printed["power_w"][row] = plate.hashrate_ths, plate.power_w
        if plate.reference_price_usd is not None:
            prices[row] = plate.reference_price_usd
    for name, values in printed.items():
        _fill(table.numbers[name], values)
    _fill(table.numbers["capex_usd"], prices)
    unclear = np.isnan(table.numbers["hashrate_ths"]) | np.isnan(table.numbers["power_w"])
    detail = "Give a model, or hashrate_ths and power_w."
    table.refuse_where(unclear, "model", "machine_unclear", detail)


def _resolve_electricity(table: Table, answers: Answers) -> None:
    per_kwh = table.numbers["electricity_usd_per_kwh"]
    said = (~np.isnan(per_kwh)).astype(np.int64)
    for name in FIELDS:
        for row, cell in enumerate(table.texts[name]):
            if cell is not None:
                said[row] += 1
                _fill_in(table, row, name, answers[Wanted(name, cell)])
    ways = ", ".join(ELECTRICITY)
    for wrong, detail in ((said > 1, f"Give only one of {ways}."), (said == 0, f"Give {ways}.")):
        table.refuse_where(wrong, ELECTRICITY[0], "electricity_unclear", detail)


def _fill_in(table: Table, row: int, name: str, answer: Answer) -> None:
    """Put a tariff's price into a row, or say why there is none."""
    if isinstance(answer, Unpriced):
        table.refuse(row, name, answer.code, answer.detail)
    elif answer.currency != "USD":
        detail = f"The tariff is in {answer.currency}. {INSTEAD}"
        table.refuse(row, name, "currency_unknown", detail)
    elif np.isnan(table.numbers["electricity_usd_per_kwh"][row]):
        table.numbers["electricity_usd_per_kwh"][row] = answer.per_kwh


def _resolve_market(table: Table, market: Mapping[str, Input]) -> None:
    open_rows = np.zeros(table.length, dtype=np.bool_)
    for name in MARKET:
        if LIMITS[name].default is None:
            open_rows |= np.isnan(table.numbers[name])
    for name in MARKET:
        value = market[name].value if market else None
        if value is not None:
            quoted = np.where(open_rows, float(value), np.nan)
            _fill(table.numbers[name], quoted)


def _scenarios(table: Table) -> Scenarios:
    numbers = table.numbers
    count = numbers["count"]
    return Scenarios(
        hashrate_ths=numbers["hashrate_ths"] * count,
        power_w=numbers["power_w"] * count,
        electricity_usd_per_kwh=numbers["electricity_usd_per_kwh"],
        btc_price_usd=numbers["btc_price_usd"],
        difficulty=numbers["difficulty"],
        reward_btc=numbers["subsidy_btc"] + numbers["fees_btc_per_block"],
        pool_fee=numbers["pool_fee_percent"] / 100,
        uptime=numbers["uptime_percent"] / 100,
        stale=numbers["stale_percent"] / 100,
        other_opex_usd_per_day=numbers["other_opex_usd_per_day"] * count,
        capex_usd=numbers["capex_usd"] * count,
    )
