"""From the answers of one poll to one reading."""

from dataclasses import dataclass, field

from telemetry.domain.normalise_answers import Answers, Row, when_of
from telemetry.domain.normalise_families import (
    HARDWARE,
    Hardware,
    family_of,
    identity_of,
)
from telemetry.domain.normalise_values import (
    Flags,
    counter,
    pool_url,
    rate,
    rate_keys,
    text,
    truth,
)
from telemetry.domain.reading import Family, Flag, Identity, Outcome, Pool, Reading

__all__ = ["Context", "failed", "family_of", "identity_of", "normalise"]

MOST_POOLS = 8
LARGEST_SKEW_S = 300.0
_RATE_5S = rate_keys("5s")
_RATE_AVG = rate_keys("av")
_RATE_30M = rate_keys("30m")
_BTMINER_RATE = (("HS RT", 1e6),)


@dataclass(slots=True)
class Context:
    """What is known of a miner besides its answers."""

    family: Family
    required: tuple[str, ...] = ("summary",)
    """Commands without whose answer the reading is only a part of one."""
    identity: Identity = field(default_factory=Identity)
    """Who answered at this address before."""
    nameplate_hashrate_ths: float | None = None
    now_s: float | None = None
    """Our own time, to notice a miner whose clock is wrong; its time is never used."""


def failed(outcome: Outcome, flags: Flags | None = None) -> Reading:
    """Return a reading that says only why there are no values."""
    return Reading(outcome, flags=tuple(sorted(flags or ())))


def normalise(answers: Answers, context: Context) -> Reading:
    """Return what the answers say in TH/s, W, °C, rpm and s; never raises on any answer."""
    flags = answers.flags
    summary = answers.row("summary", "SUMMARY")
    if not summary:
        return failed(_reason(answers), flags)
    rated = context.nameplate_hashrate_ths
    identity = identity_of(context.family, answers, context.identity)
    if _is_another(context.identity, identity):
        flags.add(Flag.IDENTITY_CHANGED)
    hardware = HARDWARE[context.family](answers, flags, identity)
    rate_5s = rate(summary, _RATE_5S, flags, rated)
    if rate_5s is None and context.family is Family.WHATSMINER:
        rate_5s = rate(summary, _BTMINER_RATE, flags, rated)
    errors = counter(summary.get("Hardware Errors"), flags)
    return Reading(
        hashrate_5s_ths=rate_5s,
        hashrate_avg_ths=rate(summary, _RATE_AVG, flags, rated),
        hashrate_30m_ths=rate(summary, _RATE_30M, flags, rated),
        power_w=hardware.power_w,
        power_estimated=hardware.power_estimated,
        efficiency_j_per_th=_efficiency(hardware, rate_5s),
        chip_temp_max_c=hardware.chip_temp_max_c,
        board_temp_max_c=hardware.board_temp_max_c,
        inlet_temp_c=hardware.inlet_temp_c,
        fans_rpm=hardware.fans_rpm,
        boards=hardware.boards,
        chips=hardware.chips,
        hardware_errors=hardware.hardware_errors if errors is None else errors,
        accepted=counter(summary.get("Accepted"), flags),
        rejected=counter(summary.get("Rejected"), flags),
        stale=counter(summary.get("Stale"), flags),
        mining_uptime_s=counter(summary.get("Elapsed"), flags),
        firmware=identity.firmware,
        model=identity.model,
        mac=identity.mac,
        serial=identity.serial,
        is_mining=None if rate_5s is None else rate_5s > 0,
        pools=_pools(answers, flags),
        error_codes=hardware.error_codes,
        # These two come last: the values above have added their flags by now.
        outcome=_judge(answers, context),
        flags=tuple(sorted(flags)) if flags else (),
    )


def _reason(answers: Answers) -> Outcome:
    """Say why there is no summary: the miner refused it, or its answer has another shape."""
    if "summary" in answers.refused:
        return answers.refused["summary"]
    if Flag.WRONG_SHAPE in answers.flags or answers.parts:
        return Outcome.WRONG_SHAPE
    return next(iter(answers.refused.values()), Outcome.WRONG_SHAPE)


def _is_another(before: Identity, after: Identity) -> bool:
    """Whether another machine answers at this address than before."""
    return (before.mac is not None and before.mac != after.mac) or (
        before.serial is not None and before.serial != after.serial
    )


def _efficiency(hardware: Hardware, rate_ths: float | None) -> float | None:
    if not rate_ths or hardware.power_w is None:
        return None
    return round(hardware.power_w / rate_ths, 3)


def _pools(answers: Answers, flags: Flags) -> tuple[Pool, ...]:
    return tuple(_pool(row, flags) for row in answers.rows("pools", "POOLS")[:MOST_POOLS])


def _pool(row: Row, flags: Flags) -> Pool:
    """Read one pool by its named fields; a password beside them is left behind."""
    get = row.get
    return Pool(
        url=pool_url(get("URL"), flags),
        user=text(get("User"), flags),
        status=text(get("Status"), flags),
        priority=counter(get("Priority"), flags),
        accepted=counter(get("Accepted"), flags),
        rejected=counter(get("Rejected"), flags),
        stale=counter(get("Stale"), flags),
        active=truth(get("Stratum Active")),
    )


def _note_skew(answer: Row, now_s: float | None, flags: Flags) -> None:
    when = when_of(answer)
    if now_s is not None and when is not None and abs(when - now_s) > LARGEST_SKEW_S:
        flags.add(Flag.CLOCK_SKEW)


def _judge(answers: Answers, context: Context) -> Outcome:
    """Decide the outcome, after every value has been read."""
    flags = answers.flags
    _note_skew(answers.parts["summary"], context.now_s, flags)
    if context.family is Family.GENERIC:
        flags.add(Flag.GENERIC_MAPPING)
    if not all(map(answers.parts.__contains__, context.required)):
        flags.add(Flag.PART_MISSING)
        if Outcome.DENIED in answers.refused.values():
            flags.add(Flag.DENIED)
    if flags and (Flag.PART_MISSING in flags or Flag.WRONG_SHAPE in flags):
        return Outcome.PARTIAL
    return Outcome.REPAIRED if answers.repaired else Outcome.OK
