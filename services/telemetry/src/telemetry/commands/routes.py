"""Commands over HTTP: looked at here, ordered in hosting."""

from uuid import UUID

from fastapi import APIRouter

from common.db import Session
from common.errors import problems
from telemetry.auth import TelemetryReader
from telemetry.commands import lookup
from telemetry.commands.lookup import CommandUnknown
from telemetry.commands.schemas import Command

router = APIRouter(tags=["telemetry"])


@router.get("/api/telemetry/commands/{command_id}", responses=problems(CommandUnknown))
async def get_command(command_id: UUID, session: Session, _: TelemetryReader) -> Command:
    """Return how far a command has come, and what was measured before and after it."""
    return await lookup.command(session, command_id)
