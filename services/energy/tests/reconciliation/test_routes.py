"""A utility's bill uploaded, compared with ours, kept, listed and taken away."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from httpx import AsyncClient
from python_calamine import CalamineWorkbook

from common.ids import new_id
from common.tabular import write_xlsx
from common.testing import ALL_SCOPES, ClientFor, TenantSessions
from energy.costs.reading import cost_between

URL = "/api/electricity/reconciliations"
DAY = datetime(2026, 11, 10, tzinfo=UTC)
HEADER = "description,quantity,unit,rate,amount\n"
BILL = HEADER + (
    "Energy charge,74,kWh,0.12,8.88\n"
    "Service charge,1,day,0.50,0.50\n"
    "VAT 20 %,,,,1.88\n"
    "Late fee,,,,2.00\n"
    "Total,,,,13.26\n"
)
CSV = {"Content-Type": "text/csv"}


def asked(site_id: Any, **query: Any) -> dict[str, Any]:
    days = {"start_date": "2026-11-10", "end_date": "2026-11-10"}
    return {"site_id": str(site_id)} | days | query


async def upload(client: AsyncClient, site_id: Any, bill: str = BILL, **query: Any) -> Any:
    answer = await client.post(URL, params=asked(site_id, **query), content=bill, headers=CSV)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
async def site(new_site: Any, rate: Any, used: Any) -> Any:
    """Document 003's day: 72 kWh at 0.12 and a service charge of 0.50; here 20 % of tax too."""
    site_id = await new_site()
    await rate(
        site_id,
        flat_rate_usd_per_kwh="0.12",
        daily_service_charge_usd="0.50",
        taxes=[{"name": "VAT", "percent": "20"}],
    )
    await used(site_id, DAY, [1.5] * 48)
    return site_id


async def test_each_difference_has_its_cause(client: AsyncClient, site: Any) -> None:
    said = await upload(client, site, utility_name="=Utility", invoice_number="2026-11")
    assert (Decimal(said["their_total"]), Decimal(said["our_total"])) == (
        Decimal("13.26"),
        Decimal("10.968"),
    )
    causes = {name: Decimal(amount) for name, amount in said["causes"].items() if Decimal(amount)}
    assert causes == {
        "energy_kwh": Decimal("0.24"),
        "taxes": Decimal("0.052"),
        "unknown_lines": Decimal(2),
    }
    assert sum(causes.values()) == Decimal(said["difference"])
    assert said["provenance"]["lines_make_up_the_total"] is True
    assert said["provenance"]["tariffs"][0]["rate_version"] == 1
    assert said["provenance"]["half_hours"] == {"wanted": 48, "told": 48, "mean_coverage": 1.0}


async def test_it_is_listed_shown_downloaded_and_removed(
    client: AsyncClient, client_as: ClientFor, site: Any
) -> None:
    said = await upload(client, site, bill=BILL.replace("Late fee", "=cmd()"))
    place = f"{URL}/{said['id']}"
    listed = (await client.get(URL, params={"site_id": str(site)})).json()
    assert [row["id"] for row in listed["items"]] == [said["id"]]
    assert (await client.get(place)).json() == said
    text = (await client.get(f"{place}/file.csv")).text
    assert "'=cmd()" in text
    assert "total,,,,,,,,13.260000,10.968000,2.292000" in text
    book = (await client.get(f"{place}/file.xlsx")).content
    sheet: Any = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0)
    rows = sheet.to_python()
    assert "=cmd()" in {row[2] for row in rows}
    assert 13.26 in rows[-8]
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(place)).status_code == 404
    theirs = client_as(client_id=new_id(), scopes=ALL_SCOPES - {"tariffs:read"})
    assert (await theirs.get(place)).status_code == 403
    assert (await client.delete(place)).status_code == 204
    assert (await client.get(place)).status_code == 404


async def test_the_same_bill_twice_is_a_conflict_until_the_first_is_removed(
    client: AsyncClient, site: Any
) -> None:
    said = await upload(client, site)
    again = await client.post(URL, params=asked(site), content=BILL, headers=CSV)
    assert (again.status_code, again.json()["code"]) == (409, "already_reconciled")
    assert again.json()["reconciliation_id"] == said["id"]


async def test_a_workbook_in_a_form_is_read_alike(client: AsyncClient, site: Any) -> None:
    rows: list[list[Any]] = [["Usage", 72, "kWh", 8.64], ["Meter", None, None, 0.5]]
    content = write_xlsx(
        ["Description", "Quantity", "Unit", "Amount"],
        [["" if cell is None else cell for cell in row] for row in rows],
    )
    answer = await client.post(URL, params=asked(site), files={"file": ("bill.xlsx", content)})
    assert answer.status_code == 201, answer.text
    causes = {k: Decimal(v) for k, v in answer.json()["causes"].items() if Decimal(v)}
    assert causes == {"taxes": Decimal("-1.828")}


async def test_demand_is_compared_in_kw_and_once_for_a_period_across_months(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    await rate(
        site_id, flat_rate_usd_per_kwh="0", demand_charge_usd_per_kw="5",
        demand_interval_minutes=30,
    )  # fmt: skip
    for day, kwh in ((31, 40.0), (32, 50.0)):  # the last of October, the first of November
        start = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=day - 1)
        await used(site_id, start, [kwh] * 48)
    bill = HEADER + "Demand charge,110,kW,5,550\n"
    said = await upload(client, site_id, bill=bill, start_date="2026-10-31", end_date="2026-11-01")
    assert Decimal(said["our_total"]) == 500
    assert Decimal(said["causes"]["demand_kw"]) == 50


async def test_a_month_under_two_versions_of_a_rate_is_what_recording_says(
    client: AsyncClient, new_site: Any, rate: Any, used: Any, tenant_session: TenantSessions
) -> None:
    site_id = await new_site()
    rate_id = await rate(
        site_id, demand_charge_usd_per_kw="5", demand_interval_minutes=30,
        daily_service_charge_usd="1", monthly_service_charge_usd="31",
    )  # fmt: skip
    change = {
        "flat_rate_usd_per_kwh": "0.20", "demand_charge_usd_per_kw": "6",
        "valid_from": "2026-10-17T00:00:00Z",
    }  # fmt: skip
    changed = await client.put(f"/api/electricity/rates/{rate_id}", json=change)
    assert changed.status_code == 200, changed.text
    first, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    for day, kwh in ((10, 40.0), (20, 50.0)):
        await used(site_id, first + timedelta(days=day), [kwh] * 48)
    said = await upload(
        client, site_id, bill=HEADER + "Energy,4320,kWh,,1\n",
        start_date="2026-10-01", end_date="2026-10-31",
    )  # fmt: skip
    async with tenant_session() as session:
        recorded = await cost_between(session, site_id=site_id, start=first, end=end)
    # Peak 100 kW at 5 for 16 of 31 days and at 6 for 15; 1 + 1 a day of service.
    demand = Decimal(100) * (5 * 16 + 6 * 15) / 31
    whole = Decimal(40 * 48) / 10 + Decimal(50 * 48) / 5 + demand + 62
    assert abs(Decimal(said["our_total"]) - whole) < Decimal("0.00001")
    # Recording charges the days of which it has been told; the rest is the same.
    assert abs(recorded.demand_charge - demand) < Decimal("0.00001")
    assert recorded.energy_cost == Decimal(672)
    assert [one["rate_version"] for one in said["provenance"]["tariffs"]] == [1, 2]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"end_date": "2026-11-09"}, 422, "period_unusable"),
        ({"end_date": "2999-01-01", "start_date": "2998-12-01"}, 422, "period_unusable"),
        ({"start_date": "2026-02-30"}, 422, None),
        ({"currency": "EUR"}, 422, "currency_differs"),
        ({"start_date": "2026-09-29", "end_date": "2026-09-30"}, 409, "nothing_to_compare"),
        ({"decimal": "dot"}, 422, None),
        ({"utility_name": "x" * 129}, 422, None),
    ],
)
async def test_bad_questions(
    client: AsyncClient, site: Any, query: dict[str, str], status: int, code: str | None
) -> None:
    answer = await client.post(URL, params=asked(site, **query), content=BILL, headers=CSV)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["code"] == code


async def test_without_a_rate_there_is_no_bill_of_ours(
    client: AsyncClient, new_site: Any, used: Any
) -> None:
    site_id = await new_site()
    await used(site_id, DAY, [1.5] * 48)
    answer = await client.post(URL, params=asked(site_id), content=BILL, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_compare")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "text/csv", 422),
        (b"description\nEnergy\n", "text/csv", 422),
        (b"\x00\x01\x02", "text/csv", 422),
        (b"PK\x03\x04nothing", "text/csv", 422),
        (b"{}", "application/json", 415),
        (b"amount\n" + b"9" * (9 * 1024 * 1024), "text/csv", 413),
    ],
)
async def test_files_that_are_no_bill(
    client: AsyncClient, site: Any, content: bytes, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    answer = await client.post(URL, params=asked(site), content=content, headers=headers)
    assert answer.status_code == status, answer.text


async def test_a_rate_of_another_zone_has_one_peak_in_the_sites_month(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site("Europe/London")
    await rate(
        site_id, timezone="America/New_York", flat_rate_usd_per_kwh="0",
        demand_charge_usd_per_kw="5", demand_interval_minutes=30,
    )  # fmt: skip
    # London's June begins in New York's May.
    for start in (datetime(2026, 5, 31, 23, tzinfo=UTC), datetime(2026, 6, 20, tzinfo=UTC)):
        await used(site_id, start, [50.0] * 8)
    bill = HEADER + "Demand charge,100,kW,5,500\n"
    said = await upload(client, site_id, bill=bill, start_date="2026-06-01", end_date="2026-06-30")
    assert Decimal(said["our_total"]) == 500
    demand = [line["amount"] for line in said["our_lines"] if line["kind"] == "demand"]
    assert demand == ["500.000000"]


async def test_two_versions_of_a_month_share_its_steps(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site()
    tiers = [{"up_to_kwh": "500", "rate": "0.10"}, {"up_to_kwh": None, "rate": "0.30"}]
    rate_id = await rate(
        site_id, rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=tiers
    )
    change = {"description": "as before", "valid_from": "2026-10-16T00:10:00Z"}
    changed = await client.put(f"/api/electricity/rates/{rate_id}", json=change)
    assert changed.status_code == 200, changed.text
    for day in (3, 16, 20):
        await used(site_id, datetime(2026, 10, day, tzinfo=UTC), [100.0] * 10)
    said = await upload(
        client, site_id, bill=HEADER + "Energy,3000,kWh,,800\n",
        start_date="2026-10-01", end_date="2026-10-31",
    )  # fmt: skip
    assert abs(Decimal(said["our_total"]) - 800) < Decimal("0.00001")
    assert sum(Decimal(line["quantity"]) for line in said["our_lines"]) == 3000
