from datetime import UTC, datetime, timedelta

from common.breaker import Breaker

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_three_failures_in_a_row_close_the_door_for_a_minute() -> None:
    breaker = Breaker()
    breaker.failed(NOW)
    breaker.failed(NOW)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(NOW)
        assert breaker.allows(NOW)
    breaker.failed(NOW)
    assert not breaker.allows(NOW + timedelta(seconds=59))
    later = NOW + timedelta(seconds=60)
    assert breaker.allows(later)
    assert not breaker.allows(later)  # one tries, the others wait for it
    breaker.succeeded()
    assert breaker.allows(later)


def test_a_party_that_names_a_pause_gets_it_within_reason() -> None:
    breaker = Breaker()
    breaker.failed(NOW, timedelta(seconds=120))
    assert not breaker.allows(NOW + timedelta(seconds=119))
    assert breaker.allows(NOW + timedelta(seconds=120))
    breaker.failed(NOW, timedelta(days=1))
    assert breaker.allows(NOW + timedelta(minutes=10))
