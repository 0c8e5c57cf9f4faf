"""Which difficulty and subsidy held at a moment, from an incomplete list of epochs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from calculator.domain.network import (
    BLOCK_S,
    MAX_RETARGET_FACTOR,
    RETARGET_BLOCKS,
    RETARGET_S,
    bits_of,
    difficulty_of,
    epoch_after,
    subsidy_btc,
)

_LARGEST_DRIFT = 0.1
"""How far the pace of blocks over years has strayed from ten minutes, and more."""
_FEW_BLOCKS = 36
"""Below six hours of blocks, their pace says more of luck than of the network."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Blocks in a row with one difficulty and one subsidy, known by the first of them."""

    height: int
    started_at: datetime
    difficulty: Decimal
    bits: int | None
    subsidy_btc: Decimal
    source: str
    simulated: bool


def epoch_from(
    height: int, started_at: datetime, difficulty: Decimal, source: str, *, simulated: bool
) -> Epoch:
    """Return the epoch that begins with a block; a rounded difficulty is made exact again."""
    bits = bits_of(difficulty)
    exact = difficulty if bits is None else difficulty_of(bits)
    return Epoch(height, started_at, exact, bits, subsidy_btc(height), source, simulated)


def in_force(epochs: Iterable[Epoch], at: datetime, now: datetime) -> Epoch | None:
    """Return the epoch of the blocks made at a moment, or None where the list has a gap.

    The last known epoch before the moment counts only if the one that follows it is known too, or
    if it cannot be over yet: difficulty is never guessed.
    """
    ordered = sorted(epochs, key=lambda one: one.height)
    before = [one for one in ordered if one.started_at <= at]
    if not before or at > now:
        return None
    last = before[-1]
    after = [one for one in ordered if one.height > last.height]
    if after:
        return last if after[0].height == epoch_after(last.height) else None
    shortest = timedelta(seconds=RETARGET_S / MAX_RETARGET_FACTOR)
    return last if at - last.started_at < shortest else None


def reckoned_height(height: int, at: datetime, now: datetime) -> int | None:
    """Return about how high the chain is now, from a block and its time, at ten minutes a block.

    None where the pace could have carried it into another subsidy: that is never guessed.
    """
    blocks = (now - at).total_seconds() / BLOCK_S
    slow, fast = (int(height + blocks * (1 + drift)) for drift in (-_LARGEST_DRIFT, _LARGEST_DRIFT))
    if blocks < 0 or subsidy_btc(slow) != subsidy_btc(fast + 1):
        return None
    return height + int(blocks)


def objection(rows: Iterable[tuple[int, datetime, Decimal]], tip: int) -> str | None:
    """Return why a list of (height, time, difficulty) is not this network's, or None."""
    previous: tuple[int, datetime, Decimal] | None = None
    for height, at, difficulty in sorted(rows):
        if height % RETARGET_BLOCKS or height > tip:
            return f"no difficulty begins at block {height}"
        if previous is not None:
            blocks = height - previous[0]
            if blocks == 0 or at <= previous[1]:
                return f"block {height} is not later than the one before"
            ratio = difficulty / previous[2]
            most = MAX_RETARGET_FACTOR ** (blocks // RETARGET_BLOCKS)
            if ratio > most or ratio * most < 1:
                return f"difficulty cannot change so much until block {height}"
        previous = (height, at, difficulty)
    return None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an epoch goes, and where that leads."""

    seconds_per_block: float
    change_percent: float


def pace_of(blocks: int, elapsed_s: float) -> Pace | None:
    """Return the pace after some blocks of an epoch; None while they are too few to tell."""
    if blocks < _FEW_BLOCKS or elapsed_s <= 0:
        return None
    ratio = blocks * BLOCK_S / elapsed_s
    held = min(max(ratio, 1 / MAX_RETARGET_FACTOR), MAX_RETARGET_FACTOR)
    return Pace(elapsed_s / blocks, (held - 1) * 100)
