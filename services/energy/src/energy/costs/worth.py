"""What hashes of a day were worth: in bitcoin, and in dollars by the quote of the day.

The quote of a day is the last one before the day ends (UTC). One from an earlier day is used for a
week and said to be stale; without any the day's value is missing, never 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.schemas import QuoteOfDay
from energy.facts.reading import BTC_USD, epoch_at

_USABLE: Final = timedelta(days=7)
_HASHES_PER_TH_H: Final = Decimal(3600 * 10**12)
_QUOTES = text(
    "SELECT d.day, q.* FROM unnest(CAST(:days AS date[]), CAST(:ends AS timestamptz[])) "
    "AS d (day, before) LEFT JOIN LATERAL (SELECT price_usd, at, stale, simulated, difficulty, "
    "subsidy_btc, hashprice_btc_per_ths_day FROM energy.quote WHERE pair = :pair "
    "AND at < d.before AND at >= d.before - CAST(:usable AS interval) "
    "ORDER BY at DESC, version DESC LIMIT 1) AS q ON true ORDER BY d.day"
)


@dataclass(frozen=True, slots=True)
class DayWorth:
    """What a TH/s for an hour earned on a day."""

    quote: QuoteOfDay
    btc_per_th_h: Decimal | None
    """None: no difficulty is known."""

    def bitcoin(self, th_h: float) -> Decimal | None:
        """Return the bitcoin of some hashes."""
        return None if self.btc_per_th_h is None else Decimal(repr(th_h)) * self.btc_per_th_h

    def usd(self, th_h: float) -> Decimal | None:
        """Return the value of some hashes in dollars."""
        bitcoin, price = self.bitcoin(th_h), self.quote.price_usd
        return None if bitcoin is None or price is None else bitcoin * price


async def worth_of(session: AsyncSession, days: Iterable[date]) -> dict[date, DayWorth]:
    """Return what hashes were worth on some days."""
    wanted = sorted(set(days))
    ends = [datetime.combine(day, time(), UTC) + timedelta(days=1) for day in wanted]
    rows = await session.execute(
        _QUOTES, {"days": wanted, "ends": ends, "pair": BTC_USD, "usable": _USABLE}
    )
    found: dict[date, DayWorth] = {}
    for row in rows:
        missing = row.price_usd is None
        old = not missing and row.at < datetime.combine(row.day, time(), UTC)
        quote = QuoteOfDay(
            day=row.day, price_usd=row.price_usd, at=row.at, stale=bool(row.stale) or old,
            missing=missing, simulated=bool(row.simulated),
        )  # fmt: skip
        found[row.day] = DayWorth(quote, await _btc_per_th_h(session, row))
    return found


async def _btc_per_th_h(session: AsyncSession, row: Any) -> Decimal | None:
    hashprice: Decimal | None = getattr(row, "hashprice_btc_per_ths_day", None)
    if hashprice is not None:
        return hashprice / 24
    difficulty: Decimal | None = getattr(row, "difficulty", None)
    subsidy: Decimal | None = getattr(row, "subsidy_btc", None)
    if difficulty is None or subsidy is None:
        day: date = row.day
        epoch = await epoch_at(session, datetime.combine(day, time(12), UTC))
        if epoch is None:
            return None
        difficulty, subsidy = epoch.difficulty, epoch.subsidy_btc
    return _HASHES_PER_TH_H * subsidy / (difficulty * 2**32)


def notes_of(worths: Iterable[DayWorth]) -> list[str]:
    """Return what is to be said of the quotes."""
    quotes = [one.quote for one in worths]
    missing = sum(one.missing for one in quotes)
    stale = sum(one.stale for one in quotes)
    notes: list[str] = []
    if missing:
        notes.append(f"Of {missing} days no quote of bitcoin is known: their value is missing.")
    if stale:
        notes.append(f"Of {stale} days the quote was stale.")
    if any(one.simulated for one in quotes):
        notes.append("Some quotes are simulated.")
    return notes
