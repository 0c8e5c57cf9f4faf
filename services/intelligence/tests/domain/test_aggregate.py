from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.aggregate import Consensus, DropReason, Quote, aggregate, outliers

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def agreed(*prices: str, volume: str = "1") -> Consensus:
    quotes = [Quote(f"v{at}", Decimal(price), Decimal(volume)) for at, price in enumerate(prices)]
    found = aggregate(quotes, NOW)
    assert found is not None
    return found


def test_one_venue_50_percent_off_is_dropped_and_said_so() -> None:
    found = agreed("100000", "100100", "99900", "50000")
    assert found.median == 100000
    [dropped] = found.dropped
    assert (dropped.venue, dropped.reason) == ("v3", DropReason.OUTLIER)
    assert dropped.difference_percent == Decimal("-50.0000")
    assert found.agrees


def test_exactly_two_percent_off_is_kept() -> None:
    assert agreed("100", "100", "102").dropped == []
    assert len(agreed("100", "100", "102.01").dropped) == 1


def test_two_venues_that_disagree_are_both_kept_and_it_is_said() -> None:
    found = agreed("100", "50")
    assert (found.median, found.dropped, found.agrees) == (75, [], False)
    assert not agreed("100", "103").agrees  # each is within 2 % of their middle
    assert agreed("100", "101").agrees


def test_two_against_two_drops_nobody_and_does_not_agree() -> None:
    found = agreed("100", "100.5", "150", "150.5")
    assert (found.dropped, found.agrees) == ([], False)


def test_vwap_is_weighted_by_the_volume_of_the_venues_used() -> None:
    quotes = [
        Quote("a", Decimal(100), Decimal(3)),
        Quote("b", Decimal(101), Decimal(1)),
        Quote("c", Decimal(200), Decimal(1000)),
    ]
    found = aggregate(quotes, NOW)
    assert found is not None
    assert found.vwap == Decimal("100.25")
    assert found.volume == 4
    assert agreed("100", volume="0").vwap is None


def test_stale_venues_do_not_count() -> None:
    old = NOW - timedelta(minutes=4)
    quotes = [
        Quote("a", Decimal(100), Decimal(1), at=NOW),
        Quote("b", Decimal(101), Decimal(1), at=old),
    ]
    found = aggregate(quotes, NOW)
    assert found is not None
    assert found.median == 100
    assert [(one.venue, one.reason) for one in found.dropped] == [("b", DropReason.STALE)]


def test_all_stale_or_none_is_no_price() -> None:
    old = NOW - timedelta(hours=1)
    assert aggregate([Quote("a", Decimal(100), Decimal(1), at=old)], NOW) is None
    assert aggregate([], NOW) is None


def test_a_simulated_venue_does_not_count_beside_a_real_one() -> None:
    simulated = Quote("a", Decimal(100), Decimal(1), simulated=True)
    real = Quote("b", Decimal(101), Decimal(1))
    both = aggregate([simulated, real], NOW)
    alone = aggregate([simulated], NOW)
    assert both is not None
    assert alone is not None
    assert (both.median, both.simulated) == (101, False)
    assert [one.reason for one in both.dropped] == [DropReason.SIMULATED]
    assert (alone.median, alone.simulated) == (100, True)


@given(st.lists(st.decimals("0.01", "1000000", places=2), min_size=1, max_size=9))
def test_never_are_all_dropped_and_the_median_is_among_the_kept(prices: list[Decimal]) -> None:
    off = outliers(prices)
    kept = [price for place, price in enumerate(prices) if place not in off]
    found = agreed(*map(str, prices))
    assert kept
    assert min(kept) <= found.median <= max(kept)
