"""Calculating a batch: inside the request, or part by part in a job; reading it afterwards."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.batches import sheets
from calculator.batches.columns import checked, model_names, tariffs_named
from calculator.batches.models import Batch, BatchPart
from calculator.batches.rating import TOTALS, Answered, answered, needs_market, settle
from calculator.batches.schemas import BatchSummary, Downloads, TariffUsed
from calculator.batches.sheets import Asked, Part
from calculator.calculations.basis import find_prices, look
from calculator.calculations.nameplates import Wall, find
from calculator.calculations.rounding import PLACES, plain
from calculator.calculations.schemas import Input
from calculator.history import archive
from calculator.history.models import HistoryEntry
from calculator.tariffs.pricing import (
    ENERGY_ONLY,
    Answer,
    Price,
    Wanted,
    answers_of,
    document_of,
)
from common.auth import Principal
from common.clock import now
from common.errors import NotFound
from common.runtime import Runtime


class BatchNotFound(NotFound):
    title: ClassVar[str] = "No such batch"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the market and the tariffs said, as a batch keeps it for all its parts."""

    inputs: dict[str, Input]
    """Empty as long as no row needed the market."""
    warnings: list[str]
    answers: dict[Wanted, Answer]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        inputs = {name: one.model_dump() for name, one in self.inputs.items()}
        tariffs = document_of(self.answers)
        return {"inputs": inputs, "warnings": self.warnings, "tariffs": tariffs}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Seen":
        """Return what `document` made, also before there were tariffs."""
        inputs = {name: Input.model_validate(one) for name, one in document["inputs"].items()}
        return cls(inputs, document["warnings"], answers_of(document.get("tariffs", [])))

    def tariffs(self) -> list[TariffUsed]:
        """Return the tariffs by which rows were priced, each once."""
        prices = [one for one in self.answers.values() if isinstance(one, Price)]
        used = {one.rate_id: one for one in prices if one.currency == "USD"}
        return [_used(one) for one in used.values()]


NOTHING_SEEN = Seen({}, [], {})


def _used(price: Price) -> TariffUsed:
    return TariffUsed(
        rate_id=UUID(price.rate_id),
        rate_version=price.rate_version,
        name=price.name,
        usd_per_kwh=price.per_kwh,
        source="tariff_mean",
        at=datetime.fromisoformat(price.said_at),
        stale=price.is_stale(now()),
    )


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that was calculated inside the request."""

    summary: BatchSummary
    parts: list[Part]


async def calculate(
    runtime: Runtime, wall: Wall, asked: Asked, seen: Seen = NOTHING_SEEN
) -> tuple[Answered, Seen]:
    """Calculate rows, asking the market only where one of them leaves something open.

    What an earlier part of the batch has seen counts. No connection is held over the look at the
    market, which needs one itself.

    Raises:
        MarketUnknown: a good row needs a figure of the market and none is known.
    """
    table = await asyncio.to_thread(checked, asked.raw)
    names = model_names(table)
    wanted = tariffs_named(table) - seen.answers.keys()
    told = await find_prices(runtime, wall, wanted) if wanted else {}
    seen = replace(seen, answers=seen.answers | told)
    settle(table, await find(runtime, wall, names) if names else {}, seen.answers)
    if not seen.inputs and needs_market(table):
        quoted = await look(runtime)
        seen = replace(seen, inputs=quoted.inputs(), warnings=list(quoted.market.warnings))
    found = await asyncio.to_thread(answered, table, seen.inputs)
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
        batch.market = seen.document()
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
    seen = NOTHING_SEEN if batch.market is None else Seen.of(batch.market)
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
    seen: Seen,
    totals: Sequence[Mapping[str, float]],
    *,
    rows: int,
    ignored_columns: list[str],
    state: Literal["queued", "running", "done"],
) -> BatchSummary:
    sums = {name: plain(sum(one[name] for one in totals), PLACES[name]) for name in TOTALS}
    tariffs = seen.tariffs()
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
        inputs=seen.inputs,
        tariffs=tariffs,
        warnings=[*seen.warnings, ENERGY_ONLY] if tariffs else seen.warnings,
        downloads=downloads,
    )
