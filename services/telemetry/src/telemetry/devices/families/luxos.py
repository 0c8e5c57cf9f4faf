"""LuxOS: a report for each subject, and controls behind a single short session."""

from telemetry.devices.device import (
    Action,
    CommandResult,
    CommandState,
    Device,
    Limits,
    PollPlan,
)
from telemetry.devices.exchange import Reply, encode, exchange, first_row
from telemetry.devices.families.verdict import unreachable_unless_answered, verdict
from telemetry.domain.normalise_answers import status_of

PLAN = PollPlan(
    every_time=("summary", "devs", "pools", "temps", "fans", "power"),
    for_identity=("version", "config", "stats"),  # chips are counted in stats only
)
_ORDERS: dict[Action, tuple[str, tuple[str, ...]]] = {
    Action.SLEEP: ("curtail", ("sleep",)),
    Action.WAKE: ("curtail", ("wakeup",)),
    Action.REBOOT: ("rebootdevice", ()),
}
ACTIONS = frozenset(_ORDERS)
_LONGEST_SESSION_ID = 64


async def command(
    device: Device, action: Action, _credential: str | None, limits: Limits
) -> CommandResult:
    """Log on, give the order, and log off again: the miner has one session for everybody."""
    logon = await _say(device, "logon", (), limits)
    session_id = None if logon.document is None else first_row(logon.document, "SESSION")
    name = (session_id or {}).get("SessionID")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_SESSION_ID:
        return _no_session(logon)
    order, arguments = _ORDERS[action]
    reply = await _say(device, order, (name, *arguments), limits)
    result = verdict(reply)
    if action is not Action.REBOOT or result.state is CommandState.REFUSED:
        await _say(device, "logoff", (name,), limits)  # a session left open expires in a minute
    return result


async def _say(device: Device, name: str, arguments: tuple[str, ...], limits: Limits) -> Reply:
    body = {"command": name}
    if arguments:
        body["parameter"] = ",".join(arguments)
    return await exchange(device, encode(body), limits.deadlines)


def _no_session(logon: Reply) -> CommandResult:
    """Explain why there is no session; nothing was ordered, so nothing can have happened."""
    if logon.document is None:
        return unreachable_unless_answered(logon)
    message = status_of(logon.document).message or "no session in its answer"
    return CommandResult(CommandState.REFUSED, f"The miner opened no session: {message}")
