"""Making a calculation of the history again: the same request, today's market."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from calculator.batches import running, sheets
from calculator.batches.sheets import Part
from calculator.calculations.keeping import answer
from calculator.calculations.schemas import CalculationRequest
from calculator.history import archive
from calculator.history.models import HistoryEntry
from calculator.projections.outlook import answer as answer_projection
from calculator.projections.schemas import ProjectionRequest
from calculator.reruns.schemas import Rerun
from common.auth import Principal
from common.errors import Conflict
from common.runtime import Runtime


class OnlyUsers(Conflict):
    title: ClassVar[str] = "Only a user has a history"


async def rerun(
    session: AsyncSession, runtime: Runtime, caller: Principal, entry_id: UUID
) -> Rerun:
    """Repeat a calculation, keep it, and compare the two.

    Raises:
        CalculationNotFound: it is not in the caller's history.
        BatchNotFound: the rows of the batch are no longer kept.
        Problem: the request can no longer be answered; what a calculation raises.
    """
    async with runtime.tenant_session(caller.organisation_id, caller.client_id) as reading:
        before = await archive.entry_of(reading, caller, entry_id)
        parts = await running.parts_of(reading, caller, entry_id) if before.kind == "batch" else []
    after_id = await _again(session, runtime, caller, before, parts)
    if after_id is None:
        raise OnlyUsers("Log in as a user to repeat a calculation.")
    after = await archive.entry_of(session, caller, after_id)
    return Rerun(calculation=archive.detail_of(after), comparison=archive.compared(before, after))


async def _again(
    session: AsyncSession,
    runtime: Runtime,
    caller: Principal,
    before: HistoryEntry,
    parts: Sequence[Part],
) -> UUID | None:
    if before.kind == "calculation":
        body = CalculationRequest.model_validate(before.request)
        return (await answer(runtime, caller, body)).id
    if before.kind == "projection":
        longer = ProjectionRequest.model_validate(before.request)
        return (await answer_projection(runtime, caller, longer)).id
    asked = sheets.joined([part.asked for part in parts])
    return (await running.run(session, runtime, caller, asked)).summary.batch_id
