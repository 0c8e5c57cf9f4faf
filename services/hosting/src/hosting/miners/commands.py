"""Orders given by hand: start, shutdown, reboot. Plans give theirs elsewhere."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, NotFound
from common.ids import new_id
from common.pages import PageRequest, page_of, paged
from hosting.db import Outbox
from hosting.domain.miner_status import (
    ACTION_FROM,
    ACTION_TO,
    DEVICE_ACTION,
    PROVEN_STATUS,
    MinerAction,
    MinerStatus,
    may_become,
)
from hosting.miners.events import COMMANDS_PER_EVENT, CommandOrdered, MinerCommand
from hosting.miners.holds import held, plans_holding
from hosting.miners.models import Command, Miner
from hosting.miners.registry import miner_of, record
from hosting.miners.schemas import CommandView
from hosting.miners.statuses import StatusConflict, fall_silent, locked, move
from hosting.settings import Settings

UNDER_WAY = ("ordered", "accepted")
_WAITING = {"sleep": "stopping", "wake": "starting", "reboot": "starting"}


class MinerDisabled(Conflict):
    title: ClassVar[str] = "The machine is disabled"


class CommandNotFound(NotFound):
    title: ClassVar[str] = "No such command"


def refusal(miner: Miner, action: MinerAction, plans: Mapping[UUID, UUID]) -> Conflict | None:
    """Return why the machine cannot be ordered to do this now, if it cannot.

    `plans` names the live plan of each machine that one holds down.
    """
    by_plan = held(miner, action, plans)
    if by_plan is not None:
        return by_plan
    if not miner.enabled:
        return MinerDisabled(f"{miner.serial_number} is disabled; enable it first.")
    if miner.status not in ACTION_FROM[action]:
        allowed = ", ".join(sorted(ACTION_FROM[action]))
        return StatusConflict(
            f"{miner.serial_number} is {miner.status}; {action} works from: {allowed}.",
            status_now=miner.status,
        )
    return None


async def order_one(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    miner_id: UUID,
    action: MinerAction,
) -> UUID:
    """Order one machine to start, stop or reboot; return the command's id."""
    miner = await miner_of(session, miner_id, change=True)
    refused = refusal(miner, action, await plans_holding(session, [miner_id]))
    if refused is not None:
        raise refused
    return (await order(session, principal, settings, [miner], action))[miner_id]


async def order(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    miners: Sequence[Miner],
    action: MinerAction,
) -> Mapping[UUID, UUID]:
    """Order locked machines, none of which refuses; return command ids by machine."""
    ordered_at = now()
    deadline_at = ordered_at + timedelta(seconds=settings.command_deadline_s)
    commands = [
        Command(
            id=new_id(),
            organisation_id=miner.organisation_id,
            client_id=miner.client_id,
            miner_id=miner.id,
            site_id=miner.site_id,
            action=DEVICE_ACTION[action],
            state="ordered",
            status_before=miner.status,
            ordered_by=principal.subject,
            ordered_at=ordered_at,
            deadline_at=deadline_at,
        )
        for miner in miners
    ]
    session.add_all(commands)
    await move(session, miners, ACTION_TO[action])
    for group in _by_site(commands).values():
        _publish(session, group)
    await record(session, principal, f"miner.{action}", miners)
    return {command.miner_id: command.id for command in commands}


async def list_commands(
    session: AsyncSession, miner_id: UUID | None, page: PageRequest
) -> dict[str, Any]:
    """Return one page of orders given by hand, newest first."""
    query = select(Command).order_by(Command.id.desc())
    if miner_id is not None:
        query = query.where(Command.miner_id == miner_id)
    commands, total = await paged(session, query, page)
    return page_of([CommandView.model_validate(one) for one in commands], total, page)


async def command_of(session: AsyncSession, command_id: UUID) -> CommandView:
    """Return one order given by hand."""
    command = await session.get(Command, command_id)
    if command is None:
        raise CommandNotFound(f"There is no command {command_id}.")
    return CommandView.model_validate(command)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What telemetry says of one order."""

    command_id: UUID
    state: str
    detail: str | None
    at: datetime


async def conclude(session: AsyncSession, outcomes: Sequence[Outcome]) -> None:
    """Write down how orders go, and what that makes of the machines' statuses.

    Repeated and late reports change nothing: the first conclusion of an order stands.
    """
    commands = await _orders(session, [outcome.command_id for outcome in outcomes])
    ended: list[Command] = []
    for outcome in outcomes:
        command = commands.get(outcome.command_id)
        if command is None or command.state not in UNDER_WAY:
            continue
        command.state, command.detail = outcome.state, outcome.detail
        if outcome.state not in UNDER_WAY:
            command.finished_at = outcome.at
            ended.append(command)
    await session.flush()
    await _settle(session, ended)


async def _settle(session: AsyncSession, ended: Sequence[Command]) -> None:
    """Give machines the status that follows from their ended orders."""
    miner_ids = [command.miner_id for command in ended]
    miners = {miner.id: miner for miner in await locked(session, miner_ids)}
    latest = set(await _latest(session, miner_ids))
    following: defaultdict[MinerStatus, list[Miner]] = defaultdict(list)
    for command in ended:
        miner = miners.get(command.miner_id)
        if miner is None or miner.status != _WAITING[command.action] or command.id not in latest:
            continue  # removed, in maintenance, or ordered otherwise meanwhile
        to = PROVEN_STATUS[command.action] if command.state == "verified" else _back(command)
        if to == "active" and not miner.reachable:
            to = "offline"
        if may_become(miner.status, to):
            following[to].append(miner)
    for to, group in following.items():
        if to == "offline":
            await fall_silent(session, group, now())
        else:
            await move(session, group, to)


def _back(command: Command) -> MinerStatus:
    """Return where an order that came to nothing leaves the machine: where it was before."""
    transient = {"stopping": "active", "starting": "curtailed"}
    return cast("MinerStatus", transient.get(command.status_before, command.status_before))


async def _orders(session: AsyncSession, command_ids: Sequence[UUID]) -> dict[UUID, Command]:
    rows = await session.scalars(
        select(Command).where(Command.id.in_(command_ids)).order_by(Command.id).with_for_update()
    )
    return {command.id: command for command in rows}


async def _latest(session: AsyncSession, miner_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Return the newest order of each machine; ids grow with time."""
    rows = await session.scalars(
        select(Command.id)
        .where(Command.miner_id.in_(miner_ids))
        .order_by(Command.miner_id, Command.id.desc())
        .ext(distinct_on(Command.miner_id))
    )
    return rows.all()


def _by_site(commands: Sequence[Command]) -> dict[UUID, list[Command]]:
    groups: defaultdict[UUID, list[Command]] = defaultdict(list)
    for command in commands:
        groups[command.site_id].append(command)
    return groups


def _publish(session: AsyncSession, commands: Sequence[Command]) -> None:
    """Publish orders to machines of one site, a thousand in each event."""
    first = commands[0]
    for start in range(0, len(commands), COMMANDS_PER_EVENT):
        part = commands[start : start + COMMANDS_PER_EVENT]
        session.add(
            Outbox.of(
                CommandOrdered(
                    organisation_id=first.organisation_id,
                    site_id=first.site_id,
                    action=first.action,
                    commands=[
                        MinerCommand(command_id=one.id, miner_id=one.miner_id) for one in part
                    ],
                    reason="ordered by hand",
                    deadline_at=first.deadline_at,
                )
            )
        )
