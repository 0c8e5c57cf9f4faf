"""Shifts: the same energy at other hours, against the hours of a baseline."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from httpx import AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from energy.costs.reading import SiteHalfHours
from energy.savings import shifts
from energy.savings.shifting import profile, shifted

URL = "/api/electricity/savings/shifts"
BASELINE, SHIFTED = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
PEAK = {
    "name": "Peak", "rate": "0.30", "days": list(range(7)), "start": "16:00", "end": "20:00",
}  # fmt: skip


def body(site: UUID, **changes: Any) -> dict[str, Any]:
    spans = {
        "start_date": "2026-11-09", "end_date": "2026-11-10",
        "baseline_start_date": "2026-11-02", "baseline_end_date": "2026-11-03",
    }  # fmt: skip
    return {"site_id": str(site)} | spans | changes


def baseline(first: str, last: str) -> dict[str, str]:
    return {"baseline_start_date": first, "baseline_end_date": last}


async def weeks(site_id: UUID, used: Any) -> None:
    """Two days of even load; later two in which the peak's energy went to the night."""
    even, night = [1.0] * 48, [2.0] * 8 + [1.0] * 24 + [0.0] * 8 + [1.0] * 8
    machine = new_id()
    for start, kwh in ((BASELINE, even), (SHIFTED, night)):
        for day in range(2):
            await used(site_id, start + timedelta(days=day), kwh, miner_id=machine)


async def test_a_shift_saves_the_difference_of_the_prices(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(site_id, rate_type="tou", tou_schedule=[PEAK])
    await weeks(site_id, used)
    answer = await client.post(URL, json=body(site_id, note="Night load"))
    assert answer.status_code == 201, answer.text
    row = answer.json()
    # Two days, of each 8 kWh at 0.30 went to 0.10.
    assert Decimal(row["cost_avoided"]) == Decimal("3.2")
    assert Decimal(row["baseline"]["moved_kwh"]) == 16
    assert (row["avoided_kwh"], row["kind"], row["reasons"]) == (None, "shift", [])
    # 50 TH h in each of 40 half-hours a day: less than the baseline's 50 per kWh would give.
    assert Decimal(row["btc_not_mined"]) > 0
    listed = (await client.get("/api/electricity/savings", params={"kind": "shift"})).json()
    assert [one["id"] for one in listed["items"]] == [row["id"]]


async def test_days_are_in_the_ledger_once(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(site_id)
    await weeks(site_id, used)
    row = (await client.post(URL, json=body(site_id))).json()
    again = await client.post(URL, json=body(site_id, start_date="2026-11-10"))
    assert (again.status_code, again.json()["code"]) == (409, "shift_overlaps")
    assert again.json()["saving_id"] == row["id"]
    assert (await client.delete(f"{URL}/{row['id']}")).status_code == 204
    assert (await client.delete(f"{URL}/{row['id']}")).status_code == 404
    assert (await client.post(URL, json=body(site_id))).status_code == 201


async def test_a_late_half_hour_changes_a_shift_that_is_not_final(
    client: AsyncClient, runtime: Runtime, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(site_id, rate_type="tou", tou_schedule=[PEAK])
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    first, last = today - timedelta(days=2), today - timedelta(days=1)
    await used(site_id, first, [1.0] * 48)
    await used(site_id, last, [2.0] * 8 + [1.0] * 24 + [0.0] * 8 + [None] * 8)
    spans = {
        "start_date": f"{last:%Y-%m-%d}", "end_date": f"{last:%Y-%m-%d}",
        "baseline_start_date": f"{first:%Y-%m-%d}", "baseline_end_date": f"{first:%Y-%m-%d}",
    }  # fmt: skip
    row = (await client.post(URL, json=body(site_id, **spans))).json()
    assert (row["state"], row["baseline"]["half_hours_missing"]) == ("provisional", 8)
    await used(site_id, last + timedelta(hours=20), [1.0] * 8)
    assert await shifts.settle_due(runtime) == 0  # it has been looked at a moment ago
    async with runtime.worker_session() as session:
        past = "UPDATE energy.saving SET settled_at = settled_at - interval '2 hours'"
        await session.execute(text(past))
    assert await shifts.settle_due(runtime) == 1
    again = (await client.get(f"/api/electricity/savings/{row['id']}")).json()
    assert again["baseline"]["half_hours_missing"] == 0
    assert Decimal(again["cost_avoided"]) == Decimal("1.6")


async def test_without_a_tariff_the_cost_is_unknown(
    client: AsyncClient, new_site: Any, used: Any
) -> None:
    site_id = await new_site()
    await weeks(site_id, used)
    row = (await client.post(URL, json=body(site_id))).json()
    assert (row["cost_avoided"], row["reasons"]) == (None, ["no_tariff"])


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        (baseline("2026-11-03", "2026-11-09"), 422, "shift_unclear"),
        ({"end_date": "2026-11-08"}, 422, "shift_unclear"),
        ({"end_date": "2099-01-01"}, 422, "shift_unclear"),
        (baseline("2026-10-05", "2026-10-06"), 409, "baseline_incomplete"),
        ({"start_date": "2026-11-31"}, 422, None),
        ({"site_id": str(UUID(int=7))}, 404, "site_unknown"),
        ({"saving": "much"}, 422, None),
    ],
)  # fmt: skip
async def test_shifts_that_cannot_be_judged(
    client: AsyncClient, new_site: Any, used: Any, changes: dict[str, Any], status: int,
    code: str | None,
) -> None:  # fmt: skip
    site_id = await new_site()
    await used(site_id, BASELINE, [1.0] * 48)
    await used(site_id, SHIFTED, [1.0] * 48)
    answer = await client.post(URL, json=body(site_id, **changes))
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["code"] == code


def half_hours(start: datetime, kwh: list[int]) -> SiteHalfHours:
    count = len(kwh)
    return SiteHalfHours(
        starts_s=int(start.timestamp()) + 1800 * np.arange(count, dtype=np.int64),
        kwh_e6=np.array(kwh, np.int64),
        th_h=np.full(count, 5.0),
        cost_nano=np.zeros(count, np.int64),
        coverage=np.ones(count),
        machines=np.ones(count, np.int64),
        currencies=["USD"] * count,
        simulated=[False] * count,
    )


@given(
    baseline=st.lists(st.integers(1, 10**9), min_size=48, max_size=48),
    actual=st.lists(st.integers(0, 10**9), min_size=48, max_size=48),
)
def test_a_days_energy_stays_what_it_was(baseline: list[int], actual: list[int]) -> None:
    mean = profile(half_hours(BASELINE, baseline), "UTC")
    made = shifted(half_hours(SHIFTED, actual), mean, "UTC")
    assert int(made.more.kwh_e6.sum()) == 0
    assert (made.more.kwh_e6 + np.array(actual) >= 0).all()


def test_a_large_site_is_spread_to_the_millionth() -> None:
    """A day's energy times a baseline's is beyond what a float holds."""
    like = [10**12 + 7 * slot for slot in range(48)]
    mean = profile(half_hours(BASELINE, like), "UTC")
    actual = half_hours(SHIFTED, [10**12 + 1] * 48)
    energy, whole = int(actual.kwh_e6.sum()), sum(like)
    reached = [sum(like[: slot + 1]) * energy // whole for slot in range(48)]
    wanted = (shifted(actual, mean, "UTC").more.kwh_e6 + actual.kwh_e6).tolist()
    assert wanted == np.diff(reached, prepend=0).tolist()


def test_the_day_of_25_hours_is_spread_over_all_of_them() -> None:
    start = datetime(2026, 10, 24, 23, tzinfo=UTC)
    mean = profile(half_hours(datetime(2026, 10, 19, 23, tzinfo=UTC), [100] * 48), "Europe/London")
    made = shifted(half_hours(start, [50] * 50), mean, "Europe/London")
    assert not made.more.kwh_e6.any()
