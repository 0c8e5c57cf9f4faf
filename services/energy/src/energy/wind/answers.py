"""Reading what Elexon answers. It is hostile input until it has been read here.

Numbers are read from their text. An answer that is about another day or period, that says a thing
twice, or that holds something of a wrong kind is no answer.
"""

import json
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from energy.domain.settlement import periods_in
from energy.domain.wind import StackRow, energy_of_levels
from energy.wind.fields import (
    Nonsense,
    Row,
    amount,
    as_row,
    bounded,
    check_place,
    decimal,
    enveloped,
    flag,
    integer,
    moment,
    needed,
    pair,
    parsed,
    place,
    rows_in,
    text,
)

_MOST_BODY = 64 * 1024 * 1024
_DAY = timedelta(days=1)
RUNS = ("II", "SF", "R1", "R2", "R3", "RF", "DF")
"""Settlement runs in their order; each knows the meters better than the one before."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A balancing-mechanism unit, as the register has it."""

    bm_unit: str
    national_grid_bm_unit: str | None
    name: str
    lead_party_name: str
    lead_party_id: str | None
    fuel_type: str | None
    bm_unit_type: str | None
    generation_capacity_mw: Decimal | None


@dataclass(frozen=True, slots=True)
class Generation:
    """What wind farms generated in a period on average, in MW."""

    day: date
    period: int
    onshore_mw: Decimal | None
    offshore_mw: Decimal | None
    published_at: datetime | None

    @property
    def total_mw(self) -> Decimal | None:
        """Return both together; None where one of them is not known."""
        if self.onshore_mw is None or self.offshore_mw is None:
            return None
        return self.onshore_mw + self.offshore_mw


@dataclass(frozen=True, slots=True)
class Output:
    """Energy of a unit in a period, in MWh."""

    day: date
    period: int
    bm_unit: str
    mwh: Decimal
    run: str | None = None
    """The settlement run that says so, if one does."""


@dataclass(frozen=True, slots=True)
class Price:
    """The imbalance price of a period in GBP/MWh, and the net imbalance in MWh."""

    period: int
    price: Decimal
    net_imbalance_volume: Decimal | None
    run_stamp: datetime | None


def read_stack(body: bytes, day: date, period: int) -> list[StackRow]:
    """Return the rows of one side of a stack.

    Raises:
        Nonsense: it is not the stack of this period.
    """
    return _stack(rows_in(parsed(body)), day, period)


def stored_stack(packed: bytes, day: date, period: int) -> list[StackRow]:
    """Return the rows of a stack that was read before, and kept: the same, but quicker."""
    body = zlib.decompressobj().decompress(packed, _MOST_BODY)
    try:
        document = json.loads(body, parse_float=Decimal)
    except ValueError:
        # An integer of thousands of digits, in a field that nobody reads, is too long for it.
        document = parsed(body)
    return _stack(document["data"], day, period)


def packed(body: bytes) -> bytes:
    """Return an answer as it is kept."""
    return zlib.compress(body, 1)


def _stack(rows: list[Any], day: date, period: int) -> list[StackRow]:
    read = [_stack_row(as_row(row), day.isoformat(), period) for row in rows]
    if len({row.key for row in read}) < len(read):
        raise Nonsense("a row is there twice")
    return read


def _stack_row(row: Row, day: str, period: int) -> StackRow:
    check_place(row, day, period)
    sequence = row.get("sequenceNumber")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 <= sequence < 2**31:
        raise Nonsense("a row has no sequence number")
    unit = row.get("id")
    return StackRow(
        sequence_number=sequence,
        # Actions outside the mechanism have a number or nothing for an id: never a unit.
        unit=text(unit) if isinstance(unit, str) and not unit.isdigit() else None,
        acceptance_id=integer(row, "acceptanceId"),
        pair_id=pair(row),
        volume_mwh=amount(row, "volume"),
        original_price=amount(row, "originalPrice"),
        final_price=amount(row, "finalPrice", may_be_absent=True),
        so_flag=flag(row, "soFlag"),
        cadl_flag=flag(row, "cadlFlag"),
        stor_flag=flag(row, "storProviderFlag") or flag(row, "storFlag"),
        created_at=moment(row.get("createdDateTime")),
    )


def read_units(body: bytes) -> list[Unit]:
    """Return the units that have an id of Elexon; one told twice (by an alias) counts once.

    What one of its rows leaves out, another may fill in.


    Raises:
        Nonsense: it is no register, or an empty one.
    """
    rows = rows_in(enveloped(parsed(body)))
    if not rows:
        raise Nonsense("the register of units is empty")
    found: dict[str, Row] = {}
    for row in map(as_row, rows):
        unit = text(row.get("elexonBmUnit"))
        if unit is not None:
            filled = {name: value for name, value in row.items() if value not in (None, "")}
            found[unit] = filled | found.get(unit, {})
    return [_unit(unit, row) for unit, row in found.items()]


def _unit(bm_unit: str, row: Row) -> Unit:
    capacity = row.get("generationCapacity")
    return Unit(
        bm_unit=bm_unit,
        national_grid_bm_unit=text(row.get("nationalGridBmUnit")),
        name=text(row.get("bmUnitName")) or bm_unit,
        lead_party_name=text(row.get("leadPartyName")) or "Unknown",
        lead_party_id=text(row.get("leadPartyId")),
        fuel_type=text(row.get("fuelType")),
        bm_unit_type=text(row.get("bmUnitType")),
        generation_capacity_mw=None if capacity is None else decimal(capacity, "capacity"),
    )


def read_generation(body: bytes, first: date, last: date) -> list[Generation]:
    """Return wind generation by period; other types are left out.

    Raises:
        Nonsense: it is not about these days.
    """
    found: dict[tuple[date, int], dict[str, Any]] = {}
    for row in map(as_row, rows_in(parsed(body))):
        kind = {"Wind Onshore": "onshore", "Wind Offshore": "offshore"}.get(str(row.get("psrType")))
        if kind is None:
            continue
        day, period = place(row, first, last)
        one = found.setdefault((day, period), {})
        if kind in one:
            raise Nonsense(f"{day} period {period} is there twice")
        one[kind] = amount(row, "quantity")
        one["at"] = moment(row.get("publishTime"))
    return [
        Generation(day, period, one.get("onshore"), one.get("offshore"), one["at"])
        for (day, period), one in sorted(found.items())
    ]


def read_prices(body: bytes, day: date) -> list[Price]:
    """Return the prices of a day.

    Raises:
        Nonsense: they are not.
    """
    found: dict[int, Price] = {}
    for row in map(as_row, rows_in(parsed(body))):
        _, period = place(row, day, day)
        if period in found:
            raise Nonsense(f"{day} period {period} is there twice")
        price = amount(row, "systemSellPrice")
        if price is not None:
            volume = amount(row, "netImbalanceVolume", may_be_absent=True)
            found[period] = Price(period, price, volume, moment(row.get("createdDateTime")))
    return list(found.values())


def read_notified(body: bytes, day: date) -> list[Output]:
    """Return the energy under the units' physical notifications; a period may have several lines.

    Raises:
        Nonsense: they are not those of this day.
    """
    return _outputs(body, day, _notified)


def read_metered(body: bytes, day: date) -> list[Output]:
    """Return what meters counted; the neighbours' half-hours at the day's edges are left out.

    Raises:
        Nonsense: it is not of this day.
    """
    edges = {(day - _DAY, periods_in(day - _DAY)), (day + _DAY, 1)}
    return _outputs(body, day, lambda row: needed(amount(row, "quantity"), "quantity"), edges)


def _outputs(
    body: bytes,
    day: date,
    energy: Callable[[Row], Decimal],
    edges: Collection[tuple[date, int]] = (),
) -> list[Output]:
    found: dict[tuple[int, str], Output] = {}
    seen: set[tuple[Any, ...]] = set()
    for row in map(as_row, rows_in(enveloped(parsed(body)))):
        told, period = place(row, day - _DAY, day + _DAY)
        if (told, period) in edges:
            continue
        if told != day:
            raise Nonsense(f"a row is about {told}, which was not asked for")
        unit = text(row.get("bmUnit"))
        if unit is None:
            continue
        line = (period, unit, str(row.get("timeFrom")))
        if line in seen:
            raise Nonsense(f"{unit} in period {period} is there twice")
        seen.add(line)
        before = found.get((period, unit))
        mwh = energy(row) + (Decimal() if before is None else before.mwh)
        run = row.get("settlementRunType")
        found[period, unit] = Output(
            day, period, unit, bounded(mwh, "energy"), run if run in RUNS else None
        )
    return list(found.values())


def _notified(row: Row) -> Decimal:
    start, end = moment(row.get("timeFrom")), moment(row.get("timeTo"))
    if start is None or end is None or not 0 < (end - start).total_seconds() <= 1800:  # noqa: PLR2004  (a half-hour)
        raise Nonsense("a notification has no span within a half-hour")
    first = needed(amount(row, "levelFrom"), "levelFrom")
    last = needed(amount(row, "levelTo"), "levelTo")
    return energy_of_levels(first, last, int((end - start).total_seconds()))
