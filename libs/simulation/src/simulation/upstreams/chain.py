"""One chain of blocks for the whole simulated world: heights, times, difficulty, fees.

Epochs of 2,016 blocks follow the network's own rule: the target is multiplied by the time
the 2,016 blocks took over two weeks and rounded to its compact form, so that what one provider
says of difficulty, bits and times agrees with every other and with the arithmetic.
"""

import hashlib
import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

BLOCKS = 2016
TWO_WEEKS_S = 1_209_600
TARGET_1 = 0xFFFF << 208
HASHES_PER_DIFFICULTY = 2**32
HALVING_BLOCKS = 210_000
SATS = 100_000_000
FIRST_EPOCH = 312  # height 628,992, a week before the halving of 2020
FIRST_START_S = 1_588_628_287
FIRST_DIFFICULTY = 16.1e12
GROWTH_PER_EPOCH = 0.0133  # as it was from 2020 to 2024
EPOCHS = 640
MEAN_FEES_SAT = 3_500_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """2,016 blocks of one difficulty."""

    number: int
    started_s: int
    bits: int
    difficulty: float
    timespan_s: int  # from its first block to its last, as the rule counts it

    @property
    def first_height(self) -> int:
        return self.number * BLOCKS


@dataclass(frozen=True, slots=True)
class Block:
    height: int
    time_s: int
    bits: int
    difficulty: float
    subsidy_sat: int
    fees_sat: int
    transactions: int

    @property
    def size_bytes(self) -> int:
        return 900_000 + self.transactions * 250


@dataclass(frozen=True, slots=True)
class _Filling:
    """The blocks of one epoch, as columns."""

    time_s: Integers
    fees_sat: Integers
    transactions: Integers


class Chain:
    """The chain from 2020 on; only blocks up to the asked moment exist at that moment."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._epochs = _epochs(seed)
        self._starts = [epoch.started_s for epoch in self._epochs]
        self._work = np.cumsum([0.0, *(epoch.difficulty * BLOCKS for epoch in self._epochs)])
        self._filling = lru_cache(maxsize=128)(self._fill)

    def epoch_at(self, at_s: float) -> Epoch:
        """Return the epoch of the newest block at a moment."""
        return self._epochs[max(bisect_right(self._starts, at_s) - 1, 0)]

    def epoch_of(self, height: int) -> Epoch:
        return self._epochs[height // BLOCKS - FIRST_EPOCH]

    def epochs_until(self, at_s: float) -> list[Epoch]:
        """Return all epochs begun by a moment, oldest first."""
        return self._epochs[: bisect_right(self._starts, at_s)]

    def height_at(self, at_s: float) -> int:
        """Return the height of the newest block at a moment."""
        epoch = self.epoch_at(at_s)
        found = int(np.searchsorted(self._filling(epoch.number).time_s, at_s, side="right"))
        return epoch.first_height + max(found - 1, 0)

    def knows(self, height: int, at_s: float) -> bool:
        return FIRST_EPOCH * BLOCKS <= height <= self.height_at(at_s)

    def block(self, height: int) -> Block:
        epoch, index = self.epoch_of(height), height % BLOCKS
        filling = self._filling(epoch.number)
        return Block(
            height=height,
            time_s=int(filling.time_s[index]),
            bits=epoch.bits,
            difficulty=epoch.difficulty,
            subsidy_sat=subsidy_sat(height),
            fees_sat=int(filling.fees_sat[index]),
            transactions=int(filling.transactions[index]),
        )

    def blocks(self, first: int, last: int) -> list[Block]:
        """Return the blocks of these heights, both included, that the chain ever has."""
        return [self.block(height) for height in range(max(first, FIRST_EPOCH * BLOCKS), last + 1)]

    def work(self, height: int) -> float:
        """Return the difficulties of all blocks up to this one, added up."""
        epoch = self.epoch_of(height)
        before = float(self._work[epoch.number - FIRST_EPOCH])
        return before + (height % BLOCKS + 1) * epoch.difficulty

    def hashes_per_s(self, height: int, blocks: int) -> float:
        """Return the hashrate that the last so many blocks up to a height tell of."""
        first = max(height - blocks, FIRST_EPOCH * BLOCKS)
        took_s = self.block(height).time_s - self.block(first).time_s
        return self._rate(first, height, took_s)

    def hashes_per_s_between(self, start_s: float, end_s: float) -> float:
        """Return the hashrate that the blocks found between two moments tell of."""
        return self._rate(self.height_at(start_s), self.height_at(end_s), end_s - start_s)

    def hash_of(self, height: int) -> str:
        """Return a hash below the block's target; its end names the height."""
        target = target_of(self.epoch_of(height).bits)
        digest = hashlib.sha256(f"{self._seed}:{height}".encode()).digest()
        return f"{int.from_bytes(digest) % target:064x}"[:56] + f"{height:08x}"

    def height_of(self, block_hash: str, at_s: float) -> int | None:
        """Return the height of a hash this chain has by a moment, or none."""
        try:
            height = int(block_hash[56:], 16)
        except ValueError:
            return None
        if not self.knows(height, at_s) or self.hash_of(height) != block_hash:
            return None
        return height

    def _rate(self, first: int, last: int, took_s: float) -> float:
        done = self.work(last) - self.work(first)
        return done * HASHES_PER_DIFFICULTY / max(took_s, 1.0)

    def _fill(self, number: int) -> _Filling:
        epoch = self._epochs[number - FIRST_EPOCH]
        dice = np.random.default_rng([self._seed, 1, number])
        waits = np.cumsum(dice.exponential(1.0, BLOCKS - 1))
        times = np.concatenate(([0.0], waits / waits[-1])) * epoch.timespan_s
        heights = epoch.first_height + np.arange(BLOCKS)
        tide = 0.5 * np.sin(heights / 1008.0 * 2.0 * math.pi)  # fees rise and fall with the week
        fees = MEAN_FEES_SAT * np.exp(tide + dice.normal(0.0, 0.4, BLOCKS))
        return _Filling(
            time_s=epoch.started_s + np.floor(times).astype(np.int64),
            fees_sat=fees.astype(np.int64),
            transactions=dice.integers(1800, 5200, BLOCKS),
        )


def subsidy_sat(height: int) -> int:
    """Return the new coins of a block, halved every 210,000 blocks."""
    return 50 * SATS >> height // HALVING_BLOCKS


def issued_sat(height: int) -> int:
    """Return all coins issued up to a block, its own included."""
    eras, rest = divmod(height + 1, HALVING_BLOCKS)
    whole = sum(HALVING_BLOCKS * (50 * SATS >> era) for era in range(eras))
    return whole + rest * (50 * SATS >> eras)


def target_of(bits: int) -> int:
    """Return the target that a compact form stands for."""
    size, word = bits >> 24, bits & 0x7FFFFF
    return word << 8 * (size - 3)


def bits_of(target: int) -> int:
    """Return the compact form of a target, rounded down as the network does."""
    size = (target.bit_length() + 7) // 8
    word = target >> 8 * (size - 3)
    if word & 0x800000:  # the top bit would mean a negative number
        word, size = word >> 8, size + 1
    return size << 24 | word


def difficulty_of(bits: int) -> float:
    return TARGET_1 / target_of(bits)


def retargeted(bits: int, timespan_s: int) -> int:
    """Return the compact target after an epoch that took so long."""
    held = min(max(timespan_s, TWO_WEEKS_S // 4), TWO_WEEKS_S * 4)
    return bits_of(target_of(bits) * held // TWO_WEEKS_S)


def _epochs(seed: int) -> list[Epoch]:
    """Return the epochs: difficulty follows steady growth with ups and downs around it."""
    dice = np.random.default_rng([seed, 1])
    swing, started_s = 0.0, FIRST_START_S
    bits = bits_of(int(TARGET_1 / FIRST_DIFFICULTY))
    epochs: list[Epoch] = []
    for number in range(EPOCHS):
        swing = 0.9 * swing + float(dice.normal(0.0, 0.03))
        wanted = math.log(FIRST_DIFFICULTY) + GROWTH_PER_EPOCH * (number + 1) + swing
        difficulty = difficulty_of(bits)
        timespan_s = round(TWO_WEEKS_S * difficulty / math.exp(wanted))
        epochs.append(Epoch(FIRST_EPOCH + number, started_s, bits, difficulty, timespan_s))
        started_s += timespan_s + 1 + int(dice.exponential(600.0))
        bits = retargeted(bits, timespan_s)
    return epochs
