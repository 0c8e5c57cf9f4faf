"""Cost reports: PDF with a chart, CSV and xlsx of the same figures, in any currency."""

import csv
import io
import re
import zipfile
import zlib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from python_calamine import CalamineWorkbook

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor, TenantSessions
from energy.costs.reading import cost_between
from energy.currencies.models import ReferenceRate
from energy.facts.models import Client
from energy.reports.paper import written

URL = "/api/electricity/reports/costs"
DAY = datetime(2026, 11, 10, tzinfo=UTC)
NEXT = datetime(2026, 11, 11, tzinfo=UTC)


def asked(site_id: Any = None, **query: Any) -> dict[str, Any]:
    days = {"start_date": "2026-11-10", "end_date": "2026-11-11"}
    return ({"site_id": str(site_id)} if site_id else {}) | days | query


async def table(client: AsyncClient, site_id: Any = None, **query: Any) -> list[dict[str, str]]:
    answer = await client.get(f"{URL}.csv", params=asked(site_id, **query))
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def text_of(pdf: bytes) -> str:
    """Return what the pages of a PDF write."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    pages = b""
    for stream in streams:
        try:
            pages += zlib.decompress(stream)
        except zlib.error:
            continue
    return " ".join(text.decode("latin-1") for text in re.findall(rb"\((.*?)\) Tj", pages))


@pytest.fixture
async def site(new_site: Any, rate: Any, used: Any) -> Any:
    """Document 003's day twice: 72 kWh at 0.12 and a service charge of 0.50, 9.14 a day."""
    site_id = await new_site(name="=Nordhall <Ü> 北")
    await rate(site_id, flat_rate_usd_per_kwh="0.12", daily_service_charge_usd="0.50")
    machine = new_id()
    for start in (DAY, NEXT):
        await used(site_id, start, [1.5] * 48, miner_id=machine)
    return site_id


async def test_document_003s_day_costs_9_14(
    client: AsyncClient, site: Any, tenant_session: TenantSessions
) -> None:
    rows = await table(client, site)
    assert [row["period"] for row in rows] == ["2026-11-10", "2026-11-11", "total"]
    first, total = rows[0], rows[-1]
    assert [first[name] for name in ("kwh", "energy_cost", "service_charge", "total_cost")] == [
        "72.000000", "8.640000", "0.500000", "9.140000",
    ]  # fmt: skip
    assert total["total_cost"] == "18.280000"
    assert (total["currency"], first["rate_date"]) == ("USD", "")
    async with tenant_session() as session:
        end = datetime(2026, 11, 12, tzinfo=UTC)
        whole = await cost_between(session, site_id=site, start=DAY, end=end)
    assert whole.total_cost == Decimal(total["total_cost"])


async def test_the_workbook_holds_the_same_as_numbers(client: AsyncClient, site: Any) -> None:
    answer = await client.get(f"{URL}.xlsx", params=asked(site))
    book = CalamineWorkbook.from_filelike(io.BytesIO(answer.content))
    header, *rows = book.get_sheet_by_index(0).to_python()
    assert dict(zip(header, rows[0], strict=False))["total_cost"] == 9.14
    assert dict(zip(header, rows[-1], strict=False))["kwh"] == 144


async def test_no_name_is_a_formula_in_any_file(
    client: AsyncClient, tenant_session: TenantSessions, organisation: UUID, new_site: Any,
    rate: Any, used: Any,
) -> None:  # fmt: skip
    name, customer = "=HYPERLINK(1)", new_id()
    async with tenant_session() as session:
        row = {"id": customer, "organisation_id": organisation, "name": name}
        session.add(Client(**row, active=True, version=1))
    site_id = await new_site(name=name)
    await rate(site_id, name=name)
    await used(site_id, DAY, [1.5] * 48, client_id=customer)
    params = asked(site_id, client_id=str(customer))
    sheet = (await client.get(f"{URL}.csv", params=params)).content.decode("utf-8-sig")
    cells = [cell for line in csv.reader(io.StringIO(sheet)) for cell in line]
    assert "7.200000" in cells
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "@"))]
    book = (await client.get(f"{URL}.xlsx", params=params)).content
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")
    said = text_of((await client.get(f"{URL}.pdf", params=params)).content)
    assert said.count("=HYPERLINK\\(1\\)") >= 3  # plain text there: of site, client and rate


async def test_the_pdf_says_what_it_is_about_and_what_it_rests_on(
    client: AsyncClient, site: Any
) -> None:
    answer = await client.get(f"{URL}.pdf", params=asked(site))
    assert answer.headers["content-type"] == "application/pdf"
    assert "electricity-2026-11-10-2026-11-11.pdf" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"%PDF-")
    said = text_of(answer.content)
    assert "=Nordhall <\xdc> ?" in said
    assert "2026-11-10 to 2026-11-11 \\(UTC" in said
    assert "18.28" in said
    assert "144.00" in said
    assert "Site's rate, version 1" in said
    assert "Carbon intensity: not known" in said


async def test_months_are_summed_in_the_sites_zone(
    client: AsyncClient, new_site: Any, rate: Any, used: Any
) -> None:
    site_id = await new_site(timezone="America/Chicago")
    await rate(site_id, timezone="America/Chicago", demand_charge_usd_per_kw="5",
               demand_interval_minutes=30)  # fmt: skip
    # 02:00 to 08:00 UTC on the 1st: three hours of October, three of November there (UTC-5).
    await used(site_id, datetime(2026, 11, 1, 2, tzinfo=UTC), [50.0] * 12)
    rows = await table(
        client, site_id, start_date="2026-10-01", end_date="2026-11-20", interval="month"
    )
    assert [row["period"] for row in rows] == ["2026-10", "2026-11", "total"]
    assert [Decimal(row["kwh"]) for row in rows] == [300, 300, 600]
    assert Decimal(rows[0]["demand_charge"]) == 500
    assert sum(Decimal(row["total_cost"]) for row in rows[:2]) == Decimal(rows[2]["total_cost"])


async def rates(runtime: Runtime, *told: tuple[date, str, str]) -> None:
    async with runtime.worker_session() as session:
        for day, currency, per_eur in told:
            await session.merge(
                ReferenceRate(
                    organisation_id=PLATFORM_ORGANISATION,
                    day=day,
                    currency=currency,
                    per_eur=Decimal(per_eur),
                    source="ecb",
                    simulated=True,
                    fetched_at=now(),
                )
            )


async def test_each_day_is_converted_by_its_own_rate_which_is_stated(
    client: AsyncClient, runtime: Runtime, market: Any, site: Any
) -> None:
    await market()
    missing = await client.get(f"{URL}.csv", params=asked(site, currency="EUR"))
    assert (missing.status_code, missing.json()["code"]) == (503, "rate_unavailable")
    await rates(runtime, (DAY.date(), "USD", "1.25"), (NEXT.date(), "USD", "1"))
    rows = await table(client, site, currency="EUR")
    assert [row["total_cost"] for row in rows] == ["7.312000", "9.140000", "16.452000"]
    assert [row["reference_rate"] for row in rows[:2]] == ["0.8000000000", "1.0000000000"]
    assert [row["rate_date"] for row in rows[:2]] == ["2026-11-10", "2026-11-11"]
    assert (rows[0]["converted_from"], rows[0]["rate_source"]) == ("USD", "ecb")
    unknown = await client.get(f"{URL}.csv", params=asked(site, currency="XTS"))
    assert (unknown.status_code, unknown.json()["code"]) == (422, "currency_unknown")
    said = text_of((await client.get(f"{URL}.pdf", params=asked(site, currency="EUR"))).content)
    assert "1 USD = 0.800000 EUR on 2026-11-10" in said
    assert "simulated reference rates" in said


async def test_the_same_is_told_as_json(
    client: AsyncClient, runtime: Runtime, market: Any, site: Any
) -> None:
    await market()
    await rates(runtime, (DAY.date(), "USD", "1.25"), (NEXT.date(), "USD", "1"))
    answer = await client.get(URL, params=asked(site, currency="EUR", interval="month"))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    # A month is converted by the rate of its last day in the span.
    assert Decimal(said["total"]["total_cost"]) == Decimal("18.28")
    assert said["rows"][0]["conversions"][0]["rate_date"] == "2026-11-11"
    assert (said["currency"], said["interval"], said["site_id"]) == ("EUR", "month", str(site))
    assert said["rates"] == ["Site's rate, version 1 (USD)"]


async def test_two_currencies_are_never_added_up(
    client: AsyncClient, new_site: Any, rate: Any, used: Any, site: Any
) -> None:
    other = await new_site()
    await rate(other, currency="NOK")
    await used(other, DAY, [1.0] * 48)
    answer = await client.get(f"{URL}.csv", params=asked())
    assert (answer.status_code, answer.json()["code"]) == (409, "mixed_currencies")


async def test_what_has_no_rate_has_no_cost_and_is_counted(
    client: AsyncClient, new_site: Any, used: Any
) -> None:
    site_id = await new_site()
    await used(site_id, DAY, [1.0] * 48)
    rows = await table(client, site_id)
    assert rows[0]["unrated_kwh"] == rows[0]["kwh"] == "48.000000"
    said = text_of((await client.get(f"{URL}.pdf", params=asked(site_id))).content)
    assert "For 48.00 kWh no rate was in force" in said
    assert "Nothing was billed." in said


async def test_a_clients_report_holds_its_own_machines_only(
    client: AsyncClient, client_as: ClientFor, new_site: Any, rate: Any, used: Any
) -> None:
    site_id, customer = await new_site(), new_id()
    await rate(site_id, daily_service_charge_usd="0.50")
    await used(site_id, DAY, [1.0] * 48, client_id=customer)
    await used(site_id, DAY, [2.0] * 48)
    theirs = client_as(role="Client", client_id=customer)
    rows = await table(theirs, site_id)
    assert (rows[0]["kwh"], rows[0]["total_cost"]) == ("48.000000", "4.800000")
    same = await table(theirs, site_id, client_id=str(UUID(int=9)))
    assert same == rows
    whole = await table(client, site_id)
    assert (whole[0]["kwh"], whole[0]["total_cost"]) == ("144.000000", "14.900000")
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(f"{URL}.csv", params=asked(site_id))).status_code == 404


async def test_carbon_is_told_where_a_site_has_a_setting(client: AsyncClient, site: Any) -> None:
    stated = {"stated_g_per_kwh": 100, "stated_source": "Utility 2025"}
    put = await client.put(f"/api/electricity/carbon/sites/{site}", json=stated)
    assert put.status_code == 200
    rows = await table(client, site)
    assert [Decimal(row["kg_co2"]) for row in rows] == [
        Decimal("7.2"),
        Decimal("7.2"),
        Decimal("14.4"),
    ]
    said = text_of((await client.get(f"{URL}.pdf", params=asked(site))).content)
    assert "Utility 2025 \\(stated\\)" in said


@pytest.mark.parametrize("ending", ["pdf", "csv", "xlsx"])
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"end_date": "2026-11-09"}, 422),
        ({"start_date": "2026-02-30"}, 422),
        ({"start_date": "2026-01-01"}, 422),
        ({"start_date": "2999-01-01", "end_date": "2999-01-02"}, 422),
        ({"interval": "hour"}, 422),
        ({"currency": "dollars"}, 422),
        ({"client_id": str(UUID(int=9))}, 404),
        ({"site_id": str(UUID(int=9))}, 404),
    ],
)
async def test_bad_questions(
    client: AsyncClient, ending: str, query: dict[str, str], status: int
) -> None:
    answer = await client.get(f"{URL}.{ending}", params=asked(**query))
    assert answer.status_code == status, answer.text


def test_letters_that_the_font_lacks_lose_their_accents() -> None:
    assert written("Łódź Č é 北\n\x07") == "?\xf3dz C \xe9 ?"
