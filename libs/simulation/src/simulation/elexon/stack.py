"""The two stacks of a settlement period: one row per acceptance and bid-offer pair."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np

from simulation.elexon.days import UNITS_DOWN, Britain, Kind, chance
from simulation.elexon.settlement import RUNS, Run, created_at, iso, start_of
from simulation.elexon.units import Unit

PERIOD_MINUTES = 30
MINUTES_INSIDE = np.arange(1, PERIOD_MINUTES)
CADL_MINUTES = 10  # an acceptance shorter than this may be flagged
LEAST_MWH = 0.1  # less than this is no action to the imbalance price
SO_SHARE = 0.92  # of the wind turned down, the part that is for the grid and not for energy
STRANGER = "T_SMGONE-1"  # a unit that the registry does not know


class Side(StrEnum):
    BID = "bid"
    OFFER = "offer"


@dataclass(frozen=True, slots=True)
class Action:
    """One row before it is numbered."""

    unit_id: str | int | None
    acceptance_id: int | None
    pair_id: int | None
    price: float | None
    volume_mwh: float
    so: bool
    cadl: bool | None
    priced: bool = True
    loss: float = 0.0


def stack(britain: Britain, day: date, period: int, side: Side, run: Run) -> list[dict[str, Any]]:
    """Return the rows of a stack as one run issued them, cheapest first."""
    maker = _bids if side is Side.BID else _offers
    number = (day.toordinal(), period, 10 + (side is Side.OFFER))
    rng = britain.rng(*number)
    actions = list(maker(britain, day, period, rng))
    for again in RUNS[1 : RUNS.index(run) + 1]:
        actions = _revised(actions, britain.rng(*number, RUNS.index(again)))
    actions.sort(key=_merit)
    start, created = iso(start_of(day, period)), iso(created_at(day, period, run))
    return [
        {
            "settlementDate": day.isoformat(),
            "settlementPeriod": period,
            "startTime": start,
            "createdDateTime": created,
            "sequenceNumber": number,
            **_told(action),
        }
        for number, action in enumerate(actions, start=1)
    ]


def _bids(britain: Britain, day: date, period: int, rng: np.random.Generator) -> Iterator[Action]:
    plan = britain.day(day)
    wind = britain.registry.wind
    down_mw = plan.down_mw[:, period - 1]
    for index in np.flatnonzero(down_mw):
        first = _acceptance(int(index), day, period)
        yield from _turned_down(rng, wind[index], int(down_mw[index]), first)
    others = 9 + round(UNITS_DOWN[plan.kind] / 6)
    yield from _others(britain, rng, others, -1.0, _acceptance(900, day, period))
    yield from _adjustments(rng, -1.0)
    if plan.kind is Kind.BUSY and chance(rng, 0.3):
        yield _oddity(britain, rng, day, period)


def _turned_down(
    rng: np.random.Generator, unit: Unit, megawatts: int, acceptance: int
) -> Iterator[Action]:
    """Yield a unit's acceptances, which share the half-hour, each of one or two pairs."""
    how_many = 1 + chance(rng, 0.65) + chance(rng, 0.26)
    cuts = sorted(int(minute) for minute in rng.choice(MINUTES_INSIDE, how_many - 1, replace=False))
    for number, (begin, end) in enumerate(pairwise([0, *cuts, PERIOD_MINUTES])):
        so = chance(rng, SO_SHARE)
        first = Action(
            unit_id=unit.elexon_id,
            acceptance_id=acceptance + number,
            pair_id=-1,
            price=unit.bid_price,
            volume_mwh=-megawatts * (end - begin) / 60.0,
            so=so,
            cadl=_cadl(rng, end - begin, so=so),
            priced=not so,
            loss=unit.loss_factor,
        )
        if chance(rng, 0.15):
            deeper = round(unit.bid_price * 1.5 - 4, 2)
            yield replace(first, volume_mwh=first.volume_mwh * 0.75)
            yield replace(first, pair_id=-2, price=deeper, volume_mwh=first.volume_mwh * 0.25)
        else:
            yield first


def _cadl(rng: np.random.Generator, minutes: int, *, so: bool) -> bool | None:
    """Return the short-acceptance flag: unknown on many rows, as the provider has it."""
    if chance(rng, 0.4):
        return None
    return minutes < CADL_MINUTES and (not so or chance(rng, 0.3))


def _offers(britain: Britain, day: date, period: int, rng: np.random.Generator) -> Iterator[Action]:
    plan = britain.day(day)
    busy = UNITS_DOWN[plan.kind] / UNITS_DOWN[Kind.BUSY]
    others = 17 + round(UNITS_DOWN[plan.kind] / 6)
    yield from _others(britain, rng, others, 1.0, _acceptance(950, day, period))
    yield from _adjustments(rng, 1.0)
    for number in range(int(rng.poisson(2.0 * busy))):
        index = int(rng.integers(len(britain.registry.wind)))
        unit = britain.registry.wind[index]
        undone = chance(rng, 0.2)  # an earlier turn-up taken back: below 0 in the offer stack
        yield Action(
            unit_id=unit.elexon_id,
            acceptance_id=_acceptance(index, day, period) + 40 + number,
            pair_id=1,
            price=unit.offer_price,
            volume_mwh=round(float(rng.uniform(0.5, 6.0)) * (-1 if undone else 1), 3),
            so=undone or chance(rng, 0.5),
            cadl=None,
            loss=unit.loss_factor,
        )


def _others(
    britain: Britain, rng: np.random.Generator, how_many: int, sign: float, acceptance: int
) -> Iterator[Action]:
    """Yield what power stations and stores do: for energy mostly, some of it for the grid."""
    others = britain.registry.others
    for number in range(how_many):
        unit = others[int(rng.integers(len(others)))]
        size = float(rng.uniform(0.02, 0.3)) * unit.capacity_mw
        so = chance(rng, 0.35)
        yield Action(
            unit_id=unit.elexon_id,
            acceptance_id=acceptance + number,
            pair_id=int(sign),
            price=unit.bid_price if sign < 0 else unit.offer_price,
            volume_mwh=sign * round(size) * int(rng.integers(3, 31)) / 60.0 or sign * 0.05,
            so=so,
            cadl=_cadl(rng, 12, so=so),
            loss=unit.loss_factor,
        )


def _adjustments(rng: np.random.Generator, sign: float) -> Iterator[Action]:
    """Yield actions outside the mechanism: no acceptance, and for an id a number or nothing."""
    for number in range(int(rng.integers(1, 4))):
        ids: tuple[str | int | None, ...] = (str(number + 1), number + 1, None)
        yield Action(
            unit_id=ids[int(rng.integers(3))],
            acceptance_id=None,
            pair_id=None,
            price=None if chance(rng, 0.3) else round(float(rng.uniform(-40, 120)), 2),
            volume_mwh=sign * round(float(rng.uniform(1, 80)), 3),
            so=chance(rng, 0.7),
            cadl=None,
        )


def _oddity(britain: Britain, rng: np.random.Generator, day: date, period: int) -> Action:
    """Return a wind row that no sum may hold, and that is no fault of the server."""
    index = int(rng.integers(len(britain.registry.wind)))
    unit = britain.registry.wind[index]
    plain = Action(
        unit_id=unit.elexon_id,
        acceptance_id=_acceptance(index, day, period) + 60,
        pair_id=-1,
        price=unit.bid_price,
        volume_mwh=-round(float(rng.uniform(0.5, 9.0)), 3),
        so=True,
        cadl=False,
        loss=unit.loss_factor,
    )
    odd = (
        replace(plain, volume_mwh=0.0),
        replace(plain, volume_mwh=-plain.volume_mwh),
        replace(plain, price=None),
        replace(plain, unit_id=STRANGER),
    )
    return odd[int(rng.integers(len(odd)))]


def _revised(actions: list[Action], rng: np.random.Generator) -> list[Action]:
    """Return a later run's rows: a few volumes corrected, now and then one gone or one more."""
    revised = [
        replace(action, volume_mwh=round(action.volume_mwh * float(rng.uniform(0.96, 1.04)), 3))
        if chance(rng, 0.05)
        else action
        for action in actions
    ]
    if revised and chance(rng, 0.12):
        revised.pop(int(rng.integers(len(revised))))
    if revised and chance(rng, 0.1):
        model = revised[int(rng.integers(len(revised)))]
        if model.acceptance_id is not None:
            added = round(model.volume_mwh * 0.1, 3)
            revised.append(replace(model, acceptance_id=model.acceptance_id + 80, volume_mwh=added))
    return revised


def _acceptance(index: int, day: date, period: int) -> int:
    """Return a number from which a unit's acceptances of a half-hour are counted."""
    return (day.toordinal() % 10_000) * 100_000 + index * 5_000 % 100_000 + period * 100


def _merit(action: Action) -> tuple[float, str, int, int]:
    price = -1e9 if action.price is None else action.price
    return price, str(action.unit_id), action.acceptance_id or 0, action.pair_id or 0


def _told(action: Action) -> dict[str, Any]:
    final = action.price if action.priced else None
    multiplier = 1.0 + action.loss
    adjusted = action.volume_mwh if action.priced else None
    cost = None if adjusted is None or final is None else adjusted * multiplier * final
    return {
        "id": action.unit_id,
        "acceptanceId": action.acceptance_id,
        "bidOfferPairId": action.pair_id,
        "cadlFlag": action.cadl,
        "soFlag": action.so,
        "storProviderFlag": False,
        "repricedIndicator": False,
        "reserveScarcityPrice": 0.0,
        "originalPrice": action.price,
        "volume": action.volume_mwh,
        "dmatAdjustedVolume": action.volume_mwh if abs(action.volume_mwh) >= LEAST_MWH else 0.0,
        "arbitrageAdjustedVolume": adjusted,
        "nivAdjustedVolume": None,
        "parAdjustedVolume": None,
        "finalPrice": final,
        "transmissionLossMultiplier": round(multiplier, 7),
        "tlmAdjustedVolume": None if adjusted is None else adjusted * multiplier,
        "tlmAdjustedCost": cost,
    }
