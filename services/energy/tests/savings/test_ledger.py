"""The ledger: what a plan saved against a stated baseline, and why something is not known."""

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor
from energy.savings import settling

# A day that no correction reaches any more.
DAY = datetime(2026, 11, 10, tzinfo=UTC)
TEN, NOON = DAY + timedelta(hours=10), DAY + timedelta(hours=12)
URL = "/api/electricity/savings"
S19J = {"nameplate_hashrate_ths": 100.0, "nameplate_power_w": 3050.0}


async def settled(runtime: Runtime, client: AsyncClient, **query: Any) -> list[dict[str, Any]]:
    await settling.settle_due(runtime)
    answer = await client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_known_answer(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    """energy.md §2: 1 MWh of S19J_PRO at D1 is 0.00077671498787 BTC; here are 6.1 kWh."""
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    rate_id = await rate(site_id)
    plan_id = await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    [row] = await settled(runtime, client, site_id=str(site_id))
    assert row["source_id"] == str(plan_id)
    assert Decimal(row["avoided_kwh"]) == Decimal("6.1")
    assert Decimal(row["cost_avoided"]) == Decimal("0.61")
    assert Decimal(row["other_cost_avoided"]) == 0
    assert Decimal(row["btc_not_mined"]) == Decimal("0.000004737961")
    assert Decimal(row["revenue_lost_usd"]) == Decimal("0.473796")
    assert Decimal(row["net_usd"]) == Decimal("0.61") - Decimal("0.473796")
    assert row["reasons"] == []
    assert row["state"] == "final"
    assert row["provenance"]["tariffs"] == [
        {
            "rate_id": str(rate_id), "rate_version": 1, "rate_name": "Site's rate",
            "currency": "USD",
        }
    ]  # fmt: skip
    assert row["provenance"]["epochs"][0]["difficulty"] == "110568428300952"
    assert row["baseline"]["hashrate_rated"] == 1
    assert row["baseline"]["power_measured"] == 1


async def test_the_measured_hashrate_counts_before_the_rated(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any,
    used: Any,
) -> None:  # fmt: skip
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    await rate(site_id)
    await used(site_id, DAY, [1.5] * 20 + [0.0] * 4 + [1.5] * 24, th_h=40.0, miner_id=miner)
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    [row] = await settled(runtime, client)
    assert row["baseline"]["hashrate_measured"] == 1
    assert Decimal(row["btc_not_mined"]) == round(Decimal("0.8") * Decimal("0.00000473796143"), 12)


async def test_each_half_hour_has_its_own_price(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    peak = {
        "name": "Peak",
        "rate": "0.50",
        "days": list(range(7)),
        "start": "11:15",
        "end": "21:00",
    }
    await rate(site_id, rate_type="tou", tou_schedule=[peak])
    await plan(site_id, {miner: (2010.0, 10.0)}, TEN, NOON)
    [row] = await settled(runtime, client)
    # 75 minutes at 0.10 and 45 at 0.50, of 2 kW.
    assert Decimal(row["cost_avoided"]) == Decimal("0.25") + Decimal("0.75")


async def test_demand_that_a_plan_avoids_is_the_months_difference(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any,
    used: Any,
) -> None:  # fmt: skip
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    await rate(site_id, demand_charge_usd_per_kw="5", demand_interval_minutes=30)
    # 100 kW all day but for the two hours, in which 80: the stop kept the peak from being 120.
    kwh = [50.0] * 20 + [40.0] * 4 + [50.0] * 24
    await used(site_id, DAY, kwh, miner_id=new_id())
    await plan(site_id, {miner: (40_000.0, 0.0)}, TEN, NOON)
    [row] = await settled(runtime, client)
    assert Decimal(row["energy_cost_avoided"]) == Decimal(8)
    assert Decimal(row["other_cost_avoided"]) == Decimal(100)
    assert row["state"] == "provisional"  # the month's peak may still come


async def test_the_month_of_a_plan_is_the_sites(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any,
    used: Any,
) -> None:  # fmt: skip
    """In New York October is not over at 02:00 UTC on the first: its peak was long ago."""
    site_id = await new_site("America/New_York")
    miner = await new_miner(site_id, **S19J)
    await rate(
        site_id, timezone="America/New_York", flat_rate_usd_per_kwh="0",
        demand_charge_usd_per_kw="10", demand_interval_minutes=30,
    )  # fmt: skip
    await used(site_id, datetime(2026, 10, 9, tzinfo=UTC), [50.0], miner_id=miner)
    two = datetime(2026, 11, 1, 2, tzinfo=UTC)
    await used(site_id, two, [0.0] * 4, miner_id=miner)
    await plan(site_id, {miner: (3050.0, 0.0)}, two, two + timedelta(hours=2))
    [row] = await settled(runtime, client)
    assert Decimal(row["other_cost_avoided"]) == 0


async def test_what_is_not_known_is_null_with_its_reason(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any,
    market: Any,
) -> None:  # fmt: skip
    site_id = await new_site()
    bare = {"nameplate_hashrate_ths": None, "nameplate_power_w": None}
    miner, nameless = await new_miner(site_id, **S19J), await new_miner(site_id, **bare)
    await market(price=None, epochs=False)
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    [row] = await settled(runtime, client)
    assert row["cost_avoided"] is row["btc_not_mined"] is row["net_usd"] is None
    assert row["reasons"] == ["no_tariff", "no_epoch", "no_quote"]
    await rate(site_id, demand_charge_usd_per_kw="5")
    await market(price="90000")
    await plan(site_id, {nameless: (None, None)}, TEN, NOON, plan_id=(two := new_id()))
    rows = {row["source_id"]: row for row in await settled(runtime, client)}
    assert rows[str(two)]["reasons"] == ["power_unknown", "hashrate_unknown"]
    assert rows[str(two)]["avoided_kwh"] is None
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON, plan_id=(three := new_id()))
    rows = {row["source_id"]: row for row in await settled(runtime, client)}
    assert rows[str(three)]["reasons"] == ["half_hours_missing"]
    assert rows[str(three)]["btc_not_mined"] is not None


async def test_an_index_with_a_hole_prices_nothing(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    hour = {"start": TEN.isoformat(), "end": (TEN + timedelta(hours=1)).isoformat()}
    body = {"name": "Market", "prices": [hour | {"price_per_mwh": 80}]}
    series = await client.post("/api/electricity/index-series", json=body)
    made = series.json()["series"]["id"]
    await rate(site_id, rate_type="index", index_series_id=made, flat_rate_usd_per_kwh=None)
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON - timedelta(hours=1))
    rows = await settled(runtime, client)
    found = {row["avoided_kwh"]: (row["cost_avoided"], row["reasons"]) for row in rows}
    assert found["6.100000"] == (None, ["no_index_price"])
    assert found["3.050000"] == ("0.244000", [])


async def test_a_plan_without_stops_is_no_line(
    client: AsyncClient, runtime: Runtime, new_site: Any, deliver: Any
) -> None:
    site_id = await new_site()
    changed = {
        "plan_id": new_id(), "site_id": site_id, "plan_type": "manual", "status": "cancelled",
        "at": TEN, "cancelled_at": TEN,
    }  # fmt: skip
    await deliver("hosting.curtailment.changed.v1", changed, version=2)
    assert await settled(runtime, client) == []
    assert await settling.settle_due(runtime) == 0  # nothing will come of it any more


async def test_a_tariff_in_another_currency_needs_its_rate(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    await rate(site_id, currency="NOK")
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    [row] = await settled(runtime, client)
    assert (row["currency"], Decimal(row["cost_avoided"])) == ("NOK", Decimal("0.61"))
    assert row["cost_avoided_usd"] is row["net_usd"] is None
    assert row["reasons"] == ["no_reference_rate"]


async def test_a_running_plan_is_reckoned_up_to_now_and_again_when_it_ends(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    await rate(site_id)
    stop = now() - timedelta(hours=3)
    plan_id = await plan(site_id, {miner: (3050.0, 50.0)}, stop, None)
    [row] = await settled(runtime, client)
    assert (row["state"], row["ends_at"]) == ("running", None)
    assert Decimal("8.99") < Decimal(row["avoided_kwh"]) < Decimal("9.02")
    assert (await client.get(f"{URL}/summary")).json()["running"] == 1
    wake = now() - timedelta(seconds=1)
    await plan(site_id, {new_id(): (0.0, 0.0)}, wake, wake, plan_id=plan_id)
    [row] = await settled(runtime, client)
    assert row["state"] == "running"  # hosting's older word does not end it


async def test_deliveries_in_any_number_and_order_give_one_line(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id = await new_site()
    miner = await new_miner(site_id, **S19J)
    await rate(site_id)
    plan_id = await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    first = await settled(runtime, client)
    await plan(site_id, {miner: (3050.0, 0.0)}, NOON, NOON, plan_id=plan_id)
    async with runtime.tenant_session(UUID(int=0)) as session:
        await settling.settle(session, plan_id)  # another tenant's session sees no plan
    again = await settled(runtime, client)
    assert [row["id"] for row in again] == [row["id"] for row in first]
    assert Decimal(again[0]["avoided_kwh"]) == Decimal("6.1")


async def test_a_client_sees_its_own_part(
    client: AsyncClient, client_as: ClientFor, runtime: Runtime, new_site: Any, new_miner: Any,
    rate: Any, plan: Any,
) -> None:  # fmt: skip
    site_id, customer = await new_site(), new_id()
    mine = await new_miner(site_id, client_id=customer, **S19J)
    ours = await new_miner(site_id, **S19J)
    await rate(site_id)
    machines = {mine: (3050.0, 0.0), ours: (3050.0, 0.0)}
    await plan(site_id, machines, TEN, NOON)
    [whole] = await settled(runtime, client)
    assert (whole["scope"], Decimal(whole["avoided_kwh"])) == ("site", Decimal("12.2"))
    theirs = client_as(role="Client", client_id=customer)
    [part] = await settled(runtime, theirs)
    assert (part["scope"], part["client_id"]) == ("client", str(customer))
    assert Decimal(part["cost_avoided"]) == Decimal("0.61")
    assert part["other_cost_avoided"] is None
    assert part["reasons"] == ["other_charges_are_the_sites"]
    assert (await theirs.get(f"{URL}/{whole['id']}")).status_code == 404
    assert (await client_as(organisation_id=new_id()).get(URL)).json()["total"] == 0
    assert (await client.get(URL, params={"client_id": str(customer)})).json()["total"] == 1


async def test_the_sum_leaves_out_what_is_not_known_and_says_so(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id, bare = await new_site(), await new_site()
    miner, other = await new_miner(site_id, **S19J), await new_miner(bare, **S19J)
    await rate(site_id)
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    await plan(bare, {other: (3050.0, 0.0)}, TEN, NOON)
    await settled(runtime, client)
    said = (await client.get(f"{URL}/summary")).json()
    assert (said["entries"], said["unknown"]) == (2, 1)
    assert Decimal(said["net"]) == Decimal("0.61") - Decimal("0.473796")
    assert Decimal(said["avoided_kwh"]) == Decimal("12.2")
    wanted = await client.get(f"{URL}/summary", params={"currency": "GBP"})
    assert (wanted.status_code, wanted.json()["code"]) == (503, "rate_unavailable")
    sheet = await client.get(f"{URL}/file.csv")
    assert sheet.text.count("\n") == 3
    assert "no_tariff" in sheet.text
    assert (await client.get(f"{URL}/file.xlsx")).content[:2] == b"PK"


async def test_no_name_is_a_formula_in_the_ledgers_files(
    client: AsyncClient, runtime: Runtime, new_site: Any, new_miner: Any, rate: Any, plan: Any
) -> None:
    site_id = await new_site(name="=HYPERLINK(1)")
    miner = await new_miner(site_id, **S19J)
    await rate(site_id, name="=HYPERLINK(1)")
    await plan(site_id, {miner: (3050.0, 0.0)}, TEN, NOON)
    await settled(runtime, client)
    sheet = (await client.get(f"{URL}/file.csv")).content.decode("utf-8-sig")
    header, row = csv.reader(io.StringIO(sheet))
    assert dict(zip(header, row, strict=True))["cost_avoided"] == "0.610000"
    assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "@"))]
    with zipfile.ZipFile(io.BytesIO((await client.get(f"{URL}/file.xlsx")).content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    "query",
    [{"kind": "theft"}, {"start_date": "2026-11-11", "end_date": "2026-11-10"}, {"page_size": 201}],
)
async def test_bad_questions(client: AsyncClient, query: dict[str, Any]) -> None:
    assert (await client.get(URL, params=query)).status_code == 422
