"""How fast an outside party is asked: so many calls a second, and none while it wants to rest."""

import asyncio
import time
from collections.abc import Callable


class TooLong(Exception):
    """The party wants a longer rest than somebody can wait for; `seconds` are left of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no calls are wanted for another {seconds:.0f} s")
        self.seconds = seconds


class Pace:
    """A token bucket that holds a second's worth, shared by all who call."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second)
        self._tokens = self._most
        self._clock = clock
        self._at = clock()
        self._rests_until = 0.0

    def rest(self, seconds: float) -> None:
        """Let nobody call for a while: the party said so."""
        self._rests_until = max(self._rests_until, self._clock() + seconds)

    async def wait(self, at_most_s: float) -> None:
        """Wait for one's turn.

        Raises:
            TooLong: the party wants to rest for longer than `at_most_s`.
        """
        while True:
            rest_s = self._rests_until - self._clock()
            if rest_s > at_most_s:
                raise TooLong(rest_s)
            seconds = self._until_next()
            if seconds <= 0:
                return
            await asyncio.sleep(seconds)

    def _until_next(self) -> float:
        """Take a token and return 0, or return how long to wait before asking again."""
        now = self._clock()
        if now < self._rests_until:
            return self._rests_until - now
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0


class Gate:
    """What all calls of a process to one party pass: so many at once, and so many a second."""

    def __init__(self, parallel: int, per_second: float) -> None:
        self.places = asyncio.Semaphore(parallel)
        self.pace = Pace(per_second)
