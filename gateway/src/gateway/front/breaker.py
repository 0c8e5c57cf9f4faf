"""A circuit breaker and an in-flight cap per service: fail fast while failing is certain."""

import time
from collections.abc import Callable

from gateway.front.metrics import breaker_open, shed
from gateway.problems import Shed

_FAILURES = 5
_OPEN_S = 2.0


class Breaker:
    """Opens after five failures in a row; then lets one request try, every two seconds."""

    def __init__(
        self, service: str, in_flight_cap: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._cap = in_flight_cap
        self._clock = clock
        self._failures = 0
        self._try_at = 0.0
        self._in_flight = 0
        self._gauge = breaker_open.labels(service)

    def enter(self) -> None:
        """Admit a request; every admitted request must `leave`.

        Raises:
            Shed: the service is failing, or has all it can do.
        """
        if self._failures >= _FAILURES:
            now = self._clock()
            if now < self._try_at:
                shed.labels("breaker").inc()
                raise Shed(
                    f"The {self._service} service is away; it is tried again in a moment.",
                    retry_after_s=self._try_at - now,
                )
            self._try_at = now + _OPEN_S  # this request is the trial
        if self._in_flight >= self._cap:
            shed.labels("in_flight").inc()
            raise Shed(f"The {self._service} service is busy; try again.", retry_after_s=1)
        self._in_flight += 1

    def leave(self) -> None:
        """Count a request as over."""
        self._in_flight -= 1

    def succeeded(self) -> None:
        """Note that the service answered."""
        if self._failures:
            self._failures = 0
            self._gauge.set(0)

    def failed(self) -> None:
        """Note that the service could not be reached, or did not answer in time."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self._try_at = self._clock() + _OPEN_S
            self._gauge.set(1)
