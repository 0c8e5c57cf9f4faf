"""When a miner counts as gone, and when a command counts as done."""

import pytest

from telemetry.domain.presence import Presence, probe_distance
from telemetry.domain.proof import is_proven, power_after, power_before
from telemetry.domain.reading import Outcome, Reading


def test_three_silent_slots_and_one_answer() -> None:
    presence = Presence()
    for expected in (None, None, False, False):
        presence = presence.after("silent", limit=3)
        assert presence.online is expected
    assert presence.after("inconclusive", limit=3) == presence
    assert presence.after("up", limit=3) == Presence(online=True)


def test_a_gap_starts_the_count_again() -> None:
    presence = Presence(online=True)
    for sign in ("silent", "silent", "up", "silent", "silent"):
        presence = presence.after(sign, limit=3)
    assert presence.online is True


def test_probes_grow_rare() -> None:
    distances = [probe_distance(silent, limit=3) for silent in (0, 2, 3, 6, 9, 30, 3000)]
    assert distances == [1, 1, 2, 4, 8, 10, 10]


def _reading(outcome: Outcome = Outcome.OK, **values: float | bool | None) -> Reading:
    return Reading(outcome=outcome, **values)  # pyright: ignore[reportArgumentType]  (test values)


@pytest.mark.parametrize(
    ("action", "reading", "proven"),
    [
        ("sleep", _reading(hashrate_5s_ths=0.0, power_w=20.0), True),
        ("sleep", _reading(hashrate_5s_ths=0.0, power_w=900.0), False),
        ("sleep", _reading(hashrate_5s_ths=0.0), True),
        ("sleep", _reading(is_mining=False), True),
        ("sleep", _reading(), False),
        ("sleep", _reading(hashrate_5s_ths=50.0, power_w=20.0), False),
        ("sleep", _reading(Outcome.READ_TIMEOUT, hashrate_5s_ths=0.0, power_w=20.0), False),
        ("wake", _reading(hashrate_5s_ths=3.0), True),
        ("wake", _reading(hashrate_5s_ths=0.0), False),
        ("reboot", _reading(mining_uptime_s=5), True),
        ("reboot", _reading(mining_uptime_s=999), True),
        ("reboot", _reading(mining_uptime_s=1001), False),
        ("reboot", _reading(), False),
    ],
)
def test_proof(action: str, reading: Reading, proven: bool) -> None:
    found = is_proven(
        action,  # pyright: ignore[reportArgumentType]  (from the table)
        reading,
        asleep_below_w=150,
        uptime_before_s=1000,
        since_sent_s=30,
    )
    assert found is proven


def test_power_comes_from_the_machine_or_is_called_an_estimate() -> None:
    assert power_before(_reading(power_w=3100.0), 3250.0).watts == 3100.0
    assert power_before(None, 3250.0).estimated
    assert power_after("sleep", _reading(), 3250.0).watts == 0.0
    assert power_after("wake", _reading(), 3250.0).watts == 3250.0
    assert not power_after("wake", _reading(power_w=3100.0), 3250.0).estimated
