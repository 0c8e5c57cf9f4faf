"""Leaves a party alone that does not answer, and tries again after a while."""

from datetime import datetime, timedelta

_FAILURES = 3
_PAUSE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=10)


class Breaker:
    """Opens after three failures in a row, or at once when the party says how long to stay away."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_until: datetime | None = None

    def allows(self, now: datetime) -> bool:
        """Return whether to ask. After the pause one caller tries, the others wait for it."""
        if self._closed_until is None:
            return True
        if now < self._closed_until:
            return False
        self._closed_until = now + _PAUSE
        return True

    def succeeded(self) -> None:
        """Count an answer."""
        self._failures, self._closed_until = 0, None

    def failed(self, now: datetime, pause: timedelta | None = None) -> None:
        """Count a failure; `pause` is what the party itself asked for."""
        self._failures += 1
        if pause is not None or self._failures >= _FAILURES:
            self._closed_until = now + min(pause or _PAUSE, LONGEST_PAUSE)
