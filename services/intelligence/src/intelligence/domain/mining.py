"""Signals that only the network gives: what miners earn, and whether they give up.

Each is null, with the reason, while the history is too short for it.
"""

from dataclasses import dataclass

import numpy as np

from intelligence.domain.indicators import DAY_S, Column
from intelligence.domain.signals import Signal

YEAR_DAYS = 365
LEAST_OF_A_YEAR = 350
"""Days of the last 365 that must have a close: a venue may have been away for two weeks."""
LEAST_DAYS = 90
BLOCK_S = 600
HALVING_BLOCKS = 210_000
EPOCH_BLOCKS = 2016
_FAST_DAYS, _SLOW_DAYS = 30, 60
_LONGEST_EPOCH_DAYS = 28


@dataclass(frozen=True, slots=True)
class Days:
    """Daily closes: when the day began, and its last price in USD."""

    time_s: Column
    close: Column

    def last(self, days: int) -> "Days":
        """Return those of the last days that there are."""
        recent = self.time_s > (self.time_s[-1] if len(self.time_s) else 0) - days * DAY_S
        return Days(self.time_s[recent], self.close[recent])


@dataclass(frozen=True, slots=True)
class Epochs:
    """Difficulty epochs in order: first height, start and difficulty of each."""

    height: Column
    started_s: Column
    difficulty: Column


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal: its value, what it says, and in words why; without a value, why not."""

    value: float | None
    signal: Signal
    reason: str


def unbroken(epochs: Epochs) -> Epochs:
    """Return the last epochs that follow each other without a gap."""
    broken = np.flatnonzero(np.diff(epochs.height) != EPOCH_BLOCKS)
    first = int(broken[-1]) + 1 if len(broken) else 0
    return Epochs(epochs.height[first:], epochs.started_s[first:], epochs.difficulty[first:])


def issued_btc(height: Column) -> Column:
    """Return the subsidies of all blocks below a height: 50 BTC, halved every 210,000 blocks."""
    halvings = np.floor(height / HALVING_BLOCKS)
    share = 0.5**halvings
    return 50 * (HALVING_BLOCKS * 2 * (1 - share) + (height - halvings * HALVING_BLOCKS) * share)


def height_at(time_s: Column, epochs: Epochs) -> Column:
    """Return the chain's height at a time: even between epochs, a block every 600 s since the last.

    NaN before the first epoch.
    """
    known = np.interp(time_s, epochs.started_s, epochs.height, left=np.nan)
    since = np.maximum(0.0, time_s - epochs.started_s[-1]) / BLOCK_S
    return known + since


def difficulty_at(time_s: Column, epochs: Epochs) -> Column:
    """Return the difficulty in force at a time; NaN before the first epoch."""
    row = np.searchsorted(epochs.started_s, time_s, side="right") - 1
    return np.where(row >= 0, epochs.difficulty[row], np.nan)


def puell(days: Days, epochs: Epochs) -> Reading:
    """Puell multiple: the dollars issued in the last day by their mean over 365 days.

    At most 0.5 buys (miners earn half of what they are used to, and sell no more than they must),
    at least 4 sells. Source: David Puell, 2019.
    """
    year = days.last(YEAR_DAYS)
    short = _short(year, epochs, LEAST_OF_A_YEAR)
    if short:
        return short
    issued = issued_btc(height_at(year.time_s + DAY_S, epochs)) - issued_btc(
        height_at(year.time_s, epochs)
    )
    worth = issued * year.close
    value = float(worth[-1] / worth.mean())
    return _reading(value, 0.5, 4, f"A day's new coins are worth {value:.2f} times the year's mean")


def hashprice_percentile(days: Days, epochs: Epochs) -> Reading:
    """Share of the last 365 days (at least 90) on which a hash earned less, in percent.

    From the subsidy alone, without fees. At most 10 buys, at least 90 sells.
    """
    year = days.last(YEAR_DAYS)
    short = _short(year, epochs, LEAST_DAYS)
    if short:
        return short
    subsidy = 50 * 0.5 ** np.floor(height_at(year.time_s, epochs) / HALVING_BLOCKS)
    earned = subsidy * year.close / difficulty_at(year.time_s, epochs)
    last = earned[-1]
    below, equal = int((earned < last).sum()), int((earned == last).sum())
    value = 100 * (below + equal / 2) / len(earned)
    words = f"A hash earned less on {value:.0f} % of {len(earned)} days"
    return _reading(value, 10, 90, words)


def hash_ribbons(days: Days, epochs: Epochs, now_s: float) -> Reading:
    """Return the 30-day mean of the network's hashrate by its 60-day mean, day by day.

    Below 1 miners give up. BUY within 30 days of the return above 1, when the 10-day mean of the
    price is above its 20-day mean; never SELL. The hashrate is what the difficulty implies.
    Source: Charles Edwards, 2019.
    """
    wanted = _SLOW_DAYS + _FAST_DAYS
    short = _missing_epochs(epochs, now_s - wanted * DAY_S, now_s)
    if short:
        return short
    hashrate = difficulty_at(now_s - DAY_S * np.arange(wanted, -1, -1, dtype=np.float64), epochs)
    ratio = _mean(hashrate, _FAST_DAYS)[-_FAST_DAYS:] / _mean(hashrate, _SLOW_DAYS)[-_FAST_DAYS:]
    value = float(ratio[-1])
    if value < 1:
        return Reading(value, Signal.NEUTRAL, "Miners give up: the hashrate is below its mean.")
    if (ratio >= 1).all():
        return Reading(value, Signal.NEUTRAL, "The hashrate grows; no capitulation in 30 days.")
    return _recovered(value, days.close)


def _recovered(value: float, close: Column) -> Reading:
    words = "Miners have come back after a capitulation"
    if len(close) < 20:  # noqa: PLR2004  (the days of the slower mean)
        return Reading(value, Signal.NEUTRAL, f"{words}; 20 daily closes would confirm it.")
    if close[-10:].mean() > close[-20:].mean():
        return Reading(value, Signal.BUY, f"{words}, and the price rises.")
    return Reading(value, Signal.NEUTRAL, f"{words}; the price does not rise yet.")


def _mean(values: Column, days: int) -> Column:
    total = np.concatenate(([0.0], np.cumsum(values)))
    return (total[days:] - total[:-days]) / days


def _short(days: Days, epochs: Epochs, least: int) -> Reading | None:
    if len(days.close) < least:
        return _too_short(f"{least} daily closes are needed; {len(days.close)} are stored.")
    return _missing_epochs(epochs, float(days.time_s[0]), float(days.time_s[-1]))


def _missing_epochs(epochs: Epochs, from_s: float, to_s: float) -> Reading | None:
    days = (to_s - from_s) / DAY_S
    if not len(epochs.started_s):
        return _too_short(f"Difficulty epochs of {days:.0f} days are needed; none are stored.")
    known = (to_s - float(epochs.started_s[0])) / DAY_S
    if known < days:
        return _too_short(
            f"Difficulty epochs of {days:.0f} days are needed; those of {known:.0f} are stored."
        )
    if (to_s - float(epochs.started_s[-1])) / DAY_S > _LONGEST_EPOCH_DAYS:
        return _too_short("The stored difficulty epochs are out of date.")
    return None


def _too_short(reason: str) -> Reading:
    return Reading(None, Signal.NEUTRAL, reason)


def _reading(value: float, buy: float, sell: float, words: str) -> Reading:
    said = Signal.BUY if value <= buy else Signal.SELL if value >= sell else Signal.NEUTRAL
    return Reading(value, said, f"{words} (buy at {buy:g} or less, sell at {sell:g} or more).")
