import pytest

from intelligence.market.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_the_first_failure_alone_changes_nothing_and_pauses_double_after() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    assert not breaker.is_open
    pauses: list[float] = []
    for _ in range(9):
        breaker.failed()
        began = clock.s
        while breaker.is_open:
            clock.s += 0.5
        pauses.append(clock.s - began)
    expected = [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert pauses == [pytest.approx(pause, rel=0.2, abs=0.6) for pause in expected]
    breaker.failed()
    breaker.succeeded()
    assert (breaker.is_open, breaker.failures) == (False, 0)


def test_a_venue_that_asks_for_patience_gets_it_but_not_for_ever() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed(retry_after_s=30)
    clock.s = 29
    assert breaker.is_open
    clock.s = 31
    assert not breaker.is_open
    breaker.failed(retry_after_s=1e9)
    clock.s = 31 + 3601
    assert not breaker.is_open
