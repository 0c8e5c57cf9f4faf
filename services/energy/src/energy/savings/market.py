"""The quotes and epochs that held at some instants."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from energy.facts.models import NetworkEpoch, Quote
from energy.facts.reading import BTC_USD, epoch_at, epochs_between, in_force

_OLDEST_QUOTE = timedelta(hours=6)
"""A price from further back is none of the half-hour's."""

_HALF_HOUR, _A_MOMENT = timedelta(minutes=30), timedelta(microseconds=1)
_GRID = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Market:
    """What held at each of some instants; None where it is not known."""

    epochs: Sequence[NetworkEpoch | None]
    quotes: Sequence[Quote | None]

    def provenance(self) -> dict[str, Any]:
        """Return which quotes and epochs they are."""
        epochs = {one.height: one for one in self.epochs if one is not None}
        quotes = {one.at: one for one in self.quotes if one is not None}
        return {
            "epochs": [
                {
                    "height": one.height,
                    "difficulty": f"{one.difficulty.normalize():f}",
                    "subsidy_btc": f"{one.subsidy_btc.normalize():f}",
                    "simulated": one.simulated,
                }
                for _, one in sorted(epochs.items())
            ],
            "quotes": {
                "count": len(quotes),
                "first_at": min(quotes).isoformat() if quotes else None,
                "last_at": max(quotes).isoformat() if quotes else None,
                "sources": sorted({one.source for one in quotes.values()}),
                "stale": any(one.stale for one in quotes.values()),
                "simulated": any(one.simulated for one in quotes.values()),
            },
        }

    def simulated(self) -> bool:
        """Return whether any of it is simulated."""
        known = [one for one in (*self.epochs, *self.quotes) if one is not None]
        return any(one.simulated for one in known)


async def market_at(session: AsyncSession, instants: Sequence[datetime]) -> Market:
    """Return the epoch and the last quote at each of some instants.

    They ascend, and each begins a half-hour.
    """
    if not instants:
        return Market([], [])
    first, last = instants[0], instants[-1]
    epochs = await epochs_between(session, first, last + timedelta(days=30))
    # Of each half-hour (its end included) the last quote: more are asked for by no instant here.
    half_hour = func.date_bin(_HALF_HOUR, Quote.at - _A_MOMENT, _GRID)
    rows = list(
        await session.scalars(
            select(Quote)
            .ext(distinct_on(half_hour))
            .where(Quote.pair == BTC_USD, Quote.at > first - _OLDEST_QUOTE, Quote.at <= last)
            .order_by(half_hour, Quote.at.desc(), Quote.version.desc())
        )
    )
    times = [row.at for row in rows]
    seen_until = await _seen_until(session, epochs, rows, last)
    return Market(
        [in_force(epochs, at, seen_until=seen_until) for at in instants],
        [_quote(rows, times, at) for at in instants],
    )


async def _seen_until(
    session: AsyncSession, epochs: Sequence[NetworkEpoch], rows: Sequence[Quote], last: datetime
) -> datetime | None:
    """Return how long the newest epoch is known to have held."""
    if await epoch_at(session, last) is not None:
        return last
    # The half-hour that runs has no quote at its end yet: the last one counts for it too.
    named = [row.at for row in rows if epochs and row.difficulty == epochs[-1].difficulty]
    return max(named) + _HALF_HOUR if named else None


def _quote(rows: Sequence[Quote], times: Sequence[datetime], at: datetime) -> Quote | None:
    place = bisect_right(times, at)
    if not place or at - times[place - 1] > _OLDEST_QUOTE:
        return None
    return rows[place - 1]
