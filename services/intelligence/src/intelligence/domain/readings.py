"""Which readings may be decided on. A machine that is left out is named, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Protocol

MAX_POWER_W = 100_000.0
MAX_HASHRATE_THS = 100_000.0
CLOCK_SKEW = timedelta(seconds=60)


class SkipReason(StrEnum):
    """Why a machine was not considered."""

    POWER_MISSING = "power_missing"
    POWER_NOT_A_NUMBER = "power_not_a_number"
    POWER_NOT_POSITIVE = "power_not_positive"
    POWER_IMPLAUSIBLE = "power_implausible"
    HASHRATE_MISSING = "hashrate_missing"
    HASHRATE_NOT_A_NUMBER = "hashrate_not_a_number"
    HASHRATE_NEGATIVE = "hashrate_negative"
    HASHRATE_IMPLAUSIBLE = "hashrate_implausible"
    PRICE_MISSING = "price_missing"
    SAMPLED_AT_MISSING = "sampled_at_missing"
    SAMPLED_IN_THE_FUTURE = "sampled_in_the_future"
    STALE = "stale"


class Reading(Protocol):
    """What one machine last said, and what its owner pays."""

    @property
    def id(self) -> str: ...
    @property
    def hashrate_ths(self) -> float | None: ...
    @property
    def power_w(self) -> float | None: ...
    @property
    def sampled_at(self) -> datetime | None: ...
    @property
    def usd_per_kwh(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What a reading must satisfy."""

    now: datetime
    max_age: timedelta | None
    priced: bool


def usable(
    readings: Sequence[Reading], rules: Rules
) -> tuple[list[int], list[tuple[str, SkipReason]]]:
    """Return the positions of the usable readings, and the others with the reason."""
    kept: list[int] = []
    skipped: list[tuple[str, SkipReason]] = []
    for position, reading in enumerate(readings):
        reason = _fault(reading, rules)
        if reason is None:
            kept.append(position)
        else:
            skipped.append((reading.id, reason))
    return kept, skipped


def _fault(reading: Reading, rules: Rules) -> SkipReason | None:
    fault = _power_fault(reading.power_w) or _hashrate_fault(reading.hashrate_ths)
    if fault is not None:
        return fault
    if rules.priced and reading.usd_per_kwh is None:
        return SkipReason.PRICE_MISSING
    return (
        None if rules.max_age is None else _age_fault(reading.sampled_at, rules.now, rules.max_age)
    )


def _power_fault(power_w: float | None) -> SkipReason | None:
    if power_w is None:
        return SkipReason.POWER_MISSING
    if not isfinite(power_w):
        return SkipReason.POWER_NOT_A_NUMBER
    if power_w <= 0:
        return SkipReason.POWER_NOT_POSITIVE
    return SkipReason.POWER_IMPLAUSIBLE if power_w > MAX_POWER_W else None


def _hashrate_fault(hashrate_ths: float | None) -> SkipReason | None:
    if hashrate_ths is None:
        return SkipReason.HASHRATE_MISSING
    if not isfinite(hashrate_ths):
        return SkipReason.HASHRATE_NOT_A_NUMBER
    if hashrate_ths < 0:
        return SkipReason.HASHRATE_NEGATIVE
    return SkipReason.HASHRATE_IMPLAUSIBLE if hashrate_ths > MAX_HASHRATE_THS else None


def _age_fault(sampled_at: datetime | None, now: datetime, max_age: timedelta) -> SkipReason | None:
    if sampled_at is None:
        return SkipReason.SAMPLED_AT_MISSING
    if sampled_at > now + CLOCK_SKEW:
        return SkipReason.SAMPLED_IN_THE_FUTURE
    return SkipReason.STALE if now - sampled_at > max_age else None
