"""Calculating a batch: inside the request, or part by part in a job; reading it afterwards."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.batches import sheets
from calculator.batches.columns import checked, model_names
from calculator.batches.models import Batch, BatchPart
from calculator.batches.rating import TOTALS, Answered, answered, needs_market, settle
from calculator.batches.schemas import BatchSummary, Downloads
from calculator.batches.sheets import Asked, Part
from calculator.calculations.basis import look
from calculator.calculations.nameplates import Wall, find
from calculator.calculations.rounding import PLACES, plain
from calculator.calculations.schemas import Input
from calculator.history import archive
from calculator.history.models import HistoryEntry
from common.auth import Principal
from common.errors import NotFound
from common.runtime import Runtime


class BatchNotFound(NotFound):
    title: ClassVar[str] = "No such batch"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the market said, as a batch keeps it."""

    inputs: dict[str, Input]
    warnings: list[str]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        inputs = {name: one.model_dump() for name, one in self.inputs.items()}
        return {"inputs": inputs, "warnings": self.warnings}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Seen":
        """Return what `document` made."""
        inputs = {name: Input.model_validate(one) for name, one in document["inputs"].items()}
        return cls(inputs, document["warnings"])


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that was calculated inside the request."""

    summary: BatchSummary
    parts: list[Part]


async def calculate(
    runtime: Runtime, wall: Wall, asked: Asked, seen: Seen | None = None
) -> tuple[Answered, Seen | None]:
    """Calculate rows, asking the market only where one of them leaves something open.

    No connection is held over the look at the market, which needs one itself.

    Raises:
        MarketUnknown: a good row needs a figure of the market and none is known.
    """
    table = await asyncio.to_thread(checked, asked.raw)
    names = model_names(table)
    settle(table, await find(runtime, wall, names) if names else {})
    if seen is None and needs_market(table):
        quoted = await look(runtime)
        seen = Seen(quoted.inputs(), list(quoted.market.warnings))
    found = await asyncio.to_thread(answered, table, None if seen is None else seen.inputs)
    return found, seen


async def run(
    session: AsyncSession,
    runtime: Runtime,
    caller: Principal,
    asked: Asked,
    ignored_columns: Sequence[str] = (),
) -> Finished:
    """Calculate a batch at once and, for a user, keep it."""
    found, seen = await calculate(runtime, Wall.of(caller), asked)
    totals = found.totals()
    batch = await keep(session, caller, asked, ignored_columns, parts=1)
    summary = _summary(
        batch,
        seen,
        [totals],
        rows=asked.length,
        ignored_columns=list(ignored_columns),
        state="done",
    )
    if batch is not None:
        batch.market = None if seen is None else seen.document()
        packed = await asyncio.to_thread(
            lambda: (sheets.pack_asked(asked), sheets.pack_answered(found))
        )
        wall = {"organisation_id": batch.organisation_id, "client_id": batch.client_id}
        session.add(
            BatchPart(
                batch_id=batch.id,
                part=0,
                asked=packed[0],
                answered=packed[1],
                totals=totals,
                **wall,
            )
        )
        await _note(session, batch, summary)
    return Finished(summary, [Part(asked, found)])


async def keep(
    session: AsyncSession,
    caller: Principal,
    asked: Asked,
    ignored_columns: Sequence[str],
    *,
    parts: int,
) -> Batch | None:
    """Put a batch into the caller's history; its rows are to follow."""
    entry = await archive.keep(
        session,
        caller,
        "batch",
        f"{asked.length:,} rows",
        summary={},
        request={"rows": asked.length},
        result={},
    )
    if entry is None:
        return None
    batch = Batch(
        id=entry.id,
        organisation_id=entry.organisation_id,
        client_id=entry.client_id,
        created_by=caller.subject,
        rows=asked.length,
        parts=parts,
        ignored_columns=list(ignored_columns),
        from_file=asked.lines is not None,
    )
    session.add(batch)
    await session.flush()
    return batch


async def finish(session: AsyncSession, batch: Batch) -> BatchSummary:
    """Return what came of a batch whose last part is calculated, and show it in the history."""
    summary = await _read_summary(session, batch)
    await _note(session, batch, summary)
    return summary


async def _note(session: AsyncSession, batch: Batch, summary: BatchSummary) -> None:
    entry = await session.get_one(HistoryEntry, batch.id)
    entry.result = summary.model_dump(mode="json")
    entry.summary = {
        "succeeded": summary.succeeded,
        "failed": summary.failed,
        "profit_usd_per_day": summary.totals["profit_usd_per_day"],
    }
    await session.flush()


async def summary_of(session: AsyncSession, caller: Principal, batch_id: UUID) -> BatchSummary:
    """Return a batch without its rows.

    Raises:
        BatchNotFound: there is none, it is somebody else's, or its rows are no longer kept.
    """
    return await _read_summary(session, await _batch(session, caller, batch_id))


async def _read_summary(session: AsyncSession, batch: Batch) -> BatchSummary:
    totals = list(
        await session.scalars(select(BatchPart.totals).where(BatchPart.batch_id == batch.id))
    )
    done = [one for one in totals if one is not None]
    state = "done" if len(done) == batch.parts else "running" if done else "queued"
    seen = None if batch.market is None else Seen.of(batch.market)
    return _summary(
        batch, seen, done, rows=batch.rows, ignored_columns=batch.ignored_columns, state=state
    )


async def parts_of(session: AsyncSession, caller: Principal, batch_id: UUID) -> list[Part]:
    """Return a batch's rows as far as they are calculated; raises as `summary_of`."""
    await _batch(session, caller, batch_id)
    rows = await session.scalars(
        select(BatchPart).where(BatchPart.batch_id == batch_id).order_by(BatchPart.part)
    )
    kept = [(row.asked, row.answered) for row in rows]

    def unpack() -> list[Part]:
        return [
            Part(
                sheets.unpack_asked(asked),
                None if answered is None else sheets.unpack_answered(answered),
            )
            for asked, answered in kept
        ]

    return await asyncio.to_thread(unpack)


async def _batch(session: AsyncSession, caller: Principal, batch_id: UUID) -> Batch:
    query = select(Batch).where(Batch.id == batch_id, Batch.created_by == caller.subject)
    batch = await session.scalar(query)
    if batch is None:
        raise BatchNotFound(f"There is no batch {batch_id}; rows are kept for a month.")
    return batch


def _summary(
    batch: Batch | None,
    seen: Seen | None,
    totals: Sequence[Mapping[str, float]],
    *,
    rows: int,
    ignored_columns: list[str],
    state: Literal["queued", "running", "done"],
) -> BatchSummary:
    sums = {name: plain(sum(one[name] for one in totals), PLACES[name]) for name in TOTALS}
    downloads = None
    if batch is not None:
        path = f"/api/calculator/batch/{batch.id}/results"
        downloads = Downloads(csv=f"{path}.csv", xlsx=f"{path}.xlsx")
    return BatchSummary(
        batch_id=None if batch is None else batch.id,
        state=state,
        rows=rows,
        succeeded=sum(int(one["succeeded"]) for one in totals),
        failed=sum(int(one["failed"]) for one in totals),
        totals=sums,
        ignored_columns=ignored_columns,
        inputs={} if seen is None else seen.inputs,
        warnings=[] if seen is None else seen.warnings,
        downloads=downloads,
    )
