"""The fast engine and the one of fractions give the same bill, to the last digit and note."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.domain.billing import Bill, bill, bill_exact, energy_cost_by_half_hour
from energy.domain.load import IndexPrices, Interval, Load, Unbillable
from energy.domain.schedule import half_hour_prices, period_at
from energy.domain.tariff import Credit, RateType, Tariff, Tax, Tier, Window
from energy.domain.zone import YearMonth

# Each starts a day or less before the clock changes, or a month ends, or both.
STARTS = {
    "America/New_York": ["2026-03-07T20:00", "2026-11-01T01:17", "2026-01-31T23:00"],
    "Europe/London": ["2026-03-28T23:30", "2026-10-24T22:59", "2024-02-28T12:00"],
    "Australia/Lord_Howe": ["2026-04-04T01:00", "2026-10-03T00:07"],
    "America/St_Johns": ["2026-03-07T23:00", "2010-11-06T20:00"],
    "Asia/Kathmandu": ["2026-05-31T12:00"],
    "Africa/Cairo": ["2026-04-23T03:00", "2026-10-29T15:00"],
    "America/Santiago": ["2026-04-04T10:00", "2026-09-05T10:00"],
    "UTC": ["2026-12-31T10:00:01"],
}

KINDS: list[RateType] = ["flat", "tou", "tou", "tou", "tiered", "index"]
amounts = st.decimals(0, 2, places=5)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Tier, ...]:
    limits = sorted(draw(st.sets(st.integers(1, 40_000), min_size=1, max_size=3)))
    tops = [*(Decimal(one) / 100 for one in limits), None]
    return tuple(Tier(top, draw(amounts)) for top in tops)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    minutes = st.sampled_from([0, 17, 60, 61, 90, 120, 150, 180, 360, 725, 1260, 1380, 1439])
    start = draw(minutes)
    end = draw(minutes.filter(lambda one: one != start))
    charged = draw(st.booleans())
    name = draw(st.sampled_from(["Peak", "Shoulder", "Night"]))
    return Window(
        name=name,
        rate=draw(amounts),
        start_minute=start,
        end_minute=end,
        days=draw(st.sampled_from([frozenset(range(7)), frozenset({5, 6}), frozenset({0, 4, 5})])),
        months=draw(st.sampled_from([frozenset(range(1, 13)), frozenset({3, 4, 10})])),
        day_type=draw(st.sampled_from([None, None, "weekday", "weekend", "holiday"])),
        tiers=draw(st.one_of(st.just(()), steps())),
        demand_charge_per_kw=Decimal(len(name)) if charged else None,
    )


@st.composite
def tariffs(draw: st.DrawFn) -> tuple[Tariff, datetime]:
    zone = draw(st.sampled_from(sorted(STARTS)))
    start = datetime.fromisoformat(draw(st.sampled_from(STARTS[zone]))).replace(tzinfo=UTC)
    kind = draw(st.sampled_from(KINDS))
    tiered = kind == "tiered" or (kind == "tou" and draw(st.booleans()))
    season = draw(st.sampled_from([(None, None), (5, 9), (10, 3)]))
    schedule: list[Window] = []
    if kind in ("tou", "index"):
        schedule = draw(st.lists(windows(), min_size=1, max_size=5))
    return (
        Tariff(
            name="any",
            rate_type=kind,
            timezone=zone,
            billing_timezone=draw(st.sampled_from([None, None, *sorted(STARTS)])),
            flat_rate=None if tiered else draw(amounts),
            windows=tuple(schedule),
            season_start_month=season[0],
            season_end_month=season[1],
            holidays=frozenset({(start + timedelta(days=1)).date()}),
            wrap_day=draw(st.sampled_from(["instant", "start"])),
            tiers=draw(steps()) if tiered else (),
            tier_unit=draw(st.sampled_from(["kwh_per_month", "kwh_per_day", "kwh_per_kw"])),
            tier_rule=draw(st.sampled_from(["pro_rata", "chronological"])),
            adder_per_kwh=draw(st.decimals(-1, 1, places=3)),
            export_per_kwh=draw(st.one_of(st.none(), amounts)),
            daily_service_charge=draw(amounts),
            monthly_service_charge=draw(amounts),
            minimum_monthly_charge=draw(st.decimals(0, 2000, places=2)),
            demand_charge_per_kw=draw(amounts),
            demand_interval_minutes=draw(st.sampled_from([15, 30, 60])),
            demand_window=draw(st.sampled_from(["fixed", "sliding"])),
            demand_ratchet_percent=draw(st.sampled_from([Decimal(0), Decimal("82.5")])),
            demand_ratchet_months=2,
            coincident_peak_per_kw=draw(amounts),
            coincident_hours=tuple(
                (start + timedelta(minutes=low), start + timedelta(minutes=low + 61, seconds=7))
                for low in draw(st.sampled_from([(130,), (330,), (130, 810), ()]))
            ),
            taxes=(Tax("VAT", draw(st.decimals(0, 30, places=1))),),
            credits=(Credit("response", draw(amounts), Decimal("0.001")),),
        ),
        start,
    )


lengths = st.sampled_from([60, 300, 900, 1800, 1800, 3600, 7200, 36_000, 611, 86_399])
energies = st.one_of(st.integers(0, 10**9), st.integers(-(10**6), 10**11), st.just(0))


@st.composite
def loads(draw: st.DrawFn, start: datetime) -> Load:
    rows = draw(st.lists(st.tuples(lengths, energies, st.booleans()), min_size=1, max_size=12))
    ends = [start + timedelta(seconds=one) for one in accumulate(row[0] for row in rows)]
    intervals = [
        Interval(end - timedelta(seconds=row[0]), end, kwh=Decimal(row[1]).scaleb(-6))
        for row, end in zip(rows, ends, strict=True)
        if row[2]
    ]
    constant = Load.of_power(start, start + timedelta(days=1, minutes=7), Decimal(7_123))
    return Load.of_intervals(intervals) if intervals else constant


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tariff, Load, IndexPrices | None]:
    tariff, start = draw(tariffs())
    load = draw(loads(start))
    if tariff.rate_type != "index":
        return tariff, load, None
    length = timedelta(seconds=draw(st.sampled_from([1800, 3600, 7201])))
    prices = draw(st.lists(st.decimals(-90, 900, places=3), min_size=3, max_size=3))
    needed = (load.span_s()[1] - load.span_s()[0]) // int(length.total_seconds()) + 90
    rows = [(start + n * length, start + (n + 1) * length, prices[n % 3]) for n in range(needed)]
    return tariff, load, IndexPrices.of(rows)


SECOND = timedelta(seconds=1)
EARLIER = {YearMonth(2026, 1): Decimal(90), YearMonth(2026, 10): Decimal("312.5")}


def agree(one: Bill, other: Bill) -> None:
    assert one.lines == other.lines
    assert one == other


@settings(max_examples=150)
@given(cases())
def test_the_fast_bill_is_the_exact_one(case: tuple[Tariff, Load, IndexPrices | None]) -> None:
    tariff, load, index = case
    fast = bill(tariff, load, index=index, earlier_peaks_kw=EARLIER)
    agree(fast, bill_exact(tariff, load, index=index, earlier_peaks_kw=EARLIER))
    assert sum(line.amount for line in fast.lines) == fast.total_cost
    assert sum(month.total_cost for month in fast.months) == fast.total_cost
    assert sum(fast.breakdown.values()) == fast.energy_cost


@given(cases(), st.lists(st.integers(-(10**6), 10**10), min_size=1, max_size=90))
def test_half_hours_cost_what_the_bill_says(
    case: tuple[Tariff, Load, IndexPrices | None], energy: list[int]
) -> None:
    tariff, like, index = case
    starts = like.span_s()[0] + 1800 * np.arange(len(energy), dtype=np.int64)
    load = Load.of_half_hours(starts, np.array(energy, np.int64))
    costs = energy_cost_by_half_hour(
        tariff, load.starts_s, load.energy_mwh_e6, index=index, earlier_peaks_kw=EARLIER
    ).nano
    billed = bill(tariff, load, index=index, earlier_peaks_kw=EARLIER)
    apart = abs(int(costs.sum()) - billed.energy_cost * 10**9)
    assert apart <= len(energy) + 1000 * len(billed.lines)


def test_both_say_what_is_missing() -> None:
    tariff = Tariff(name="i", rate_type="index", timezone="UTC")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    load = Load.of_power(start, start + timedelta(hours=1), Decimal(5))
    for engine in (bill, bill_exact):
        with pytest.raises(Unbillable) as refused:
            engine(tariff, load)
        assert refused.value.code == "price_missing"
        assert engine(tariff, Load.of_intervals([])).total_cost == 0
    index = IndexPrices.of([(start, start + timedelta(minutes=5), Decimal(1))])
    with pytest.raises(Unbillable):
        bill_exact(tariff, load, index=index)


@given(cases(), st.integers(1, 60))
def test_a_half_hours_price_is_what_a_kwh_costs_in_it(
    case: tuple[Tariff, Load, IndexPrices | None], count: int
) -> None:
    tariff, like, index = case
    windows = tuple(replace(window, tiers=()) for window in tariff.windows)
    plain = replace(tariff, windows=windows, tiers=(), flat_rate=tariff.flat_rate or Decimal(1))
    if tariff.rate_type == "tiered":
        plain = replace(plain, rate_type="flat")
    starts = like.span_s()[0] + 1800 * np.arange(count, dtype=np.int64)
    prices = half_hour_prices(plain, starts, index)
    one_kwh = np.full(count, 10**6, np.int64)
    costs = energy_cost_by_half_hour(plain, starts, one_kwh, index=index).nano
    assert prices.nano_per_kwh.tolist() == costs.tolist()
    billed = bill(plain, Load.of_half_hours(starts, one_kwh), index=index)
    assert billed.split_intervals >= int(prices.split.sum())


@given(tariffs(), st.integers(0, 900_000))
def test_a_price_holds_from_its_start_until_its_end(
    case: tuple[Tariff, datetime], seconds: int
) -> None:
    tariff, start = case
    tariff = replace(tariff, adder_per_kwh=Decimal(0), flat_rate=tariff.flat_rate or Decimal(9))
    at = start + timedelta(seconds=seconds)
    found = period_at(tariff, at)

    def price(instant: datetime) -> tuple[str, object, object]:
        one = period_at(tariff, instant)
        return one.name, one.rate, one.tiers

    if found.starts_at is not None:
        assert found.starts_at <= at
        assert price(found.starts_at) == price(at)
        assert tariff.rate_type == "index" or price(found.starts_at - SECOND) != price(at)
    if found.ends_at is not None:
        assert found.ends_at > at
        assert price(found.ends_at - SECOND) == price(at)
        assert tariff.rate_type == "index" or price(found.ends_at) != price(at)
