"""What units notify and are metered at, generation by type, and the system's prices."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import numpy as np

from simulation.elexon.days import Britain
from simulation.elexon.settlement import (
    HALF_HOUR,
    RUNS,
    Run,
    created_at,
    iso,
    start_of,
)
from simulation.elexon.units import Unit

Row = dict[str, Any]
OTHER_LOAD = {"CCGT": 0.5, "BIOMASS": 0.7, "NUCLEAR": 0.9, "NPSHYD": 0.4}
FUELS_MW = {"CCGT": 9000, "NUCLEAR": 4200, "BIOMASS": 2100, "NPSHYD": 320, "PS": -150, "OCGT": 3}


def notifications(
    britain: Britain, day: date, period: int, wanted: frozenset[str], dataset: str = "PN"
) -> list[Row]:
    """Return what units said beforehand that they would give, in whole megawatts."""
    start, end = iso(start_of(day, period)), iso(start_of(day, period + 1))
    return [
        {
            "dataset": dataset,
            "settlementDate": day.isoformat(),
            "settlementPeriod": period,
            "timeFrom": start,
            "timeTo": end,
            "levelFrom": level,
            "levelTo": next_level,
            "nationalGridBmUnit": unit.national_id,
            "bmUnit": unit.elexon_id,
        }
        for unit, level, next_level in _levels(britain, day, period)
        if _is_wanted(unit, wanted)
    ]


def metered(
    britain: Britain, day: date, period: int, wanted: frozenset[str], run: Run
) -> list[Row]:
    """Return what the meters counted, in MWh; nothing before the first settlement run."""
    if run is Run.INDICATIVE:
        return []
    plan = britain.day(day)
    rng = britain.rng(day.toordinal(), period, 20)
    noise = rng.normal(1.0, 0.015, len(britain.registry.wind) + len(britain.registry.others))
    later = 1.0 + 0.001 * (RUNS.index(run) - 1)
    down_mwh = [*(plan.down_mw[:, period - 1] / 2.0), *([0.0] * len(britain.registry.others))]
    return [
        {
            "dataset": "B1610",
            "psrType": "Generation",
            "bmUnit": unit.elexon_id,
            "nationalGridBmUnitId": unit.national_id,
            "settlementDate": day.isoformat(),
            "settlementPeriod": period,
            "halfHourEndTime": iso(start_of(day, period + 1)).removesuffix("Z"),
            "settlementRunType": run.value,
            "quantity": _quantity(level / 2.0 - float(down), factor * later),
        }
        for (unit, level, _), down, factor in zip(
            _levels(britain, day, period), down_mwh, noise.tolist(), strict=True
        )
        if _is_wanted(unit, wanted)
    ]


def by_type(britain: Britain, day: date, periods: Iterable[int], dataset: str | None) -> list[Row]:
    """Return wind on land, wind at sea and sunshine of each period, in megawatts."""
    rows: list[Row] = []
    for period in periods:
        for psr, business, quantity in _types_mw(britain, day, period):
            row: Row = {
                "publishTime": iso(created_at(day, period, Run.INDICATIVE) + HALF_HOUR),
                "businessType": business,
                "psrType": psr,
                "quantity": quantity,
                "startTime": iso(start_of(day, period)),
                "settlementDate": day.isoformat(),
                "settlementPeriod": period,
            }
            rows.append(row if dataset is None else {"dataset": dataset, **row})
    return rows


def by_fuel(
    britain: Britain, day: date, periods: Iterable[int], wanted: frozenset[str]
) -> list[Row]:
    """Return generation by fuel of each period, in whole megawatts."""
    rows: list[Row] = []
    for period in periods:
        wind = round(
            sum(
                quantity
                for _, business, quantity in _types_mw(britain, day, period)
                if business == "Wind generation"
            )
        )
        demand = 1.0 + 0.2 * float(np.sin((period - 16) / 48 * 2 * np.pi))
        fuels = {"WIND": wind, **{name: round(level * demand) for name, level in FUELS_MW.items()}}
        rows.extend(
            {
                "dataset": "FUELHH",
                "publishTime": iso(start_of(day, period + 1)),
                "startTime": iso(start_of(day, period)),
                "settlementDate": day.isoformat(),
                "settlementPeriod": period,
                "fuelType": name,
                "generation": level,
            }
            for name, level in fuels.items()
            if not wanted or name in wanted
        )
    return rows


def system_prices(britain: Britain, day: date, periods: Iterable[int], run: Run) -> list[Row]:
    """Return each period's price of imbalance: buying and selling cost the same since 2015."""
    rows: list[Row] = []
    for period in periods:
        rng = britain.rng(day.toordinal(), period, 30)
        wind = float(britain.day(day).down_mw[:, period - 1].sum())
        price = round(
            72.0
            + 28.0 * float(np.sin((period - 20) / 48 * 2 * np.pi))
            - wind / 60.0
            + float(rng.normal(0, 12)),
            2,
        )
        imbalance = float(rng.normal(0, 180))
        rows.append(
            {
                "settlementDate": day.isoformat(),
                "settlementPeriod": period,
                "startTime": iso(start_of(day, period)),
                "createdDateTime": iso(created_at(day, period, run)),
                "systemSellPrice": price,
                "systemBuyPrice": price,
                "bsadDefaulted": False,
                "priceDerivationCode": "N" if imbalance < 0 else "P",
                "reserveScarcityPrice": 0.0,
                "netImbalanceVolume": imbalance,
                "sellPriceAdjustment": 0.0,
                "buyPriceAdjustment": 0.0,
                "replacementPrice": None,
                "replacementPriceReferenceVolume": None,
                "totalAcceptedOfferVolume": abs(imbalance) + 200.0,
                "totalAcceptedBidVolume": -wind / 2.0 - 60.0,
                "totalAdjustmentSellVolume": 0.0,
                "totalAdjustmentBuyVolume": 0.0,
                "totalSystemTaggedAcceptedOfferVolume": abs(imbalance),
                "totalSystemTaggedAcceptedBidVolume": -wind / 2.0,
                "totalSystemTaggedAdjustmentSellVolume": None,
                "totalSystemTaggedAdjustmentBuyVolume": None,
            }
        )
    return rows


def _levels(britain: Britain, day: date, period: int) -> Iterator[tuple[Unit, int, int]]:
    """Yield every unit with its level at the begin and at the end of a period."""
    plan = britain.day(day)
    here = plan.output_mw[:, period - 1]
    there = plan.output_mw[:, min(period, plan.periods - 1)]
    for unit, level, next_level in zip(britain.registry.wind, here, there, strict=True):
        yield unit, int(level), int(next_level)
    for unit in britain.registry.others:
        level = round(unit.capacity_mw * OTHER_LOAD.get(unit.fuel or "", 0.0))
        yield unit, level, level


def _types_mw(britain: Britain, day: date, period: int) -> Iterator[tuple[str, str, float]]:
    plan = britain.day(day)
    given = plan.output_mw[:, period - 1] - plan.down_mw[:, period - 1]
    at_sea = np.array([unit.offshore for unit in britain.registry.wind])
    yield "Wind Onshore", "Wind generation", float(given[~at_sea].sum()) + 0.414
    yield "Wind Offshore", "Wind generation", float(given[at_sea].sum()) + 0.834
    sunshine = max(0.0, float(np.sin((period - 15) / 48 * 2 * np.pi)))
    yield "Solar", "Solar generation", round(5200.0 * sunshine, 3)


def _quantity(megawatt_hours: float, factor: float) -> float:
    """Return a metered figure; a station that stands still draws a little."""
    return round(megawatt_hours * factor, 3) if megawatt_hours > 0 else -0.124


def _is_wanted(unit: Unit, wanted: frozenset[str]) -> bool:
    return not wanted or unit.elexon_id in wanted
