"""Alert rules with hysteresis, so that a value at the threshold does not ring all day.

A rule fires when m of the last n values are beyond `enter`, and clears after n values in a row
on the good side of `leave`. A missing value changes nothing: it is not zero.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When to raise an alert and when to take it back."""

    name: str
    severity: Severity
    enter: float
    leave: float
    needed: int
    of: int
    above: bool
    """True: high values are bad. False: low values are."""

    def is_bad(self, value: float) -> bool:
        """Return whether a value counts towards firing."""
        return value >= self.enter if self.above else value < self.enter

    def is_good(self, value: float) -> bool:
        """Return whether a value counts towards clearing."""
        return value <= self.leave if self.above else value > self.leave


@dataclass(frozen=True, slots=True)
class Watch:
    """Where one rule stands for one miner."""

    firing: bool = False
    bad_bits: int = 0
    """The last n values, newest in the lowest bit; 1 is bad."""
    good_run: int = 0

    def after(self, rule: Rule, value: float | None, *, suppressed: bool = False) -> "Watch":
        """Return where the rule stands after one more value; suppressed = this value is excused."""
        if suppressed:
            return Watch()
        if value is None:
            return self
        bits = (self.bad_bits << 1 | rule.is_bad(value)) & ((1 << rule.of) - 1)
        good_run = min(rule.of, self.good_run + 1) if rule.is_good(value) else 0
        if self.firing:
            cleared = good_run >= rule.of
            return Watch() if cleared else Watch(firing=True, bad_bits=bits, good_run=good_run)
        return Watch(firing=bits.bit_count() >= rule.needed, bad_bits=bits, good_run=good_run)
