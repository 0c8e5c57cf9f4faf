"""Single values as miners write them, turned into numbers and texts that mean something.

Each function takes what JSON gave, returns None for what the miner does not say, and adds a flag
where it says something that cannot be.
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from telemetry.domain.reading import Flag

LONGEST_TEXT = 256
LARGEST_COUNTER = 2**63 - 1
LARGEST_SMALL_COUNT = 2**31 - 1
HIGHEST_POWER_W = 50_000.0
HIGHEST_RATE_THS = 10_000.0
WORTHLESS_RATE_THS = 1e12
"""Beyond this a rate is no slip of the unit any more, and is not kept at all."""
RATED_TIMES = 5.0
COLDEST_C = -40.0
HOTTEST_C = 150.0
FASTEST_FAN_RPM = 30_000

_WITH_UNIT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:[A-Za-z%°/]{1,6})?")
_UNITS: Final = (("GHS", 1e3), ("MHS", 1e6), ("THS", 1.0), ("KHS", 1e9))
_CREDENTIALS = re.compile(r"//[^/@]*@")

Flags = set[Flag]


def number(value: object, flags: Flags) -> float | None:
    """Read a number, also one that was written as text, with or without its unit."""
    if type(value) is float or type(value) is int:
        return value
    if value is None:
        return None
    if type(value) is str:
        return _number_in(value, flags)
    flags.add(Flag.WRONG_SHAPE)
    return None


def _number_in(text: str, flags: Flags) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return _number_beside_its_unit(text, flags)
    if math.isfinite(found):
        return found
    flags.add(Flag.NOT_FINITE)
    return None


def _number_beside_its_unit(text: str, flags: Flags) -> float | None:
    if not text or text.isspace():
        return None
    match = _WITH_UNIT.fullmatch(text.strip()) if len(text) < LONGEST_TEXT else None
    if match is None:
        flags.add(Flag.WRONG_SHAPE)
        return None
    return float(match.group(1))


def counter(value: object, flags: Flags, largest: int = LARGEST_COUNTER) -> int | None:
    """Read a count that is never negative."""
    found = value if type(value) is int else number(value, flags)
    if found is None:
        return None
    if not 0 <= found <= largest:
        flags.add(Flag.IMPLAUSIBLE)
        return None
    return int(found)


def temperature(value: object, flags: Flags) -> float | None:
    """Read degrees Celsius; 0 and -1 are sensors that are not there."""
    found = number(value, flags)
    if found is None or found in {0, -1}:
        return None
    if not COLDEST_C < found < HOTTEST_C:
        flags.add(Flag.IMPLAUSIBLE)
        return None
    return float(found)


def temperatures(value: object, flags: Flags) -> list[float]:
    """Read one temperature or several, which stock firmware writes as "78-50-69-70"."""
    parts: Sequence[object] = (value,)
    if type(value) is str and "-" in value.strip()[1:]:
        parts = value.split("-")
    return [c for part in parts if (c := temperature(part, flags)) is not None]


def hottest(value: object, flags: Flags) -> float | None:
    """Return the highest of what `temperatures` reads."""
    if type(value) is str and (highest := _hottest_in(value)) is not None:
        return highest
    return max(temperatures(value, flags), default=None)


@lru_cache(maxsize=8192)
def _hottest_in(text: str) -> float | None:
    """Return the highest of whole degrees in bounds, which is the rule; None otherwise.

    A fleet's boards write the same few texts again and again.
    """
    try:
        found = [*map(int, text.split("-"))]
    except ValueError:
        return None
    return float(max(found)) if min(found) > 0 and max(found) < HOTTEST_C else None


def power(value: object, flags: Flags) -> float | None:
    """Read watts. A miner that answers -1 does not know, and says so in an impossible way."""
    found = number(value, flags)
    if found is None:
        return None
    if not 0 <= found <= HIGHEST_POWER_W:
        flags.add(Flag.IMPLAUSIBLE)
        return None
    return float(found)


def fan(value: object, flags: Flags) -> int | None:
    """Read the turns per minute of a fan; 0 is a fan that stands still."""
    return counter(value, flags, FASTEST_FAN_RPM)


def rate_keys(window: str) -> tuple[tuple[str, float], ...]:
    """Return the names of a hashrate in each unit, with what one TH/s is in it."""
    return tuple((f"{unit} {window}", per_ths) for unit, per_ths in _UNITS)


def rate(
    row: Mapping[str, object],
    keys: tuple[tuple[str, float], ...],
    flags: Flags,
    nameplate_ths: float | None,
) -> float | None:
    """Read a hashrate in TH/s; the unit is in the key's name and is never guessed from the size.

    A rate far beyond what the machine is rated for is kept as it is, and flagged.
    """
    for key, per_ths in keys:
        value = row.get(key)
        if value is not None:
            found = number(value, flags)
            return None if found is None else _plausible(found / per_ths, flags, nameplate_ths)
    return None


def _plausible(rate_ths: float, flags: Flags, nameplate_ths: float | None) -> float | None:
    ceiling = HIGHEST_RATE_THS if nameplate_ths is None else nameplate_ths * RATED_TIMES
    if 0 <= rate_ths <= ceiling:
        return round(rate_ths, 6)
    flags.add(Flag.IMPLAUSIBLE)
    return round(rate_ths, 6) if 0 <= rate_ths < WORTHLESS_RATE_THS else None


def text(value: object, flags: Flags) -> str | None:
    """Read a text: bounded, without control characters, None when empty."""
    if type(value) is str:
        if len(value) <= LONGEST_TEXT and value.isprintable():
            return value or None
        kept = "".join(c if c.isprintable() else " " for c in value[:LONGEST_TEXT])
        return kept.strip() or None
    if value is None:
        return None
    if type(value) is int or type(value) is float:
        return str(value)[:LONGEST_TEXT]
    flags.add(Flag.WRONG_SHAPE)
    return None


def pool_url(value: object, flags: Flags) -> str | None:
    """Read a pool's address without a user and password that someone wrote into it."""
    url = text(value, flags)
    if url is None or "@" not in url:
        return url
    return _CREDENTIALS.sub("//", url)


def truth(value: object) -> bool | None:
    """Read a yes or no, also one that was written as text."""
    if type(value) is bool:
        return value
    if type(value) is str:
        return {"true": True, "y": True, "false": False, "n": False}.get(value.strip().lower())
    return None
