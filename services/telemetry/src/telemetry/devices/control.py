"""Orders to miners, and which family can carry out which."""

from collections.abc import Awaitable, Callable, Mapping

from telemetry.devices.device import (
    LIMITS,
    Action,
    Capabilities,
    CommandResult,
    CommandState,
    Device,
    Limits,
)
from telemetry.devices.families import antminer, generic, luxos, whatsminer
from telemetry.devices.polling import declared_family
from telemetry.domain.reading import Family

ACTIONS: Mapping[Family, frozenset[Action]] = {
    Family.LUXOS: luxos.ACTIONS,
    Family.WHATSMINER: whatsminer.ACTIONS,
    Family.ANTMINER: antminer.ACTIONS,
    Family.GENERIC: generic.ACTIONS,
}
Adapter = Callable[[Device, Action, str | None, Limits], Awaitable[CommandResult]]
_ADAPTERS: Mapping[Family, Adapter] = {
    Family.LUXOS: luxos.command,
    Family.WHATSMINER: whatsminer.command,
}


def family_for(device: Device, capabilities: Capabilities) -> Family | None:
    """Return the family to speak to: what the miner itself showed before what its owner said."""
    learned_here = capabilities.learned_from == (device.address, device.port, device.firmware)
    learned = capabilities.family if learned_here else None
    return learned or declared_family(device)


async def command(
    device: Device,
    action: Action,
    credential: str | None,
    capabilities: Capabilities,
    limits: Limits = LIMITS,
) -> CommandResult:
    """Give one order; nothing is raised, and nothing is sent twice.

    The caller holds the miner's lock, as for a poll. A family that has no such order is not
    contacted. Accepted means that the miner said so: only telemetry proves that it happened. The
    credential is used and forgotten, and never part of the detail.
    """
    family = family_for(device, capabilities)
    if family is None:
        detail = "The miner's firmware is not known; it has to answer a poll first."
        return CommandResult(CommandState.UNSUPPORTED, detail)
    adapter = _ADAPTERS.get(family)
    if adapter is None or action not in ACTIONS[family]:
        detail = f"Firmware of the family {family} takes no order to {action} on this port."
        return CommandResult(CommandState.UNSUPPORTED, detail)
    return await adapter(device, action, credential, limits)
