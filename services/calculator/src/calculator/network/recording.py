"""Epochs that a person records, for an installation that reaches no provider."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncSession

from calculator.db import AuditEvent
from calculator.domain.assembly import MANUAL
from calculator.domain.epochs import epoch_from, objection
from calculator.network.epochs import keep
from calculator.network.schemas import ManualEpochs, RecordedEpochs
from calculator.quotes.record import NotThePlatform
from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.errors import Invalid


class NotThisNetwork(Invalid):
    title: ClassVar[str] = "These cannot be epochs of this network"


async def record_epochs(
    session: AsyncSession, principal: Principal, body: ManualEpochs, now: datetime
) -> RecordedEpochs:
    """Keep epochs that a person vouches for; a known one gives way only if it was simulated.

    Raises:
        NotThePlatform: epochs are shared by all organisations.
        NotThisNetwork: they contradict the network's rules, each other, or lie ahead.
    """
    if principal.organisation_id != PLATFORM_ORGANISATION:
        raise NotThePlatform("Epochs are shared by all; record them as the platform's Admin.")
    rows = [(one.height, one.started_at, one.difficulty) for one in body.epochs]
    why = objection(rows, max(height for height, _, _ in rows))
    if why is None and any(at > now for _, at, _ in rows):
        why = "one begins in the future"
    if why is not None:
        raise NotThisNetwork(f"Not recorded: {why}.", field="epochs")
    recorded = await keep(
        session, [epoch_from(*row, MANUAL, simulated=body.simulated) for row in rows]
    )
    await audit(
        session,
        AuditEvent,
        principal,
        action="epochs.record",
        object_type="epochs",
        object_id=MANUAL,
        detail={
            "note": body.note,
            "simulated": body.simulated,
            "recorded": recorded,
            "first_height": min(height for height, _, _ in rows),
            "last_height": max(height for height, _, _ in rows),
        },
    )
    return RecordedEpochs(recorded=recorded, known=len(rows) - recorded)
