"""What a load may be, and how it is cut."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.domain.load import IndexPrices, Interval, Load, Unbillable, cut, sums

START = datetime(2026, 1, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
KWH = Decimal(1)


def interval(start: int = 0, end: int = 1, **more: Decimal | None) -> Interval:
    return Interval(START + start * HOUR, START + end * HOUR, **more)


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (interval(1, 1, kwh=KWH), "end_before_start", "intervals[0].end"),
        (interval(2, 1, kwh=KWH), "end_before_start", "intervals[0].end"),
        (interval(), "energy_or_power", "intervals[0]"),
        (interval(kwh=KWH, power_w=KWH), "energy_or_power", "intervals[0]"),
        (interval(power_w=Decimal(-1)), "power_out_of_range", "intervals[0].power_w"),
        (interval(power_w=Decimal("NaN")), "power_out_of_range", "intervals[0].power_w"),
        (interval(power_w=Decimal("1.1e10")), "power_out_of_range", "intervals[0].power_w"),
        (interval(kwh=Decimal("Infinity")), "energy_out_of_range", "intervals[0].kwh"),
        (interval(kwh=Decimal("NaN")), "energy_out_of_range", "intervals[0].kwh"),
        (interval(kwh=Decimal("1.1e7")), "energy_out_of_range", "intervals[0].kwh"),
        (interval(0, 24 * 4000, kwh=KWH), "span_too_long", "intervals[0].end"),
        (
            Interval(START.replace(tzinfo=None), START + HOUR, kwh=KWH),
            "naive_time",
            "intervals[0].start",
        ),
        (
            Interval(START, START + HOUR - timedelta(microseconds=1), kwh=KWH),
            "fraction_of_second",
            "intervals[0].end",
        ),
        (
            Interval(START.replace(year=1969), START, kwh=KWH),
            "time_out_of_range",
            "intervals[0].start",
        ),
    ],
)
def test_what_is_no_interval(bad: Interval, code: str, field: str) -> None:
    with pytest.raises(Unbillable) as refused:
        Load.of_intervals([bad])
    assert (refused.value.code, refused.value.field) == (code, field)


def test_intervals_may_leave_gaps_but_not_overlap() -> None:
    load = Load.of_intervals([interval(0, 1, kwh=KWH), interval(3, 4, power_w=Decimal(5))])
    assert load.energy_mwh_e6.tolist() == [1_000_000, 5_000]
    with pytest.raises(Unbillable, match="2026-01-15T00:00:00Z") as refused:
        Load.of_intervals([interval(0, 1, kwh=KWH), interval(0, 2, kwh=KWH)])
    assert refused.value.field == "intervals[1].start"


@pytest.mark.parametrize("power", ["-1", "NaN", "Infinity", "1e11"])
def test_what_is_no_power(power: str) -> None:
    with pytest.raises(Unbillable) as refused:
        Load.of_power(START, START + HOUR, Decimal(power))
    assert refused.value.field == "power_w"


def test_the_most_power_there_is() -> None:
    load = Load.of_power(START, START + 8760 * HOUR, Decimal(10**10))
    assert load.energy_mwh_e6.tolist() == [8760 * 10**13]
    assert Load.of_power(START, START + HOUR, Decimal(0)).energy_mwh_e6.tolist() == [0]


def test_a_number_of_a_million_digits_costs_no_time() -> None:
    nothing = Decimal("1e-999999")
    load = Load.of_intervals([interval(kwh=nothing), interval(1, 2, power_w=nothing)])
    assert load.energy_mwh_e6.tolist() == [0, 0]
    index = IndexPrices.of([(START, START + HOUR, nothing)])
    assert index.nano_per_mwh.tolist() == [0]


def test_power_is_rounded_once() -> None:
    """A watt for a second is 5/18 mWh, for three minutes 50."""
    seconds = [1, 2, 180]
    loads = [Load.of_power(START, START + timedelta(seconds=one), KWH) for one in seconds]
    assert [int(one.energy_mwh_e6[0]) for one in loads] == [0, 1, 50]


def test_prices_of_intervals() -> None:
    assert IndexPrices.of_intervals([interval(kwh=KWH)]) is None
    price = Decimal("41.25")
    index = IndexPrices.of_intervals([interval(kwh=KWH, price_per_mwh=price)])
    assert index
    assert index.nano_per_mwh.tolist() == [41_250_000_000]
    with pytest.raises(Unbillable) as refused:
        IndexPrices.of_intervals([interval(kwh=KWH), interval(1, 2, kwh=KWH, price_per_mwh=price)])
    assert (refused.value.code, refused.value.field) == ("price_missing", "intervals[0]")


@pytest.mark.parametrize("price", ["NaN", "-Infinity", "1000001"])
def test_what_is_no_price(price: str) -> None:
    with pytest.raises(Unbillable) as refused:
        IndexPrices.of([(START, START + HOUR, Decimal(price))])
    assert refused.value.code == "price_out_of_range"


def test_prices_do_not_overlap() -> None:
    rows = [(START, START + 2 * HOUR, KWH), (START + HOUR, START + 3 * HOUR, KWH)]
    with pytest.raises(Unbillable) as refused:
        IndexPrices.of(rows)
    assert refused.value.field == "index[1].start"


def test_no_price_is_known_before_the_first_or_without_any() -> None:
    index = IndexPrices.of([(START, START + HOUR, KWH)])
    for one in (index, IndexPrices.of([])):
        with pytest.raises(Unbillable, match="1970-01-01"):
            one.at(np.zeros(1, np.int64))


@given(
    st.lists(
        st.tuples(st.integers(1, 90_000), st.integers(0, 3600), st.integers(-(10**13), 10**16)),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.integers(0, 800_000), max_size=8),
)
def test_no_energy_is_lost_by_cutting(rows: list[tuple[int, int, int]], edges: list[int]) -> None:
    lengths, gaps, energy = (np.array(one, np.int64) for one in zip(*rows, strict=True))
    ends = np.cumsum(lengths + gaps)
    load = Load(ends - lengths, ends, energy)
    pieces = cut(load, [np.array(edges, np.int64)])
    assert sums(pieces.units, pieces.interval, len(load)) == [
        int(one) * pieces.scale for one in energy
    ]
    for start, end, row, units in zip(
        pieces.starts_s, pieces.ends_s, pieces.interval, pieces.units, strict=True
    ):
        share = Fraction(int(end - start), int(lengths[row]))
        assert Fraction(int(units), pieces.scale) == int(energy[row]) * share
        assert not any(start < edge < end for edge in edges)


def test_energy_that_outgrows_int64_is_still_exact() -> None:
    """A prime number of seconds, cut: the denominator is that prime, and so large is the energy."""
    load = Load(np.array([0]), np.array([86_399]), np.array([10**16]))
    pieces = cut(load, [np.array([1])])
    assert pieces.units.dtype == object
    assert pieces.units.tolist() == [10**16, 10**16 * 86_398]
    assert pieces.scale == 86_399
