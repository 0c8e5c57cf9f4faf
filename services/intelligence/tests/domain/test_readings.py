from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from intelligence.domain.readings import Rules, SkipReason, usable

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Machine:
    id: str = "m1"
    hashrate_ths: float | None = 104.0
    power_w: float | None = 3068.0
    sampled_at: datetime | None = NOW
    usd_per_kwh: float | None = 0.06


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (Machine(power_w=None), SkipReason.POWER_MISSING),
        (Machine(power_w=nan), SkipReason.POWER_NOT_A_NUMBER),
        (Machine(power_w=inf), SkipReason.POWER_NOT_A_NUMBER),
        (Machine(power_w=0.0), SkipReason.POWER_NOT_POSITIVE),
        (Machine(power_w=-3068.0), SkipReason.POWER_NOT_POSITIVE),
        (Machine(power_w=3_068_000.0), SkipReason.POWER_IMPLAUSIBLE),
        (Machine(hashrate_ths=None), SkipReason.HASHRATE_MISSING),
        (Machine(hashrate_ths=nan), SkipReason.HASHRATE_NOT_A_NUMBER),
        (Machine(hashrate_ths=-1.0), SkipReason.HASHRATE_NEGATIVE),
        (Machine(hashrate_ths=1e9), SkipReason.HASHRATE_IMPLAUSIBLE),
        (Machine(usd_per_kwh=None), SkipReason.PRICE_MISSING),
        (Machine(sampled_at=None), SkipReason.SAMPLED_AT_MISSING),
        (Machine(sampled_at=NOW - timedelta(seconds=181)), SkipReason.STALE),
        (Machine(sampled_at=NOW + timedelta(hours=1)), SkipReason.SAMPLED_IN_THE_FUTURE),
    ],
)
def test_an_unusable_reading_is_named_with_its_reason(machine: Machine, reason: SkipReason) -> None:
    rules = Rules(now=NOW, max_age=timedelta(seconds=180), priced=True)
    assert usable([Machine(id="good"), machine], rules) == ([0], [("m1", reason)])


def test_age_and_price_matter_only_where_asked_for() -> None:
    rules = Rules(now=NOW, max_age=None, priced=False)
    assert usable([Machine(sampled_at=None, usd_per_kwh=None)], rules) == ([0], [])


def test_a_machine_that_draws_power_without_hashing_may_be_stopped() -> None:
    rules = Rules(now=NOW, max_age=None, priced=False)
    assert usable([Machine(hashrate_ths=0.0)], rules) == ([0], [])
