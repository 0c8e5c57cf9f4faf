"""One poll of one miner: the fewest questions that give a whole reading."""

import asyncio
from dataclasses import replace

from telemetry.devices.device import (
    IDENTITY_MAX_AGE_S,
    JOIN_MAX_AGE_S,
    LIMITS,
    NEVER,
    Capabilities,
    Device,
    Limits,
)
from telemetry.devices.exchange import Reply, exchange, reply_in, request_for
from telemetry.devices.families import antminer, generic, luxos, whatsminer
from telemetry.devices.wire import ask
from telemetry.domain.normalise import Context, failed, family_of, normalise
from telemetry.domain.normalise_answers import Answers, refuses_joining, status_of
from telemetry.domain.reading import Family, Flag, Identity, Outcome, Reading

PLANS = {
    Family.LUXOS: luxos.PLAN,
    Family.WHATSMINER: whatsminer.PLAN,
    Family.ANTMINER: antminer.PLAN,
    Family.GENERIC: generic.PLAN,
}
_FAMILIES: dict[str, Family] = {str(family): family for family in Family}
_DETECTION = ("summary", "version")
_WORTH_A_RETRY = frozenset({Outcome.RESET, Outcome.TRUNCATED})
_ANSWERED_BADLY = frozenset({Outcome.NOT_JSON, Outcome.WRONG_SHAPE})


async def poll(
    device: Device, capabilities: Capabilities, limits: Limits = LIMITS
) -> tuple[Reading, Capabilities]:
    """Poll a miner once; every failure is an outcome in the reading, nothing is raised.

    The caller holds the miner's lock: a miner serves one connection at a time, so a poll and a
    command to the same miner must never overlap. Within this call connections follow one another.
    A reset or cut answer is asked for once more after a short random wait, within this call.
    Hand the returned capabilities to the next poll of the same miner.
    """
    now = limits.monotonic()
    known = _still_true(capabilities, device, now)
    family = known.family or declared_family(device)
    reply = None
    if known.joins and family is not None and not _identity_is_due(known, now):
        # The rule: one question, and nothing more alive than it needs while it is under way.
        request = request_for(PLANS[family].every_time)
        answer = await ask(device.address, device.port, request, limits.deadlines)
        reply = reply_in(answer)
    asking = _Asking(device, limits, joins=known.joins)
    if reply is None or family is None or not asking.take_joined(reply, PLANS[family].every_time):
        family = await _ask_step_by_step(asking, family, known, reply, now)
    if known.joins is not asking.joins:
        known = replace(known, joins=asking.joins, joins_learned_at=now)
    if family is None or "summary" not in asking.answers.parts:
        return asking.nothing(), known
    return _concluded(asking, family, known, now)


async def _ask_step_by_step(
    asking: "_Asking", family: Family | None, known: Capabilities, reply: Reply | None, now: float
) -> Family | None:
    """Find out the family where it is not known, and ask for what its plan names."""
    if family is None:
        await asking.for_all(_DETECTION)
        if "summary" not in asking.answers.parts:
            return None
        family = family_of(asking.answers)
    plan, parts = PLANS[family], asking.answers.parts
    if not _identity_is_due(known, now):
        await asking.for_all(plan.every_time, reply)
        return family
    wanted = plan.every_time + plan.for_identity
    await asking.for_all(tuple(command for command in wanted if command not in parts))
    if asking.failure is None:
        await asking.in_turn(plan.for_identity_alone)
    return family


def declared_family(device: Device) -> Family | None:
    """Return the family that the device's owner named, if it is one that we know."""
    return _FAMILIES.get(device.firmware or "")


class _Asking:
    """The questions of one poll, and what came back so far."""

    __slots__ = ("_retried", "answers", "device", "failure", "joins", "limits")

    def __init__(self, device: Device, limits: Limits, *, joins: bool | None) -> None:
        self.device = device
        self.limits = limits
        self._retried = False
        self.answers = Answers()
        self.failure: Outcome | None = None
        self.joins = joins

    async def for_all(self, commands: tuple[str, ...], reply: Reply | None = None) -> None:
        """Ask for several reports: at once where the miner joins, else one after another.

        A reply that is at hand already is the answer to the joined question.
        """
        if self.joins is False or len(commands) < 2:  # noqa: PLR2004  # one alone needs no joining
            await self.in_turn(commands)
            return
        reply = await self._ask(commands, reply)
        if self.take_joined(reply, commands) or reply.document is None:
            return
        if status_of(reply.document).outcome is Outcome.DENIED:
            self.failure = Outcome.DENIED
        else:
            self.joins = False
            await self.in_turn(commands)

    def take_joined(self, reply: Reply, commands: tuple[str, ...]) -> bool:
        """Take the answers out of a joined one; False when it is none."""
        if reply.document is None or refuses_joining(reply.document):
            return False
        self.joins = True
        self._note_repairs(reply)
        self.answers.take_joined(reply.document, commands)
        return True

    async def in_turn(self, commands: tuple[str, ...]) -> None:
        """Ask for reports one by one; a miner that stops answering is not asked further."""
        for command in commands:
            reply = await self._ask((command,))
            if reply.document is not None:
                self._note_repairs(reply)
                self.answers.take(command, reply.document)
                continue
            self.answers.refused[command] = reply.outcome
            if reply.outcome not in _ANSWERED_BADLY:
                return

    async def _ask(self, commands: tuple[str, ...], reply: Reply | None = None) -> Reply:
        request = request_for(commands)
        if reply is None:
            reply = await exchange(self.device, request, self.limits.deadlines)
        if reply.outcome in _WORTH_A_RETRY and not self._retried:
            self._retried = True
            await asyncio.sleep(self.limits.uniform(*self.limits.retry_after_s))
            reply = await exchange(self.device, request, self.limits.deadlines)
        if reply.document is None:
            self.failure = reply.outcome
        return reply

    def _note_repairs(self, reply: Reply) -> None:
        if reply.rules:
            self.answers.flags |= reply.rules
            self.answers.repaired |= reply.outcome is Outcome.REPAIRED

    def nothing(self) -> Reading:
        """Return the reading of a poll that brought no summary."""
        refused = self.answers.refused.get("summary")
        return failed(refused or self.failure or Outcome.WRONG_SHAPE, self.answers.flags)


def _still_true(known: Capabilities, device: Device, now: float) -> Capabilities:
    """Forget what was learned from another device, or too long ago to hold."""
    learned_from = (device.address, device.port, device.firmware)
    if known.learned_from != learned_from:
        return Capabilities(learned_from=learned_from)
    if known.joins is False and now - known.joins_learned_at > JOIN_MAX_AGE_S:
        return replace(known, joins=None)
    return known


def _identity_is_due(known: Capabilities, now: float) -> bool:
    return now - known.identity_learned_at > IDENTITY_MAX_AGE_S


def _concluded(
    asking: _Asking, family: Family, known: Capabilities, now: float
) -> tuple[Reading, Capabilities]:
    """Turn the answers into a reading, and remember what they taught."""
    answers = asking.answers
    if "version" in answers.parts and (seen := family_of(answers)) is not family:
        if seen is Family.GENERIC:
            seen = family  # an unfamiliar name is no reason to doubt what the owner said
        else:
            answers.flags.add(Flag.FIRMWARE_MISMATCH)
        family = seen
    context = Context(
        family=family,
        required=PLANS[family].every_time,
        identity=known.identity,
        nameplate_hashrate_ths=asking.device.nameplate_hashrate_ths,
        now_s=asking.limits.wall_clock(),
    )
    reading = normalise(answers, context)
    return reading, _remembered(reading, answers, family, known, now)


def _remembered(
    reading: Reading, answers: Answers, family: Family, known: Capabilities, now: float
) -> Capabilities:
    learned_at, identity = known.identity_learned_at, known.identity
    asked = "version" in answers.parts or "version" in answers.refused
    if asked or reading.mac != identity.mac:
        learned_at = now if asked else learned_at
        identity = Identity(
            firmware=reading.firmware,
            model=reading.model,
            mac=reading.mac,
            serial=reading.serial,
            chips=reading.chips,
        )
    uptime_s, before_s = reading.mining_uptime_s, known.mining_uptime_s
    if uptime_s is not None and before_s is not None and uptime_s < before_s:
        learned_at = NEVER  # it restarted: perhaps with other firmware, perhaps it is another
    return Capabilities(
        learned_from=known.learned_from,
        family=family,
        joins=known.joins,
        joins_learned_at=known.joins_learned_at,
        identity=identity,
        identity_learned_at=learned_at,
        mining_uptime_s=uptime_s,
    )
