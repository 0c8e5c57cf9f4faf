"""Taking a day's stacks from Elexon and keeping them as they came, period by period.

A period is both of its stacks: if one fails, neither is kept. What was known before stays as it
was, and the period says that it failed, and why.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from energy.domain.settlement import HALF_HOUR, period_start
from energy.domain.wind import Side, StackRow
from energy.wind.answers import packed
from energy.wind.elexon import Elexon, NoAnswer, NotThere, Resting, Told
from energy.wind.models import ElexonAnswer, SettlementPeriod
from energy.wind.sql import lock_day

T = TypeVar("T")
Known = Mapping[tuple[str, int], tuple[int, bytes]]
SIDES: tuple[Side, ...] = ("bid", "offer")
DATASETS = tuple(f"stack/{side}" for side in SIDES)
_MAY_BE_LATE = timedelta(hours=2)
"""How long after its end a period may be unpublished, or empty, without that meaning anything."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of asking for a period."""

    period: int
    stacks: tuple[Told[list[StackRow]], ...]
    error: str | None
    pending: bool
    """It failed, but may simply not be published yet, or could not be asked for."""

    @property
    def status(self) -> str:
        """Return what the period's row says."""
        if self.error is None:
            return "fetched"
        return "pending" if self.pending else "failed"


async def take(runtime: Runtime, elexon: Elexon, day: date, periods: Sequence[int]) -> list[Taken]:
    """Ask for some periods at once, and keep what came; one that failed does not harm others."""
    taken = await asyncio.gather(*(_both(elexon, day, period) for period in periods))
    async with runtime.worker_session() as session:
        await _keep(session, day, taken)
    return taken


async def _both(elexon: Elexon, day: date, period: int) -> Taken:
    recent = now() - period_start(day, period) - HALF_HOUR < _MAY_BE_LATE
    try:
        stacks = await _all(*(elexon.stack(side, day, period) for side in SIDES))
    except (NotThere, Resting) as error:
        return Taken(period, (), str(error), pending=recent)
    except NoAnswer as error:
        return Taken(period, (), str(error)[:500], pending=False)
    if recent and not any(stack.rows for stack in stacks):
        return Taken(period, (), "nothing is published yet", pending=True)
    return Taken(period, tuple(stacks), None, pending=False)


async def _all(*asking: Awaitable[T]) -> list[T]:
    """Return all answers, or the first failure after all have come to their end."""
    found = await asyncio.gather(*asking, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return cast("list[T]", found)


async def _keep(session: AsyncSession, day: date, taken: Sequence[Taken]) -> None:
    await lock_day(session, day)
    await keep_answers(
        session,
        day,
        [
            (dataset, one.period, told, stamp_of(told.rows))
            for one in taken
            for dataset, told in zip(DATASETS, one.stacks, strict=False)
        ],
    )
    in_order = sorted(taken, key=lambda one: one.period)
    for status in ("fetched", "failed", "pending"):
        some = [_noted(day, one) for one in in_order if one.status == status]
        if some:
            await _note(session, status, some)


def _noted(day: date, one: Taken) -> dict[str, Any]:
    came = one.error is None
    return {
        "organisation_id": PLATFORM_ORGANISATION,
        "settlement_date": day,
        "settlement_period": one.period,
        "starts_at": period_start(day, one.period),
        "status": one.status,
        "error": one.error,
        "attempts": int(one.status == "failed"),
        "run_stamp": None,
        "fetched_at": one.stacks[0].fetched_at if came else None,
        "rows": 0,
        "records": 0,
        "records_any": 0,
        "excluded": {},
        "simulated": any(told.simulated for told in one.stacks),
    }


async def _note(session: AsyncSession, status: str, rows: Sequence[dict[str, Any]]) -> None:
    """Note that periods were taken, or why not; what was complete does not become pending."""
    statement = insert(SettlementPeriod)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in ("status", "error")}
    if status == "fetched":
        changed |= {"attempts": 0, "fetched_at": statement.excluded.fetched_at}
    elif status == "failed":
        changed["attempts"] = SettlementPeriod.attempts + 1
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["settlement_date", "settlement_period"],
            set_=changed,
            where=None if status != "pending" else SettlementPeriod.status != "complete",
        ),
        rows,
    )


Given = tuple[str, int, Told[Any], datetime | None]
"""An answer with its data set, its period, and its run stamp."""


async def keep_answers(session: AsyncSession, day: date, given: Sequence[Given]) -> None:
    """Keep answers as they came; one that is the same as before is only noted."""
    known = await _known(session, day)
    same: list[int] = []
    rows: list[dict[str, Any]] = []
    for dataset, period, told, run_stamp in given:
        digest = hashlib.sha256(told.body).digest()
        newest = known.get((dataset, period))
        if newest is not None and newest[1] == digest:
            same.append(newest[0])
            continue
        rows.append(
            {
                "organisation_id": PLATFORM_ORGANISATION,
                "dataset": dataset,
                "settlement_date": day,
                "settlement_period": period,
                "fetched_at": told.fetched_at,
                "checked_at": told.fetched_at,
                "run_stamp": run_stamp,
                "rows": len(told.rows),
                "sha256": digest,
                "body": packed(told.body),
                "simulated": told.simulated,
            }
        )
    if same:
        checked = update(ElexonAnswer).where(ElexonAnswer.id.in_(same)).values(checked_at=now())
        await session.execute(checked)
    if rows:
        await session.execute(insert(ElexonAnswer), rows)


def stamp_of(rows: Sequence[StackRow]) -> datetime | None:
    """Return the run stamp of a stack: the newest of its rows'."""
    return max((row.created_at for row in rows if row.created_at is not None), default=None)


async def _known(session: AsyncSession, day: date) -> Known:
    """Return id and digest of the newest answer of each dataset and period."""
    rows = await session.execute(
        select(
            ElexonAnswer.dataset,
            ElexonAnswer.settlement_period,
            ElexonAnswer.id,
            ElexonAnswer.sha256,
        )
        .where(ElexonAnswer.settlement_date == day)
        .order_by(ElexonAnswer.id)
    )
    return {(dataset, period): (answer, digest) for dataset, period, answer, digest in rows}
