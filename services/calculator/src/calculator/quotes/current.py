"""The market as it stands: asked for at most every 5 and 15 minutes, by one caller for all.

Three layers. The cache says when to ask, lets one ask for all and serves the old answer meanwhile.
The table keeps the last that each party said, so that a restart or a lost cache costs nothing but
the age of the figures. What is assembled from it is kept in the process for a second.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar
from weakref import WeakKeyDictionary

from fastapi import Depends

from calculator.domain.assembly import RECKONED, Unknown, assemble
from calculator.domain.epochs import reckoned_height
from calculator.domain.market import Market
from calculator.domain.readings import Kind, Reading
from calculator.domain.snapshot import shipped_epochs
from calculator.quotes.asking import PARTS, SOURCES, Part, ask
from calculator.quotes.store import recall, remember
from calculator.sources.parties import parties_of
from common.auth import PLATFORM_ORGANISATION
from common.cache import Cache
from common.errors import Unavailable
from common.party import NoAnswer
from common.runtime import Runtime, RuntimeDep

_KEPT = timedelta(seconds=1)
_NOT_AGAIN_S = 60
"""With the cache lost, or just restarted, the parties are asked no oftener than this."""
_QUIET = timedelta(seconds=15)
"""When nobody answers, nobody is asked for so long: callers need not wait for time-outs each."""
_RETRY_AFTER_S = 30


class MarketUnknown(Unavailable):
    title: ClassVar[str] = "Neither price nor difficulty is known yet"


@dataclass
class _Seen:
    """What one process knows."""

    caches: dict[str, Cache]
    market: Market | Unknown | None = None
    at: datetime | None = None
    look: "asyncio.Task[Market | Unknown] | None" = None
    quiet_until: dict[str, datetime] = field(default_factory=dict[str, datetime])


_seen: WeakKeyDictionary[Runtime, _Seen] = WeakKeyDictionary()


async def current_market(runtime: Runtime) -> Market:
    """Return the market as it is known, each figure with source and age.

    Raises:
        MarketUnknown: no party has ever said a price, a difficulty or a height.
    """
    found = await known_market(runtime)
    if isinstance(found, Unknown):
        missing = ", ".join(found.kinds)
        raise MarketUnknown(
            f"No source answers, and none has before: {missing}. Give the figures yourself, let an "
            "Admin record them by hand, or try again.",
            retry_after_s=_RETRY_AFTER_S,
            missing=list(found.kinds),
        )
    return found


async def known_market(runtime: Runtime) -> Market | Unknown:
    """Return the market, or what is missing for it; callers at the same time share one look."""
    seen, now = _seen_by(runtime), parties_of(runtime).now()
    if seen.market is not None and seen.at is not None and abs(now - seen.at) < _KEPT:
        return seen.market
    if seen.look is None or seen.look.done():
        seen.look = asyncio.create_task(_look(runtime, seen))
    return await asyncio.shield(seen.look)


def forget(runtime: Runtime) -> None:
    """Look again at the next question: something was recorded by hand."""
    _seen_by(runtime).at = None


async def settle(runtime: Runtime) -> None:
    """End the look that is under way: whoever waited for it is gone."""
    seen = _seen_by(runtime)
    if seen.look is not None:
        seen.look.cancel()
        await asyncio.gather(seen.look, return_exceptions=True)
    for cache in seen.caches.values():
        await cache.settle()


def restart(runtime: Runtime) -> None:
    """Forget all that this process knows; the table and the cache stay."""
    _seen.pop(runtime, None)


async def ask_when_older(runtime: Runtime, part: Part, age_s: float) -> int:
    """Ask the parties unless that was done within `age_s`; return how many readings came.

    Raises:
        NoAnswer: nobody answered.
    """
    parties = parties_of(runtime)
    async with runtime.tenant_session(PLATFORM_ORGANISATION) as session:
        known = await recall(session)
    if _asked_within(known, part, parties.now(), age_s):
        return 0
    readings = await ask(parties, part)
    async with runtime.worker_session() as session:
        await remember(session, readings)
    unsaid = set(part.kinds) - {reading.kind for reading in readings}
    if unsaid:
        raise NoAnswer(f"nobody says {', '.join(sorted(unsaid))}")
    return len(readings)


def _asked_within(known: list[Reading], part: Part, now: datetime, age_s: float) -> bool:
    lately = {
        one.kind
        for one in known
        if one.source in SOURCES and timedelta(0) <= now - one.asked_at < timedelta(seconds=age_s)
    }
    return set(part.kinds) <= lately


async def _look(runtime: Runtime, seen: _Seen) -> Market | Unknown:
    await asyncio.gather(*(_renew(runtime, seen, part) for part in PARTS))
    async with runtime.tenant_session(PLATFORM_ORGANISATION) as session:
        known = await recall(session)
    now = parties_of(runtime).now()
    seen.market, seen.at = assemble([*known, *_reckoned(now)], now), now
    return seen.market


def _reckoned(now: datetime) -> list[Reading]:
    """Return the height by the clock: without any party the subsidy is still certain."""
    last = shipped_epochs()[-1]
    height = reckoned_height(last.height, last.started_at, now)
    if height is None:
        return []
    return [Reading(Kind.HEIGHT, RECKONED, Decimal(height), last.started_at, last.started_at)]


async def _renew(runtime: Runtime, seen: _Seen, part: Part) -> None:
    """Have the part asked for if its time has come; without an answer the last one stays."""

    async def load() -> int:
        return await ask_when_older(runtime, part, _NOT_AGAIN_S)

    now = parties_of(runtime).now()
    if now < seen.quiet_until.get(part.name, now):
        return
    try:
        await seen.caches[part.name].get(PLATFORM_ORGANISATION, part.name, load)
    except NoAnswer:
        # The log says why, and the age of what is served will tell.
        seen.quiet_until[part.name] = now + _QUIET


def _seen_by(runtime: Runtime) -> _Seen:
    if runtime not in _seen:
        _seen[runtime] = _Seen(
            {
                part.name: Cache(
                    runtime.redis, f"market-{part.name}", fresh_s=part.fresh_s, stale_s=part.fresh_s
                )
                for part in PARTS
            }
        )
    return _seen[runtime]


async def _market(runtime: RuntimeDep) -> Market:
    return await current_market(runtime)


MarketDep = Annotated[Market, Depends(_market)]
"""The market for a route that cannot do without it: 503 when nothing is known."""
