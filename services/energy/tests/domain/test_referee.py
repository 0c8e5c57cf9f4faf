"""Bills against NREL's Utilityrate5, to the cent, on what that can express.

It cannot express clock changes, leap days, holidays, real weekdays (its year begins on a Monday),
daily charges, sliding demand, credits and taxes. Its time-of-use tiers follow the running total,
which is the `chronological` rule; with one period both rules are the same. A daily limit counts
for it as many times as the month has days, which is `pro_rata`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from energy.domain.billing import bill
from energy.domain.load import IndexPrices, Load
from energy.domain.tariff import DayType, Tariff, Tier, TierUnit, Window
from energy.domain.validation import defects
from energy.domain.zone import seconds_of

Referee = Callable[[Mapping[str, object], NDArray[np.float64]], list[float]]
Schedule = list[list[int]]
YEAR = datetime(2018, 1, 1, tzinfo=UTC)  # a Monday, and no leap year
UNITS: dict[TierUnit, int] = {"kwh_per_month": 0, "kwh_per_kw": 1, "kwh_per_day": 2}
WEEKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})


@dataclass
class Case:
    """One rate in both wordings, and a load."""

    tariff: Tariff
    sam: dict[str, object]
    load_kw: NDArray[np.float64]
    index: IndexPrices | None = None

    def load(self) -> Load:
        """Return the load as ours."""
        step = 365 * 86_400 // len(self.load_kw)
        starts = seconds_of(YEAR) + step * np.arange(len(self.load_kw), dtype=np.int64)
        energy = np.rint(self.load_kw * 1e6 * step / 3600).astype(np.int64)
        return Load(starts, starts + step, energy)


def price(random: Random, most: float = 0.4) -> Decimal:
    return Decimal(random.randrange(int(most * 10_000))).scaleb(-4)


def load_kw(random: Random, steps_an_hour: int) -> NDArray[np.float64]:
    """Return watts to the thousandth of a kW, so that both are given the same energy."""
    dice = np.random.default_rng(random.randrange(2**32))
    hours = dice.integers(0, random.choice([50, 5_000, 90_000]), 8760 * steps_an_hour) * 0.004
    of_month = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    months = np.repeat(dice.integers(1, 9, 12), of_month)
    return np.asarray(hours * np.repeat(months, 24 * steps_an_hour), np.float64)


def schedule(random: Random, periods: int) -> Schedule:
    """Return a year of months of hours, a few seasons of a few stretches."""
    seasons: list[list[int]] = []
    for _ in range(random.choice([1, 2, 3])):
        cuts = sorted(random.sample(range(1, 24), random.choice([1, 2, 3])))
        day = [random.randint(1, periods) for _ in range(24)]
        for low, high in zip([0, *cuts], [*cuts, 24], strict=True):
            day[low:high] = [day[low]] * (high - low)
        seasons.append(day)
    first = random.randrange(12)
    return [seasons[(month + first) // 4 % len(seasons)] for month in range(12)]


def windows(
    random: Random,
    energy: tuple[Schedule, Schedule],
    demand: tuple[Schedule, Schedule],
    steps: Sequence[tuple[Tier, ...]],
    charges: Sequence[Decimal],
) -> tuple[Window, ...]:
    """Return the schedules as rows: a run of hours with one period of energy and of demand."""
    by_days = random.random() < 0.5  # a weekday may be said in both ways
    found: list[Window] = []
    for number, kind in enumerate[DayType](("weekday", "weekend")):
        for month in range(12):
            pairs = list(zip(energy[number][month], demand[number][month], strict=True))
            hour = 0
            for (period, demanded), run in groupby(pairs):
                start, hour = hour, hour + len(list(run))
                tiers = steps[period - 1]
                found.append(
                    Window(
                        name=f"Period {period}",
                        rate=tiers[0].rate,
                        tiers=tiers if len(tiers) > 1 else (),
                        start_minute=60 * start,
                        end_minute=60 * hour,
                        months=frozenset({month + 1}),
                        days=[WEEKDAYS, WEEKEND][number] if by_days else WEEKDAYS | WEEKEND,
                        day_type=None if by_days else kind,
                        demand_charge_per_kw=charges[demanded - 1],
                        demand_period=f"D{demanded}",
                    )
                )
    return tuple(found)


def steps_of(random: Random, periods: int, factor: int) -> list[tuple[Tier, ...]]:
    """Return each period's steps; it knows no limits that differ between periods."""
    count = random.choice([1, 1, 2, 3])
    limits = sorted(random.sample(range(1, 400), count - 1))
    tops = [Decimal(one * factor) / 10 for one in limits]
    return [tuple(Tier(top, price(random)) for top in [*tops, None]) for _ in range(periods)]


def case(seed: int) -> Case:
    """Return a random rate and load."""
    random = Random(seed)
    an_hour = random.choice([1, 1, 4])
    load = load_kw(random, an_hour)
    periods = random.choice([1, 1, 2, 3, 4])
    energy = schedule(random, periods), schedule(random, periods)
    demand = schedule(random, 3), schedule(random, 3)
    units = list(UNITS) if periods == 1 else list(UNITS)[:2]
    unit = random.choice(units)
    monthly = float(load.mean()) * 730
    factor = {"kwh_per_month": monthly / 200, "kwh_per_kw": 20, "kwh_per_day": monthly / 6000}
    steps = steps_of(random, periods, max(1, int(factor[unit])))
    charges = [Decimal(random.choice([0, 300, 1725])) / 100 for _ in range(3)]
    flat_demand = Decimal(random.choice([0, 500, 1199])) / 100
    fixed, least = (Decimal(random.choice([0, 1250, 5_000_000])) / 100 for _ in range(2))
    percent, months = random.choice([(0, 0), (80, 3), (55, 11)])
    ratchet = {
        "ur_enable_billing_demand": 1,
        "ur_billing_demand_lookback_period": months,
        "ur_billing_demand_lookback_percentages": [[percent, 1]] * 12,
        "ur_dc_billing_demand_periods": [[period, 1] for period in (1, 2, 3)],
    }
    if months:
        charges = [Decimal(0)] * 3  # it would apply the ratchet to periods too
    tariff = Tariff(
        name="any",
        rate_type="tou",
        timezone="UTC",
        windows=windows(random, energy, demand, steps, charges),
        tier_unit=unit,
        tier_rule="pro_rata" if unit == "kwh_per_day" else "chronological",
        monthly_service_charge=fixed,
        minimum_monthly_charge=least,
        demand_charge_per_kw=flat_demand,
        demand_interval_minutes=60 // an_hour,
        demand_ratchet_percent=Decimal(percent),
        demand_ratchet_months=months,
    )
    sam: dict[str, object] = {
        "ur_ec_tou_mat": [
            [p + 1, t + 1, float(one.up_to_kwh or "1e38"), UNITS[unit], float(one.rate), 0.0]
            for p, row in enumerate(steps)
            for t, one in enumerate(row)
        ],
        "ur_ec_sched_weekday": energy[0],
        "ur_ec_sched_weekend": energy[1],
        "ur_dc_tou_mat": [[p + 1, 1, 1e38, float(one)] for p, one in enumerate(charges)],
        "ur_dc_sched_weekday": demand[0],
        "ur_dc_sched_weekend": demand[1],
        "ur_dc_flat_mat": [[month, 1, 1e38, float(flat_demand)] for month in range(12)],
        "ur_monthly_fixed_charge": float(fixed),
        "ur_monthly_min_charge": float(least),
        **(ratchet if months else {}),
    }
    if periods == 1 and not any(charges):
        one_rate = len(steps[0]) == 1
        tariff = replace(
            tariff,
            rate_type="flat" if one_rate else "tiered",
            windows=(),
            tiers=() if one_rate else steps[0],
            flat_rate=steps[0][0].rate if one_rate else None,
        )
    return Case(tariff, sam, load)


def agree(one: Case, referee: Referee) -> None:
    ours = [month.total_cost for month in bill(one.tariff, one.load(), index=one.index).months]
    theirs = referee(one.sam, one.load_kw)
    apart = [abs(float(a) - b) for a, b in zip(ours, theirs, strict=True)]
    assert max(apart) < 0.005, list(zip(ours, theirs, strict=True))


@pytest.mark.parametrize("seed", range(40))
def test_a_random_rate_costs_what_the_referee_says(seed: int, referee: Referee) -> None:
    one = case(seed)
    assert not defects(one.tariff)
    agree(one, referee)


@pytest.mark.parametrize("seed", range(4))
def test_prices_of_an_index_cost_what_the_referee_says(seed: int, referee: Referee) -> None:
    random = Random(seed)
    load = load_kw(random, an_hour := random.choice([1, 4]))
    milli = [random.randrange(-90_000, 400_000) for _ in load]
    step = 3600 // an_hour
    starts = seconds_of(YEAR) + step * np.arange(len(load), dtype=np.int64)
    index = IndexPrices(starts, starts + step, np.array(milli, np.int64) * 10**6)
    tariff = Tariff(
        name="any",
        rate_type="index",
        timezone="UTC",
        demand_charge_per_kw=Decimal("3.5"),
        demand_interval_minutes=60 // an_hour,
    )
    sam: dict[str, object] = {
        "ur_en_ts_buy_rate": 1,
        "ur_ts_buy_rate": [one / 10**6 for one in milli],
        "ur_dc_flat_mat": [[month, 1, 1e38, 3.5] for month in range(12)],
    }
    agree(Case(tariff, sam, load, index), referee)


def test_the_referee_can_say_no(referee: Referee) -> None:
    one = case(0)
    one.load_kw[400] += 1
    dearer = Case(one.tariff, one.sam, one.load_kw + 0.5)
    ours = bill(one.tariff, one.load()).total_cost
    assert abs(float(ours) - sum(referee(dearer.sam, dearer.load_kw))) > 1


def test_every_kind_of_rate_was_asked_about() -> None:
    asked = [case(seed).tariff for seed in range(40)]
    assert {one.rate_type for one in asked} == {"flat", "tou", "tiered"}
    assert {one.tier_unit for one in asked} == set(UNITS)
    assert {one.demand_interval_minutes for one in asked} == {15, 60}
    assert any(one.demand_ratchet_months for one in asked)
    assert sum(any(window.tiers for window in one.windows) for one in asked) > 10
