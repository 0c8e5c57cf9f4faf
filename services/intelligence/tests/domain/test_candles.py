from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.candles import Bar, Interval, clean, consolidate, holes, opening

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
FIRST = datetime(2026, 11, 21, 6, tzinfo=UTC)
MakeBar: TypeAlias = Callable[..., Bar]


@pytest.fixture(scope="session")
def bar() -> MakeBar:
    def make(hours: float = 0, close: str = "100", **changes: object) -> Bar:
        price = Decimal(close)
        values: dict[str, object] = {
            "opened_at": FIRST + timedelta(hours=hours),
            "open": price,
            "high": price + 2,
            "low": price - 2,
            "close": price,
            "volume": Decimal(5),
        }
        return Bar(**(values | changes))  # pyright: ignore[reportArgumentType]  (a test's kwargs)

    return make


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"high": Decimal(90), "low": Decimal(110)}, "high_below_low"),
        ({"close": Decimal("NaN")}, "not_a_number"),
        ({"close": Decimal("Infinity")}, "not_a_number"),
        ({"volume": Decimal("NaN")}, "not_a_number"),
        ({"low": Decimal(0)}, "not_positive"),
        ({"open": Decimal(-1)}, "not_positive"),
        ({"volume": Decimal(-1)}, "negative_volume"),
        ({"high": Decimal("1e12")}, "out_of_range"),
        ({"high": Decimal(99)}, "outside_high_and_low"),
        ({"opened_at": NOW + timedelta(hours=3)}, "future"),
        ({"opened_at": FIRST + timedelta(minutes=7)}, "between_bars"),
    ],
)
def test_a_bar_that_cannot_be_is_rejected_and_counted(
    bar: MakeBar, changes: dict[str, object], reason: str
) -> None:
    cleaned = clean([bar(0), bar(1, **changes), bar(2)], Interval.HOUR, NOW)
    assert cleaned.rejected == {reason: 1}
    assert [one.opened_at for one in cleaned.bars] == [bar(0).opened_at, bar(2).opened_at]


def test_gaps_duplicates_and_out_of_order_candles_are_sorted_and_deduped(bar: MakeBar) -> None:
    given_bars = [bar(3), bar(0), bar(1), bar(1, "101"), bar(4)]
    cleaned = clean(given_bars, Interval.HOUR, NOW)
    assert [one.opened_at for one in cleaned.bars] == [bar(h).opened_at for h in (0, 1, 3, 4)]
    assert cleaned.bars[1].close == 101  # the last said wins
    assert (cleaned.duplicates, cleaned.out_of_order) == (1, 2)
    [hole] = holes([one.opened_at for one in cleaned.bars], Interval.HOUR)
    assert (hole.starts_at, hole.ends_at, hole.bars) == (bar(2).opened_at, bar(3).opened_at, 1)


def test_the_bar_that_has_not_closed_is_left_out_and_is_no_error(bar: MakeBar) -> None:
    cleaned = clean([bar(5), bar(6)], Interval.HOUR, NOW)
    assert [one.opened_at for one in cleaned.bars] == [bar(5).opened_at]
    assert not cleaned.rejected


def test_one_venue_50_percent_off_is_dropped_from_the_bar(bar: MakeBar) -> None:
    venues = {
        "binance": [bar(0, "100")],
        "okx": [bar(0, "100.2")],
        "bybit": [bar(0, "99.9")],
        "deribit": [bar(0, "50")],
    }
    [middle] = consolidate(venues)
    assert middle.close == Decimal(100)
    assert middle.venues == 3
    assert middle.volume == 15
    assert not middle.disputed


def test_two_venues_that_disagree_make_a_disputed_bar(bar: MakeBar) -> None:
    [middle] = consolidate({"binance": [bar(0, "100")], "okx": [bar(0, "150")]})
    assert (middle.close, middle.venues, middle.disputed) == (125, 2, True)


def test_a_venue_that_has_no_bar_leaves_the_others_to_it(bar: MakeBar) -> None:
    index = consolidate({"binance": [bar(0), bar(1)], "okx": [bar(1), bar(2)]})
    assert [(one.opened_at, one.venues) for one in index] == [
        (bar(0).opened_at, 1),
        (bar(1).opened_at, 2),
        (bar(2).opened_at, 1),
    ]


def test_simulated_bars_count_only_where_there_is_no_real_one(bar: MakeBar) -> None:
    index = consolidate(
        {"binance": [bar(0, "100"), bar(1, "7", simulated=True, low=Decimal(5))],
         "okx": [bar(0, "101", simulated=True)]}
    )  # fmt: skip
    assert [(one.close, one.simulated) for one in index] == [(100, False), (7, True)]


_PRICES = st.decimals("1", "1000000", places=2)


@given(st.lists(st.tuples(_PRICES, _PRICES, _PRICES, _PRICES), min_size=1, max_size=6))
def test_the_index_keeps_high_above_and_low_below(
    bars: list[tuple[Decimal, Decimal, Decimal, Decimal]],
) -> None:
    venues = {
        str(place): [Bar(FIRST, *(four[0], max(four), min(four), four[3]), Decimal(1))]
        for place, four in enumerate(bars)
    }
    [middle] = consolidate(venues)
    assert middle.low <= min(middle.open, middle.close)
    assert middle.high >= max(middle.open, middle.close)


@given(st.sets(st.integers(0, 60), min_size=2))
def test_bars_and_holes_together_are_every_bar(hours: set[int]) -> None:
    times = [FIRST + timedelta(hours=hour) for hour in sorted(hours)]
    missing = sum(hole.bars for hole in holes(times, Interval.HOUR))
    assert missing + len(times) == max(hours) - min(hours) + 1


def test_bars_open_on_the_utc_day_and_hour() -> None:
    assert opening(NOW, Interval.DAY) == datetime(2026, 11, 21, tzinfo=UTC)
    assert opening(NOW, Interval.FOUR_HOURS) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert opening(NOW, Interval.MINUTE) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    lengths = [interval.length for interval in Interval]
    assert all(shorter < longer for shorter, longer in pairwise(lengths))
