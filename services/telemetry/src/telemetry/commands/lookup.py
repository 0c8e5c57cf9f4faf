"""Reads commands, behind the tenant wall."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import NotFound
from telemetry.commands.models import Command
from telemetry.commands.schemas import Command as CommandOut


class CommandUnknown(NotFound):
    title: ClassVar[str] = "No such command"


async def command(session: AsyncSession, command_id: UUID) -> CommandOut:
    """Return one command of the caller's."""
    row = await session.get(Command, command_id)
    if row is None:
        raise CommandUnknown(f"There is no command {command_id}; it may not have arrived yet.")
    return CommandOut.model_validate(row)
