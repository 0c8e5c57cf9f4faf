"""Fetches the reference rates and keeps them: an hour at a time, and the past at a first start."""

import asyncio
from datetime import date, timedelta
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from structlog import get_logger

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.party import NoAnswer, Party
from common.runtime import Runtime
from energy.currencies.models import ReferenceRate
from energy.parties import ecb
from energy.settings import Settings

log = get_logger()
_AGAIN = timedelta(days=7)
"""So much of what is kept already is asked for again: a late day is not missed."""
_PART = timedelta(days=120)
"""Of the past, asked for at once."""
_GIVEN_UP = timedelta(days=30)
"""A currency without a rate for so long is no longer published, and holds up no other."""
_ROWS_AT_ONCE = 2000


async def keep_rates(runtime: Runtime) -> None:
    """Keep the rates up to date for as long as the process runs."""
    settings = cast("Settings", runtime.settings)
    party = Party(ecb.SOURCE, settings.currencies_url, now)
    while not runtime.stopping.is_set():
        try:
            await refresh(runtime, party)
            runtime.degraded.pop("reference rates", None)
        except NoAnswer as error:
            runtime.degraded["reference rates"] = str(error)
        await asyncio.sleep(settings.currencies_every_s)


async def refresh(runtime: Runtime, party: Party) -> int:
    """Fetch what is missing up to today; returns how many rates were told.

    Raises:
        NoAnswer: the party gave nothing that can be used; what came before it is kept.
    """
    settings = cast("Settings", runtime.settings)
    today = now().date()
    newest_of_each = (
        select(func.max(ReferenceRate.day).label("day"))
        .group_by(ReferenceRate.currency)
        .having(func.max(ReferenceRate.day) > today - _GIVEN_UP)
        .subquery()
    )
    async with runtime.worker_session() as session:
        newest = await session.scalar(select(func.min(newest_of_each.c.day)))
    oldest = today - timedelta(days=settings.currencies_backfill_days)
    first = oldest if newest is None else max(oldest, newest - _AGAIN)
    told = 0
    while first <= today:
        last = min(today, first + _PART)
        told += await _fetch(runtime, party, first, last)
        first = last + timedelta(days=1)
    return told


async def _fetch(runtime: Runtime, party: Party, first: date, last: date) -> int:
    rates, simulated = await party.attempt(lambda asked: ecb.reference_rates(asked, first, last))
    fetched_at = now()
    rows = [
        {
            "organisation_id": PLATFORM_ORGANISATION,
            "day": rate.day,
            "currency": rate.currency,
            "per_eur": rate.per_eur,
            "source": party.name,
            "simulated": simulated,
            "fetched_at": fetched_at,
        }
        for rate in rates
    ]
    async with runtime.worker_session() as session:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            statement = insert(ReferenceRate).values(rows[start : start + _ROWS_AT_ONCE])
            said = statement.excluded
            await session.execute(
                statement.on_conflict_do_update(
                    index_elements=["day", "currency"],
                    set_={
                        name: said[name]
                        for name in ("per_eur", "source", "simulated", "fetched_at")
                    },
                    # A true rate gives way to no simulated one; the same again is no news.
                    where=(ReferenceRate.simulated | ~said.simulated)
                    & (
                        (ReferenceRate.per_eur != said.per_eur)
                        | (ReferenceRate.simulated != said.simulated)
                    ),
                )
            )
    return len(rows)
