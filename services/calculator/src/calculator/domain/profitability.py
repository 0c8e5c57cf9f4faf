"""What machines earn and cost in a day: numpy over columns, one row per machine and scenario.

The expected income of a share of the network's work (Rosenfeld, "Analysis of Bitcoin Pooled Mining
Reward Systems", 2011): a block of difficulty D takes D * 2^32 hashes, so that h hashes a second
find h * 86,400 / (D * 2^32) blocks a day.

Numbers are IEEE doubles (15 to 16 significant digits): these are estimates, nothing is invoiced
from them. What is not defined (a margin on no revenue, a break-even without power) is not a finite
number here, and null at the edge.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from calculator.domain.network import BLOCK_S, DAY_S, HASHES_PER_DIFFICULTY, HASHES_PER_TH

Column: TypeAlias = NDArray[np.float64]

BLOCKS_PER_DAY = DAY_S // BLOCK_S
DAYS_PER_YEAR = 365
_THS_PER_EHS = 1e6
_KWH_PER_WATT_DAY = 0.024
_BLOCKS_PER_TH_DAY = HASHES_PER_TH * DAY_S / HASHES_PER_DIFFICULTY
"""What a TH/s finds in a day at a difficulty of 1."""
_CHUNK = 8_192
"""So many rows at a time stay in the processor's cache: half as fast again as all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """Machines, what they pay and where they mine. Each column has a row each, or one for all.

    Shares (pool fee, uptime, stale) are fractions of one. A capex of NaN is not known.
    """

    hashrate_ths: Column
    power_w: Column
    electricity_usd_per_kwh: Column
    btc_price_usd: Column
    difficulty: Column
    reward_btc: Column
    """Subsidy and average fees of a block."""
    pool_fee: Column
    uptime: Column
    stale: Column
    other_opex_usd_per_day: Column
    capex_usd: Column

    def __len__(self) -> int:
        return max(len(column) for column in self._columns())

    def _columns(self) -> Iterator[Column]:
        return (getattr(self, field.name) for field in fields(self))

    def broadcast(self) -> "Scenarios":
        """Return the same with all columns of one length."""
        length = len(self)
        names = (field.name for field in fields(self))
        return Scenarios(
            **{name: np.broadcast_to(getattr(self, name), (length,)) for name in names}
        )

    def part(self, start: int, stop: int) -> "Scenarios":
        """Return some of the rows."""
        names = (field.name for field in fields(self))
        return Scenarios(**{name: getattr(self, name)[start:stop] for name in names})


@dataclass(frozen=True, slots=True)
class Profitability:
    """What becomes of each row in a day."""

    btc_per_day: Column
    revenue_usd_per_day: Column
    energy_kwh_per_day: Column
    electricity_usd_per_day: Column
    cost_usd_per_day: Column
    """Electricity and other running costs."""
    profit_usd_per_day: Column
    margin_percent: Column
    break_even_usd_per_kwh: Column
    break_even_btc_price_usd: Column
    roi_percent_per_year: Column
    break_even_days: Column


def profitability(scenarios: Scenarios) -> Profitability:
    """Return what every row earns and costs."""
    length = len(scenarios)
    names = [field.name for field in fields(Profitability)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if length == 1:
            return _profitability(scenarios)
        rows = scenarios.broadcast()
        found = Profitability(*(np.empty(length) for _ in names))
        for start in range(0, length, _CHUNK):
            stop = min(start + _CHUNK, length)
            part = _profitability(rows.part(start, stop))
            for name in names:
                getattr(found, name)[start:stop] = getattr(part, name)
    return found


def _profitability(rows: Scenarios) -> Profitability:
    mined = gross_btc_per_day(rows.hashrate_ths, rows.difficulty, rows.reward_btc)
    btc = mined * net_share(rows.pool_fee, rows.stale, rows.uptime)
    revenue = btc * rows.btc_price_usd
    energy = rows.power_w * _KWH_PER_WATT_DAY * rows.uptime
    electricity = energy * rows.electricity_usd_per_kwh
    cost = electricity + rows.other_opex_usd_per_day
    profit = revenue - cost
    return Profitability(
        btc_per_day=btc,
        revenue_usd_per_day=revenue,
        energy_kwh_per_day=energy,
        electricity_usd_per_day=electricity,
        cost_usd_per_day=cost,
        profit_usd_per_day=profit,
        margin_percent=profit / revenue * 100,
        break_even_usd_per_kwh=(revenue - rows.other_opex_usd_per_day) / energy,
        break_even_btc_price_usd=cost / btc,
        roi_percent_per_year=profit * (DAYS_PER_YEAR * 100) / rows.capex_usd,
        break_even_days=np.where(profit > 0, rows.capex_usd / profit, np.nan),
    )


def gross_btc_per_day(hashrate_ths: Column, difficulty: Column, reward_btc: Column) -> Column:
    """Return the expected income before pool fee, stale shares and downtime.

    TH/s * 10^12 * 86,400 / (D * 2^32) * (subsidy + fees).
    """
    return hashrate_ths * _BLOCKS_PER_TH_DAY / difficulty * reward_btc


def share_btc_per_day(
    hashrate_ths: Column, network_hashrate_ehs: Column, reward_btc: Column
) -> Column:
    """Return the same income by the second algorithm: the share of the network's hashrate.

    TH/s / (EH/s * 10^6) * 144 * (subsidy + fees).
    """
    return hashrate_ths / (network_hashrate_ehs * _THS_PER_EHS) * BLOCKS_PER_DAY * reward_btc


def net_share(pool_fee: Column, stale: Column, uptime: Column) -> Column:
    """Return what is left of the income after the pool's fee, stale shares and downtime."""
    return (1 - pool_fee) * (1 - stale) * uptime
