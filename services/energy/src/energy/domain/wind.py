"""Curtailed wind: which stack rows count, what is paid for them, what miners would have made.

Signs, stated here and nowhere else. A stack's volume is negative where a farm is turned down
(MWh; as Elexon sends it, and as `volume` is stored). Curtailed energy is the same, positive.
A payment is volume times original price: positive is paid to the farm, and a farm whose bid has a
positive price pays. The original price is what was submitted; the final price is made for the
imbalance price and pays nobody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal

WIND = "WIND"
Side = Literal["bid", "offer"]
Reason = Literal[
    "no_unit", "unknown_unit", "no_fuel_type", "not_wind", "offer_side", "no_volume",
    "zero_volume", "turned_up", "no_price", "cadl_only",
]  # fmt: skip
"""Why a row of a stack is kept out of the sums."""

HALF_HOUR_S = 1800
HASHES_PER_DIFFICULTY = 2**32
"""By the market's convention; the exact work of a block is 1.5e-5 larger."""
BTC_PLACES = 18
RATE_PLACES = 30
_WIDE = Context(prec=60)


@dataclass(frozen=True, slots=True)
class StackRow:
    """One accepted pair of bid and offer in the stack of a settlement period."""

    sequence_number: int
    unit: str | None
    acceptance_id: int | None
    pair_id: int | None
    volume_mwh: Decimal | None
    original_price: Decimal | None
    final_price: Decimal | None
    so_flag: bool
    cadl_flag: bool
    stor_flag: bool
    created_at: datetime | None

    @property
    def key(self) -> tuple[object, ...]:
        """Return what is unique among the rows of one side of a period, as it is stored."""
        return self.unit, self.acceptance_id or 0, self.pair_id or 0, self.sequence_number

    @property
    def payment_gbp(self) -> Decimal:
        """Return what the farm is paid (see the module about the sign); 0 without a price."""
        return payment(self.volume_mwh or Decimal(), self.original_price or Decimal())


@dataclass(slots=True)
class Sorted:
    """The rows of a stack: those that count, and the numbers of the others by reason."""

    kept: list[StackRow] = field(default_factory=list[StackRow])
    excluded: dict[Reason, list[int]] = field(default_factory=dict[Reason, list[int]])

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows each reason excluded."""
        return Counter({reason: len(rows) for reason, rows in self.excluded.items()})


def payment(volume_mwh: Decimal, original_price: Decimal) -> Decimal:
    """Return what a farm is paid in GBP: volume times original price, positive to the farm."""
    return _WIDE.multiply(volume_mwh, original_price)


def sort_stack(side: Side, rows: Iterable[StackRow], fuel_of: Mapping[str, str | None]) -> Sorted:
    """Tell the accepted bids of wind farms from all other rows.

    fuel_of: the fuel type of every unit that is known. What is kept has still to be told apart by
    its SO flag: only flagged rows count, unless a reader asks for all (`so_flag=any`).
    """
    found = Sorted()
    for row in rows:
        reason = objection(side, row, fuel_of)
        if reason is None:
            found.kept.append(row)
        else:
            found.excluded.setdefault(reason, []).append(row.sequence_number)
    return found


def objection(side: Side, row: StackRow, fuel_of: Mapping[str, str | None]) -> Reason | None:
    """Return why a row does not count, or None if it does."""
    return _unfit_unit(row.unit, fuel_of) or _unfit_row(side, row)


def _unfit_unit(unit: str | None, fuel_of: Mapping[str, str | None]) -> Reason | None:
    if unit is None:
        return "no_unit"
    if unit not in fuel_of:
        return "unknown_unit"
    fuel = fuel_of[unit]
    if fuel == WIND:
        return None
    return "not_wind" if fuel else "no_fuel_type"


def _unfit_row(side: Side, row: StackRow) -> Reason | None:
    if side == "offer":
        return "offer_side"
    if not row.volume_mwh:
        return "no_volume" if row.volume_mwh is None else "zero_volume"
    if row.volume_mwh > 0:
        return "turned_up"
    if row.original_price is None:
        return "no_price"
    return "cadl_only" if row.cadl_flag and not row.so_flag else None


@dataclass(frozen=True, slots=True)
class Mined:
    """What a number of machines would have mined in one half-hour."""

    btc: Decimal
    miners: Decimal
    hashrate_ths: Decimal


def btc(
    mwh: Decimal,
    hashrate_ths: Decimal,
    power_w: Decimal,
    difficulty: Decimal,
    subsidy_btc: Decimal,
    *,
    whole_miners: bool = False,
) -> Mined:
    """Return what machines would mine with the energy of one half-hour, running all of it.

    Linear in the energy, as machines can be told to run for a part of the half-hour; with
    `whole_miners`, only as many machines as the energy feeds for the whole of it.
    """
    miners = Fraction(mwh) * 10**6 * 3600 / (Fraction(power_w) * HALF_HOUR_S)
    if whole_miners:
        miners = Fraction(miners.numerator // miners.denominator)
    hashrate = miners * Fraction(hashrate_ths)
    mined = hashrate * _per_ths(difficulty, subsidy_btc)
    return Mined(
        btc=_decimal(mined, RATE_PLACES),
        miners=_decimal(miners, BTC_PLACES),
        hashrate_ths=_decimal(hashrate, BTC_PLACES),
    )


def btc_per_mwh(
    hashrate_ths: Decimal, power_w: Decimal, difficulty: Decimal, subsidy_btc: Decimal
) -> Decimal:
    """Return what a machine mines with one MWh; bitcoin is linear in the energy."""
    return btc(Decimal(1), hashrate_ths, power_w, difficulty, subsidy_btc).btc


def energy_of_levels(from_mw: Decimal, to_mw: Decimal, seconds: int) -> Decimal:
    """Return the MWh under a straight line between two levels of power."""
    return _WIDE.divide((from_mw + to_mw) * seconds, Decimal(7200))


def _per_ths(difficulty: Decimal, subsidy_btc: Decimal) -> Fraction:
    """Return the bitcoin of one TH/s in a half-hour."""
    hashes = 10**12 * HALF_HOUR_S
    return hashes * Fraction(subsidy_btc) / (Fraction(difficulty) * HASHES_PER_DIFFICULTY)


def _decimal(exact: Fraction, places: int) -> Decimal:
    """Return a fraction rounded half-even to a number of places."""
    scaled = round(exact * 10**places)
    return _WIDE.scaleb(Decimal(scaled), -places)
