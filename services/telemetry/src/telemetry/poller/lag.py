"""Is this worker itself well? A late event loop sees time-outs that never happened."""

import asyncio
import time

_EVERY_S = 0.1


class LoopWatch:
    """Remembers when the event loop last woke up too late to judge others."""

    def __init__(self, limit_s: float = 0.5) -> None:
        self._limit_s = limit_s
        self._lagged_s = float("-inf")

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(_EVERY_S)
            if time.monotonic() - began - _EVERY_S > self._limit_s:
                self._lagged_s = time.monotonic()

    def lagged_since(self, monotonic_s: float) -> bool:
        """Return whether the loop was too late at some time since then."""
        return self._lagged_s >= monotonic_s
