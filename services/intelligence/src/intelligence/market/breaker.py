"""When to leave a party in peace: after failures, for twice as long each time."""

import random
import time
from collections.abc import Callable

_FIRST_S = 5.0
_LONGEST_S = 300.0


class Breaker:
    """Counts the failures of one party in a row, and says how long it is to be left alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open_until = 0.0
        self.failures = 0

    @property
    def is_open(self) -> bool:
        """Return whether it is too early to ask again."""
        return self._clock() < self._open_until

    def failed(self, retry_after_s: float | None = None) -> None:
        """Note a failure; the first alone changes nothing, a request for patience is honoured."""
        self.failures += 1
        pause_s = 0.0
        if self.failures > 1:
            doubled = _FIRST_S * 2 ** min(self.failures - 2, 10)
            pause_s = min(_LONGEST_S, doubled) * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
        pause_s = max(pause_s, min(retry_after_s or 0.0, 3600.0))
        self._open_until = self._clock() + pause_s

    def succeeded(self) -> None:
        """Note that it answers."""
        self.failures = 0
        self._open_until = 0.0
