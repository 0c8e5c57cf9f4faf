"""Advice: break-even per class, hours to avoid, peaks to cut, energy to move."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from httpx import AsyncClient
from hypothesis import given
from hypothesis import strategies as st

from common.clock import now
from common.ids import new_id
from common.testing import ALL_SCOPES, ClientFor
from energy.advice.shaving import moved, shaved

URL = "/api/electricity/advice"
DAY = datetime(2026, 11, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPAN = {"start_date": "2026-11-10", "end_date": "2026-11-10"}
PEAK = {"name": "Peak", "rate": "0.30", "days": list(range(7)), "start": "16:00", "end": "20:00"}
TOU = {"rate_type": "tou", "tou_schedule": [PEAK], "flat_rate_usd_per_kwh": "0.05"}
# 100 TH/s at 0.05 USD a TH/s and day, over 73.2 kWh.
EVEN = Decimal(5) / Decimal("73.2")


async def advice(client: AsyncClient, site_id: Any, **query: Any) -> Any:
    answer = await client.get(URL, params={"site_id": str(site_id)} | SPAN | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(autouse=True)
async def quoted(market: Any) -> None:
    await market(hashprice="0.05")


async def test_a_class_stops_where_power_is_dearer_than_its_break_even(
    client: AsyncClient, new_site: Any, new_miner: Any, rate: Any
) -> None:
    site_id = await new_site()
    for model, power in (("S19j Pro", 3050.0), ("S19j Pro", 3050.0), ("S21", 1750.0)):
        await new_miner(site_id, model=model, nameplate_power_w=power)
    await new_miner(site_id, model="", nameplate_power_w=None)
    await rate(site_id, flat_rate_usd_per_kwh="0.08")
    rows = {row["miner_model"]: row for row in (await advice(client, site_id))["classes"]}
    old, new, strange = rows["S19j Pro"], rows["S21"], rows["unknown"]
    assert (old["machines"], old["state"], new["state"]) == (2, "stop", "run")
    assert Decimal(old["break_even_usd_per_kwh"]) == round(EVEN, 8)
    assert Decimal(old["margin_usd_per_kwh"]) == round(EVEN - Decimal("0.08"), 8)
    # At 100,000 USD a kWh earns 0.0683; at 0.08 it takes a price higher in proportion.
    assert Decimal(old["break_even_btc_price_usd"]) == round(8000 / EVEN, 8)
    assert (strange["state"], strange["reason"]) == ("unknown", "unknown_miner_model")


async def test_hours_to_avoid_are_those_in_which_a_class_loses(
    client: AsyncClient, new_site: Any, new_miner: Any, rate: Any
) -> None:
    site_id = await new_site()
    await new_miner(site_id)
    await rate(site_id, **TOU)
    said = await advice(client, site_id, days=3)
    windows = said["hours_to_avoid"]
    whole = [
        one
        for one in windows
        if one["starts_at"][11:16] == "16:00" and one["ends_at"][11:16] == "20:00"
    ]
    assert 2 <= len(whole) <= len(windows) <= 4
    assert whole[0]["losing_models"] == ["Antminer S19j Pro"]
    loss = Decimal("3.05") * 4 * (Decimal("0.30") - round(EVEN, 8))
    assert Decimal(whole[0]["loss_usd"]) == round(loss, 6)
    assert {one["price_usd_per_kwh"] for one in said["dearest_hours"]} == {"0.300000"}
    assert said["unpriced_half_hours"] == 0


async def test_without_tariff_or_quote_nothing_is_made_up(
    client: AsyncClient, new_site: Any, new_miner: Any, market: Any, used: Any
) -> None:
    site_id = await new_site()
    await new_miner(site_id)
    await used(site_id, DAY, [1.0] * 48)
    said = await advice(client, site_id, days=1)
    assert (said["tariff"], said["hours_to_avoid"], said["unpriced_half_hours"]) == (None, [], 48)
    assert said["classes"][0]["reason"] == "no_price"
    assert said["peak_shaving"]["reason"] == said["shift"]["reason"] == "no_tariff"
    await market(price=None)
    said = await advice(client, site_id, days=1)
    assert said["quote"] is None
    assert said["classes"][0]["reason"] == "no_quote"


async def test_cutting_a_peak_saves_its_demand_and_its_energy(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(
        site_id,
        flat_rate_usd_per_kwh="0.10",
        demand_charge_usd_per_kw="5",
        demand_interval_minutes=30,
    )
    # 100 kW, for one half-hour 120: 20 kW of demand, and 10 kWh.
    await used(site_id, DAY, [50.0] * 20 + [60.0] + [50.0] * 27, th_h=3000.0)
    peak = (await advice(client, site_id))["peak_shaving"]
    assert Decimal(peak["peak_kw"]) == 120
    assert peak["peak_at"] == "2026-11-10T10:00:00Z"
    [option] = peak["options"]
    assert (Decimal(option["target_kw"]), option["half_hours"]) == (100, 1)
    assert Decimal(option["cost_avoided_usd"]) == 101
    assert Decimal(option["net_usd"]) < 101


async def test_a_peak_below_the_ratchet_of_an_earlier_month_saves_no_demand(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(
        site_id,
        flat_rate_usd_per_kwh="0",
        demand_charge_usd_per_kw="5",
        demand_interval_minutes=30,
        demand_ratchet_percent="80",
        demand_ratchet_months=11,
    )
    # January's 200 kW bill at least 160 for eleven months.
    await used(site_id, datetime(2026, 1, 10, tzinfo=UTC), [100.0])
    await used(site_id, DAY, [40.0] * 20 + [50.0] + [40.0] * 27)
    [option] = (await advice(client, site_id))["peak_shaving"]["options"]
    assert Decimal(option["target_kw"]) == 80
    assert Decimal(option["cost_avoided_usd"]) == 0


async def test_energy_moved_from_dear_to_cheap_hours_as_far_as_there_is_room(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(site_id, **TOU)
    # Half the load at night: 16 half-hours with room for 1 kWh each, 8 dear ones of 2 kWh.
    await used(site_id, DAY, [1.0] * 16 + [2.0] * 32)
    shift = (await advice(client, site_id))["shift"]
    by_share = {one["share_percent"]: one for one in shift["options"]}
    assert Decimal(by_share[50]["saved_usd"]) == Decimal(8) * Decimal("0.25")
    assert Decimal(by_share[100]["moved_kwh"]) == 16
    assert Decimal(by_share[100]["saved_usd"]) == Decimal(4)


async def test_one_price_leaves_nothing_to_shift(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(site_id)
    await used(site_id, DAY, [1.0] * 48)
    said = await advice(client, site_id)
    assert said["shift"]["reason"] == "one_price"
    assert said["peak_shaving"]["reason"] == "no_demand_charge"
    assert said["dearest_hours"] == []


async def test_an_index_tells_of_a_few_hours_and_no_more_are_made_up(
    client: AsyncClient, new_site: Any, new_miner: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await new_miner(site_id)
    first = now().replace(minute=0, second=0, microsecond=0)
    prices = [
        {"start": hour.isoformat(), "end": (hour + HOUR).isoformat(), "price_per_mwh": price}
        for hour, price in ((first, 40), (first + HOUR, 90), (DAY, 40), (DAY + HOUR, 10))
    ]
    series = await client.post(
        "/api/electricity/index-series", json={"name": "Market", "prices": prices}
    )
    await rate(
        site_id, rate_type="index", index_series_id=series.json()["series"]["id"],
        flat_rate_usd_per_kwh=None,
    )  # fmt: skip
    await used(site_id, DAY, [1.0] * 6)
    said = await advice(client, site_id, days=1)
    assert 44 <= said["unpriced_half_hours"] <= 45
    [window] = said["hours_to_avoid"]
    assert window["price_usd_per_kwh"] == "0.090000"
    assert said["shift"]["options"][-1]["saved_usd"] == "0.000000"  # both are as full as can be
    assert said["peak_shaving"]["reason"] == "no_demand_charge"


async def test_advice_is_not_a_clients(client_as: ClientFor, new_site: Any) -> None:
    site_id = await new_site()
    scopes = ALL_SCOPES - {"tariffs:read", "tariffs:write"}
    theirs = client_as(role="Client", client_id=new_id(), scopes=scopes)
    assert (await theirs.get(URL, params={"site_id": str(site_id)})).status_code == 403
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(URL, params={"site_id": str(site_id)})).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"days": 0}, 422),
        ({"days": 32}, 422),
        ({"end_date": "2026-11-09"}, 422),
        ({"end_date": "2999-01-01"}, 422),
        ({"start_date": "2020-01-01"}, 422),
        ({"currency": "GBP"}, 503),
        ({"currency": "pounds"}, 422),
    ],
)
async def test_bad_questions(
    client: AsyncClient, new_site: Any, query: dict[str, Any], status: int
) -> None:
    site_id = await new_site()
    answer = await client.get(URL, params={"site_id": str(site_id)} | SPAN | query)
    assert answer.status_code == status, answer.text


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_a_shaved_load_is_never_above_its_target(kwh: list[int]) -> None:
    load = np.array(kwh, np.int64)
    for one in shaved(load):
        assert (one.kwh_e6 <= load).all()
        assert one.cut_kw > 0
        assert int((one.kwh_e6 < load).sum()) == one.half_hours


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(-5, 5)), min_size=1, max_size=96),
    st.integers(0, 10**6),
)
def test_moving_energy_neither_makes_nor_loses_any(rows: list[tuple[int, int]], room: int) -> None:
    kwh, price = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    most = max(int(kwh.max()), room)
    for one in moved(kwh, price, np.arange(len(rows)) // 48, most):
        assert int(one.kwh_e6.sum()) == int(kwh.sum())
        assert (one.kwh_e6 >= 0).all()
        assert int(one.kwh_e6.max()) <= most
        before, after = int((kwh * price).sum()), int((one.kwh_e6 * price).sum())
        assert after <= before


def test_the_days_of_a_shift_do_not_mix() -> None:
    kwh, price = np.array([1, 1, 1, 1], np.int64), np.array([9, 1, 9, 9], np.int64)
    [*_, whole] = moved(kwh, price, np.array([1, 1, 2, 2]), 5)
    assert whole.kwh_e6.tolist() == [0, 2, 1, 1]
    assert whole.moved_kwh == Decimal(1).scaleb(-6)
