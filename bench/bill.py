"""Bills: a year of quarters of an hour, a month of a site's machines, and the originals' way.

    python bench/bill.py [--json FILE] [--tries 7]

1. A year of 35,040 readings at the hardest rate: seasons, holidays, periods with steps by running
   total per kW, sliding demand, demand by period, a ratchet, the system's peaks, minimum, credits
   and taxes; and an index rate with a price for each reading. Times are medians, beside the limit.
2. 6,000 machines and a month of half-hours: the site's cost at the same rate, and every machine's
   share of it, which adds up exactly.
3. An engine as the originals have it: a loop that steps by the hour from the start and takes the
   first period that matches, in floats and in Decimal. It is given an easier job, a time-of-use
   rate with a daily charge in UTC and nothing else, and so are we. Both must come to the same
   amount. Compared is the processor's time per reading.

Beside them a calibration: sorting a million integers.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from energy.domain.billing import bill, energy_cost_by_half_hour
from energy.domain.load import IndexPrices, Interval, Load
from energy.domain.shares import shares_nano
from energy.domain.tariff import Credit, DayType, Tariff, Tax, Tier, Window
from energy.domain.zone import seconds_of

YEAR_S_AT_MOST = 0.3
SITE_S_AT_MOST = 10.0
TIMES_FASTER = 20
QUARTERS = 35_040
MACHINES = 6_000
HALF_HOURS = 31 * 48
D = Decimal


def steps(rate: str) -> tuple[Tier, ...]:
    """Return steps by hours of use of the peak."""
    first = D(rate)
    return (Tier(D(100), first), Tier(D(300), 2 * first), Tier(None, 3 * first))


def hardest() -> Tariff:
    """Return a rate with everything."""
    summer = frozenset({6, 7, 8, 9})
    rows: list[tuple[DayType, str, int, int, str]] = [
        ("weekday", "Night", 21, 7, "0.08"),
        ("weekday", "Shoulder", 7, 17, "0.12"),
        ("weekday", "Peak", 17, 21, "0.22"),
        ("weekend", "Night", 21, 7, "0.07"),
        ("weekend", "Weekend", 7, 21, "0.09"),
        ("holiday", "Holiday", 0, 24, "0.06"),
    ]
    windows = tuple(
        Window(
            name=name,
            rate=D(rate),
            start_minute=60 * start,
            end_minute=60 * end,
            months=months,
            day_type=kind,
            tiers=steps(rate),
            demand_charge_per_kw=D(3),
        )
        for months in (summer, frozenset(range(1, 13)) - summer)
        for kind, name, start, end, rate in rows
    )
    hours = [datetime(2026, month, 15, 20, tzinfo=UTC) for month in summer]
    return Tariff(
        name="hardest",
        rate_type="tou",
        timezone="America/New_York",
        windows=windows,
        holidays=frozenset({date(2026, 1, 1), date(2026, 7, 3), date(2026, 12, 25)}),
        tier_unit="kwh_per_kw",
        tier_rule="chronological",
        daily_service_charge=D("1.25"),
        monthly_service_charge=D(100),
        minimum_monthly_charge=D(1000),
        demand_charge_per_kw=D("11.5"),
        demand_window="sliding",
        demand_ratchet_percent=D(80),
        demand_ratchet_months=11,
        coincident_peak_per_kw=D(5),
        coincident_hours=tuple((hour, hour + timedelta(hours=1)) for hour in hours),
        taxes=(Tax("VAT", D(5)), Tax("Levy", D("1.5"))),
        credits=(Credit("Response", D(250), D("0.001")),),
    )


def indexed(rate: Tariff) -> Tariff:
    """Return the same with the price of an index beneath its periods."""
    windows = tuple(replace(window, tiers=()) for window in rate.windows)
    return replace(rate, rate_type="index", windows=windows)


EASY = Tariff(
    name="easy",
    rate_type="tou",
    timezone="UTC",
    windows=(
        Window(name="Off-Peak", rate=D("0.08"), start_minute=21 * 60, end_minute=7 * 60),
        Window(name="Peak", rate=D("0.18"), start_minute=7 * 60, end_minute=21 * 60),
    ),
    daily_service_charge=D("0.50"),
)


def year() -> tuple[Load, IndexPrices]:
    """Return a year of readings from New York's new year, and a price for each."""
    dice = np.random.default_rng(7)
    starts = seconds_of(datetime(2026, 1, 1, 5, tzinfo=UTC)) + 900 * np.arange(QUARTERS)
    load = Load(starts, starts + 900, dice.integers(0, 5 * 10**9, QUARTERS))
    return load, IndexPrices(starts, starts + 900, dice.integers(-(10**10), 2 * 10**11, QUARTERS))


def median_s(
    call: Callable[[], object], tries: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the median time of a call."""
    call()  # warm
    taken: list[float] = []
    for _ in range(tries):
        began = clock()
        call()
        taken.append(clock() - began)
    return statistics.median(taken)


SCHEDULE: list[dict[str, Any]] = [
    {"name": "Off-Peak", "rate": "0.08", "days": [0, 1, 2, 3, 4, 5, 6], "start": 21, "end": 7},
    {"name": "Peak", "rate": "0.18", "days": [0, 1, 2, 3, 4, 5, 6], "start": 7, "end": 21},
]


class Stepping:
    """The originals' engine: by the hour from a reading's start, in one kind of number."""

    def __init__(self, number: Callable[[str], Any]) -> None:
        self.number = number
        self.schedule = [{**row, "rate": number(row["rate"])} for row in SCHEDULE]
        self.daily = number("0.50")

    def matching(self, at: datetime) -> dict[str, Any] | None:
        """Return the first row of the schedule that holds at a time."""
        for row in self.schedule:
            if at.weekday() not in row["days"]:
                continue
            start, end = row["start"], row["end"]
            if start < end and start <= at.hour < end:
                return row
            if start > end and (at.hour >= start or at.hour < end):
                return row
        return None

    def cost(self, start: datetime, end: datetime, power_kw: Any) -> dict[str, Any]:
        """Return what a constant power costs, as the originals' calculation does."""
        energy, kwh, at = self.number("0"), self.number("0"), start
        breakdown: dict[str, Any] = {}
        while at < end:
            until = min(at + timedelta(hours=1), end)
            used = power_kw * self.number(str((until - at).total_seconds())) / 3600
            row = self.matching(at)
            name, rate = (row["name"], row["rate"]) if row else ("Unknown", self.number("0"))
            breakdown[name] = breakdown.get(name, 0) + used * rate
            energy += used * rate
            kwh += used
            at = until
        service = self.daily * self.number(str((end - start).total_seconds())) / 86_400
        return {"kwh": kwh, "energy": energy, "service": service, "breakdown": breakdown}


def by_the_originals(number: Callable[[str], Any], load: Load) -> tuple[float, Decimal]:
    """Return the processor's seconds a reading, and the amount."""
    engine = Stepping(number)
    moments = [datetime.fromtimestamp(one, UTC) for one in load.starts_s.tolist()]
    moments.append(datetime.fromtimestamp(int(load.ends_s[-1]), UTC))
    powers = [number(str(one * 4 / 10**6)) for one in load.energy_mwh_e6.tolist()]
    began = time.process_time()
    total = number("0")
    for row, power in enumerate(powers):
        found = engine.cost(moments[row], moments[row + 1], power)
        total += found["energy"] + found["service"]
    return (time.process_time() - began) / len(powers), Decimal(total)


def main() -> None:
    """Measure, print, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tries", type=int, default=7)
    chosen = parser.parse_args()
    document: dict[str, float | bool] = {}
    document |= a_year(chosen.tries)
    document |= a_site(chosen.tries)
    document |= beside_the_originals(chosen.tries)
    million = np.random.default_rng(1).integers(0, 10**9, 10**6)
    document["sort_ms"] = 1000 * median_s(lambda: np.sort(million), chosen.tries)
    print(f"calibration: np.sort of 1,000,000 integers {document['sort_ms']:.0f} ms")
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1))


def told(*, holds: bool) -> str:
    """Return the word."""
    return "holds" if holds else "FAILS"


def a_year(tries: int) -> dict[str, float | bool]:
    """Bill a year of readings at the hardest rates."""
    load, index = year()
    rate = hardest()
    spans = zip(load.starts_s.tolist(), load.ends_s.tolist(), strict=True)
    moments = [tuple(datetime.fromtimestamp(one, UTC) for one in span) for span in spans]
    kwh = [D(one).scaleb(-6) for one in load.energy_mwh_e6.tolist()]
    readings = [Interval(*span, kwh=one) for span, one in zip(moments, kwh, strict=True)]
    read_s = median_s(lambda: Load.of_intervals(readings), tries)
    hard_s = median_s(lambda: bill(rate, load), tries)
    index_s = median_s(lambda: bill(indexed(rate), load, index=index), tries)
    worst = (read_s + max(hard_s, index_s)) / YEAR_S_AT_MOST
    lines = len(bill(rate, load).lines)
    print(
        f"a year of {QUARTERS:,} readings: {1000 * read_s:.0f} ms to read them; hardest rate "
        f"({lines} lines) {1000 * hard_s:.0f} ms, with an index {1000 * index_s:.0f} ms; together "
        f"{worst:.2f} of the limit of {1000 * YEAR_S_AT_MOST:.0f} ms: {told(holds=worst <= 1)}"
    )
    return {
        "year_read_s": read_s,
        "year_s": hard_s,
        "year_index_s": index_s,
        "year_holds": worst <= 1,
    }


def a_site(tries: int) -> dict[str, float | bool]:
    """Share a month of a site's half-hours out to its machines."""
    starts = seconds_of(datetime(2026, 7, 1, 4, tzinfo=UTC)) + 1800 * np.arange(HALF_HOURS)
    machines = np.random.default_rng(2).integers(0, 2 * 10**6, (MACHINES, HALF_HOURS))
    rate = hardest()

    def month() -> None:
        cost = energy_cost_by_half_hour(rate, starts, machines.sum(axis=0)).nano
        if not (shares_nano(cost, machines).sum(axis=0) == cost).all():
            message = "the shares do not add up"
            raise SystemExit(message)

    site_s = median_s(month, max(1, tries // 3))
    holds = site_s <= SITE_S_AT_MOST
    print(
        f"{MACHINES:,} machines x {HALF_HOURS:,} half-hours, costed and shared out: {site_s:.1f} s "
        f"({MACHINES * HALF_HOURS / site_s / 1e6:.1f} M a second), "
        f"{site_s / SITE_S_AT_MOST:.2f} of the limit of {SITE_S_AT_MOST:g} s: {told(holds=holds)}"
    )
    return {"site_s": site_s, "site_holds": holds}


def beside_the_originals(tries: int) -> dict[str, float | bool]:
    """Compare the time per reading on an easy rate, in turns."""
    load, _ = year()
    amount = bill(EASY, load).total_cost
    kinds: dict[str, Callable[[str], Any]] = {"float": float, "Decimal": Decimal}
    found: dict[str, float | bool] = {}
    for name, number in kinds.items():
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(tries):
            ours.append(median_s(lambda: bill(EASY, load), 9, time.process_time) / len(load) * 1e6)
            seconds, total = by_the_originals(number, load)
            theirs.append(seconds * 1e6)
            if abs(total - amount) > D("0.01"):
                message = f"{name}: {total} there, {amount} here"
                raise SystemExit(message)
        times = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        print(
            f"an hour-stepping loop in {name:7}: {statistics.median(theirs):5.2f} us a reading, "
            f"ours {statistics.median(ours):.3f} us: {times:.0f} x (at least {TIMES_FASTER}): "
            f"{told(holds=times >= TIMES_FASTER)}"
        )
        found |= {f"{name.lower()}_us": statistics.median(theirs), f"{name.lower()}_times": times}
    return found


if __name__ == "__main__":
    main()
