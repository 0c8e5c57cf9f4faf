"""What machines earn over months: summed by day, as difficulty, subsidy and price move.

Month m of a projection are the days from round(m * 365 / 12) on: twelve of them are a year.
Difficulty changes every 2,016 blocks, 14 days at the expected pace, first 14 days after the start.
The subsidy of a day is the mean over the 144 blocks expected in it, by their height.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from calculator.domain.network import FIRST_SUBSIDY_SAT, HALVING_BLOCKS, RETARGET_BLOCKS
from calculator.domain.profitability import (
    BLOCKS_PER_DAY,
    DAYS_PER_YEAR,
    Column,
    gross_btc_per_day,
)

Places: TypeAlias = NDArray[np.int64]
DAYS_PER_EPOCH = RETARGET_BLOCKS // BLOCKS_PER_DAY
MONTHS_PER_YEAR = 12
_SATOSHIS_PER_BTC = 1e8
_RATES: Column = np.concatenate(
    [np.linspace(-0.95, 1, 391), np.geomspace(1.005, 10, 100)], dtype=np.float64
)
"""Where a rate of return is looked for, per month: -95 % to 1,000 %."""
_HALVINGS_OF_A_ROOT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the network and the price move, beginning with today."""

    days: int
    difficulty: float
    growth_per_epoch: float
    """Fraction of one, after every 14 days."""
    subsidy_btc: float
    """Today's."""
    start_height: int | None
    """Without a height, no halving can be told."""
    fees_btc_per_block: float
    btc_price_usd: Column
    """One for each day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What runs through it: all machines together, every day the same."""

    hashrate_ths: float
    net_share: float
    """What pool fee, stale shares and downtime leave of the income."""
    electricity_usd_per_day: float
    other_opex_usd_per_day: float


@dataclass(frozen=True, slots=True)
class Months:
    """Sums of each month."""

    days: Column
    btc: Column
    revenue_usd: Column
    electricity_usd: Column
    other_opex_usd: Column
    difficulty: Column
    """At the month's end."""
    subsidy_btc: Column
    """Of the month's last block."""

    @property
    def cost_usd(self) -> Column:
        """Electricity and other running costs."""
        return self.electricity_usd + self.other_opex_usd

    @property
    def cash_flow_usd(self) -> Column:
        """Revenue less running costs."""
        return self.revenue_usd - self.cost_usd


def days_of(months: int) -> int:
    """Return how many days so many months have."""
    return int(month_starts(months)[-1])


def month_starts(months: int) -> Places:
    """Return the first day of each month, and the day after the last."""
    return np.round(np.arange(months + 1) * (DAYS_PER_YEAR / MONTHS_PER_YEAR)).astype(np.int64)


def months_of(days: int) -> Places:
    """Return the first day of each month that so many days touch; the last may be cut short."""
    starts = month_starts(days * MONTHS_PER_YEAR // DAYS_PER_YEAR + 1)
    return starts[starts < days]


def difficulty_by_day(days: int, difficulty: float, growth_per_epoch: float) -> Column:
    """Return each day's difficulty: D * (1 + g) ^ (day // 14)."""
    epochs = np.arange(days) // DAYS_PER_EPOCH
    return np.asarray(difficulty * (1 + growth_per_epoch) ** epochs, dtype=np.float64)


def subsidy_by_day(days: int, subsidy_btc: float, start_height: int | None) -> Column:
    """Return each day's mean subsidy a block; it halves where 210,000 divides the height.

    The subsidy of the start is the caller's; without a height it stays.
    """
    if start_height is None:
        return np.full(days, subsidy_btc)
    heights = start_height + np.arange(days * BLOCKS_PER_DAY, dtype=np.int64)
    satoshis = np.right_shift(FIRST_SUBSIDY_SAT, np.minimum(heights // HALVING_BLOCKS, 63))
    created = satoshis.reshape(days, BLOCKS_PER_DAY).mean(axis=1) / _SATOSHIS_PER_BTC
    at_start = float(satoshis[0]) / _SATOSHIS_PER_BTC
    return created if at_start in (0, subsidy_btc) else created * (subsidy_btc / at_start)


def project(operation: Operation, course: Course) -> Months:
    """Return the months of a projection."""
    days = course.days
    difficulty = difficulty_by_day(days, course.difficulty, course.growth_per_epoch)
    subsidy = subsidy_by_day(days, course.subsidy_btc, course.start_height)
    hashrate = np.full(days, operation.hashrate_ths)
    reward = subsidy + course.fees_btc_per_block
    btc = gross_btc_per_day(hashrate, difficulty, reward) * operation.net_share
    starts = months_of(days)
    lengths = np.diff(np.append(starts, days)).astype(np.float64)
    ends = np.append(starts[1:], days) - 1
    return Months(
        days=lengths,
        btc=np.add.reduceat(btc, starts),
        revenue_usd=np.add.reduceat(btc * course.btc_price_usd, starts),
        electricity_usd=lengths * operation.electricity_usd_per_day,
        other_opex_usd=lengths * operation.other_opex_usd_per_day,
        difficulty=difficulty[ends],
        subsidy_btc=subsidy[ends],
    )


def present_value(flows_usd: Column, rate_per_month: float) -> float:
    """Return the value today of flows at the end of each month: sum of flow / (1 + r) ^ m."""
    return float(np.sum(flows_usd * (1 + rate_per_month) ** -np.arange(1.0, len(flows_usd) + 1)))


def rates_of_return(capex_usd: float, flows_usd: Column) -> list[float]:
    """Return every monthly rate at which the flows are worth the capex today.

    Each is bracketed between -95 % and 1,000 % a month, then halved down to. There may be none
    (nothing comes back), or several (flows that turn negative late).
    """
    months = np.arange(1.0, len(flows_usd) + 1)

    def worth(rates: Column) -> Column:
        with np.errstate(over="ignore", invalid="ignore"):
            discounts = (1 + rates[:, np.newaxis]) ** -months
            return (discounts * flows_usd).sum(axis=1) - capex_usd

    above = worth(_RATES) > 0
    found: list[float] = []
    for place in np.flatnonzero(above[:-1] != above[1:]):
        low, high = float(_RATES[place]), float(_RATES[place + 1])
        for _ in range(_HALVINGS_OF_A_ROOT):
            middle = (low + high) / 2
            if bool(worth(np.array([middle]))[0] > 0) == bool(above[place]):
                low = middle
            else:
                high = middle
        found.append((low + high) / 2)
    return found


def payback_month(capex_usd: float, flows_usd: Column) -> int | None:
    """Return the first month by whose end the capex has come back; 0 where there is none."""
    if capex_usd <= 0:
        return 0
    back = np.flatnonzero(np.cumsum(flows_usd) >= capex_usd)
    return int(back[0]) + 1 if len(back) else None


@dataclass(frozen=True, slots=True)
class Grid:
    """The same projection under other prices, power costs and difficulties: price, power, D."""

    cash_flow_usd: Column
    npv_usd: Column
    payback_month: Column
    """NaN where the capex does not come back."""


def sensitivity(
    months: Months,
    *,
    capex_usd: float,
    rate_per_month: float,
    price: Column,
    power: Column,
    difficulty: Column,
) -> Grid:
    """Return the projection at every combination of factors on price, power cost, difficulty.

    Income is proportional to the price and to one part of the difficulty, the power bill to its
    price, so that the months need not be projected again.
    """
    income = price[:, np.newaxis, np.newaxis] / difficulty[np.newaxis, np.newaxis, :]
    flows = (
        income[..., np.newaxis] * months.revenue_usd
        - power[np.newaxis, :, np.newaxis, np.newaxis] * months.electricity_usd
        - months.other_opex_usd
    )
    discounts = (1 + rate_per_month) ** -np.arange(1.0, len(months.days) + 1)
    back = np.cumsum(flows, axis=-1) >= capex_usd
    first = np.where(back.any(axis=-1), back.argmax(axis=-1) + 1.0, np.nan)
    return Grid(
        cash_flow_usd=flows.sum(axis=-1),
        npv_usd=(flows * discounts).sum(axis=-1) - capex_usd,
        payback_month=np.zeros_like(first) if capex_usd <= 0 else first,
    )
