"""Every read, in every format, for whoever may read."""

import csv
import io
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook

from common.ids import new_id
from common.runtime import Runtime
from energy.domain.wind import WIND
from energy.wind.answers import Unit
from energy.wind.models import WindOutput
from energy.wind.units import refresh
from energy.wind_views.sheets import XLSX

Ingest = Callable[..., Awaitable[None]]
DAY = date(2025, 3, 4)
SPAN = "?value=2025-03"
READS = {
    "periods/2025-03-04": 48,
    "summary/daily/2025-03-04": 1,
    "summary/monthly/2025-03": 1,
    "summary/yearly/2025": 1,
    "lead-parties": 3,
    "lead-parties/2025-03-04": 2,
    "curtailment/hourly/2025-03-04": 24,
    "curtailment/hourly-comparison/2025-03-04": 24,
    "curtailment/monthly-comparison/2025-03": 1,
    "curtailment/value/2025-03-04": 48,
    "curtailment/mining-potential?date=2025-03-04": 1,
    "curtailment/monthly-mining-potential/2025-03": 1,
    "mining-potential/daily?date=2025-03-04": 1,
    "mining-potential/monthly/2025-03": 1,
    "mining-potential/yearly/2025": 1,
    f"mining-potential/farms{SPAN}": 3,
    f"mining-potential/top-farms{SPAN}&limit=2": 2,
    f"mining-potential/lead-parties{SPAN}": 2,
    f"mining-potential/farm/T_GORDW-1{SPAN}": 1,
    f"farm-tables/grouped-data{SPAN}": 3,
    "production/pn-data/2025-03-04/1": 3,
    "production/curtailment-percentage/farm/T_GORDW-1/2025-03-04": 48,
    "production/curtailment-percentage/lead-party/Beinn Power/2025-03-04": 48,
    "wind-generation/2025-03-04": 48,
    "wind-generation/check?date=2025-03-04": 1,
    "wind-generation/status": 1,
}


@pytest.fixture
async def world(
    models: None,
    epochs: None,
    units: None,
    market: None,
    ingest: Ingest,
    bid: Any,
    runtime: Runtime,
    generated: Callable[..., Awaitable[None]],
) -> None:
    """A day with something in every table."""
    await generated(DAY, onshore="1000", offshore="2000")
    async with runtime.worker_session() as session:
        session.add(
            WindOutput(
                settlement_date=DAY,
                settlement_period=1,
                farm_id="T_GORDW-1",
                notified_mwh=Decimal(40),
                metered_mwh=None,
                simulated=True,
            )
        )
    bids = [bid("T_GORDW-1", "10"), bid("T_GORDW-2", "1", "5"), bid("T_MOWEO-1", "3")]
    await ingest(DAY, {1: bids})


def test_no_read_is_forgotten(app: Any) -> None:
    paths = {
        path
        for path, operations in app.openapi()["paths"].items()
        if path.startswith("/api/wind/")
        and "get" in operations
        and "text/csv" in operations["get"]["responses"]["200"].get("content", {})
    }
    templates = {path.removeprefix("/api/wind/").split("{")[0].rstrip("/") for path in paths}
    for template in templates:
        assert any(read.startswith(template) for read in READS), template
    assert len(paths) == len(READS)


@pytest.mark.usefixtures("world")
async def test_every_read_comes_in_every_format(client: httpx.AsyncClient) -> None:
    for path, count in READS.items():
        mark = "&" if "?" in path else "?"
        document = await client.get(f"/api/wind/{path}")
        assert document.status_code == 200, f"{path}: {document.text}"
        assert document.headers["content-type"] == "application/json"
        text = await client.get(f"/api/wind/{path}{mark}format=csv")
        assert text.headers["content-type"] == "text/csv; charset=utf-8", path
        assert "attachment" in text.headers["content-disposition"]
        rows = list(csv.reader(io.StringIO(text.content.decode("utf-8-sig"))))
        assert len(rows) == count + 1, path
        assert len(set(rows[0])) == len(rows[0]), path
        book = await client.get(f"/api/wind/{path}", headers={"Accept": XLSX})
        assert book.headers["content-type"] == XLSX, path
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(book.content)).get_sheet_by_index(0)
        assert sheet.to_python()[0] == rows[0], path


@pytest.mark.usefixtures("world")
async def test_a_name_is_no_formula_and_a_minus_is_no_text(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/api/wind/mining-potential/farms?value=2025-03-04", headers={"Accept": "text/csv"}
    )
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    paid = {row["farm_id"]: (row["lead_party"], row["total_payment_gbp"]) for row in rows}
    assert paid["T_MOWEO-1"] == ("'=Sea Wind Ltd", "240.000000")
    assert paid["T_GORDW-2"] == ("Beinn Power", "-5.000000")
    assert rows[0]["market_usd_per_gbp"] == "1.250000"
    assert rows[0]["currency"] == "USD"


@pytest.mark.usefixtures("models", "epochs")
@pytest.mark.parametrize("name", ["+44 Wind", "-1 Wind", "@SUM(A1)", "=1+1", "\tWind", "\rWind"])
async def test_no_name_in_a_file_begins_as_a_formula_does(
    client: httpx.AsyncClient, runtime: Runtime, ingest: Ingest, bid: Any, name: str
) -> None:
    async with runtime.worker_session() as session:
        unit = Unit("T_ODD-1", None, name, name, None, WIND, "T", Decimal(1))
        await refresh(session, [unit], date(2026, 1, 1), simulated=True)
    await ingest(DAY, {1: [bid("T_ODD-1", "1", "5")]})
    path = "/api/wind/mining-potential/farms?value=2025-03-04"
    shown = (await client.get(path)).json()["items"][0]
    assert shown["lead_party"] == name
    answer = await client.get(f"{path}&format=csv")
    [row] = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert row["lead_party"] == f"'{name}"
    assert row["farm_name"][0] not in "=+-@\t\r"
    assert row["total_payment_gbp"] == "-5.000000"  # a number, and no text
    book = (await client.get(f"{path}&format=xlsx")).content
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
    cells = dict(zip(sheet[0], sheet[1], strict=True))
    assert cells["lead_party"] == name  # a workbook says of each cell whether it is a formula


@pytest.mark.usefixtures("world")
async def test_the_files_figures_are_the_documents(client: httpx.AsyncClient) -> None:
    path = "/api/wind/curtailment/value/2025-03-04"
    document = (await client.get(path)).json()["items"]
    text = await client.get(path, params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(text.content.decode("utf-8-sig"))))
    for shown, row in zip(document, rows, strict=True):
        for name, value in shown.items():
            assert row[name] == ("" if value is None else str(value)), name


async def test_a_refusal_is_a_problem_in_any_format(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/wind/summary/daily/2025-03-04?format=csv")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("world")
async def test_whoever_may_read_wind_reads_the_same(
    client: httpx.AsyncClient, client_as: Callable[..., httpx.AsyncClient]
) -> None:
    path = "/api/wind/summary/daily/2025-03-04"
    scopes = frozenset({"wind:read"})
    reader = client_as(role="Client", scopes=scopes, client_id=new_id())
    other = client_as(scopes=scopes, organisation_id=new_id())
    for read in READS:
        shown = await client.get(f"/api/wind/{read}", headers={"Accept": "text/csv"})
        assert shown.status_code == 200, read
        for one in (reader, other):
            seen = await one.get(f"/api/wind/{read}", headers={"Accept": "text/csv"})
            assert len(seen.content) == len(shown.content), read  # ages in seconds may differ
    stranger = client_as(scopes=frozenset({"tariffs:read"}))
    for read in READS:
        assert (await stranger.get(f"/api/wind/{read}")).status_code == 403, read
    body = {"mwh": 1, "hashrate_ths": 1, "power_w": 1, "difficulty": 1, "subsidy_btc": 1}
    assert (await stranger.post("/api/wind/calculate", json=body)).status_code == 403
    assert (await reader.post("/api/wind/calculate", json=body)).status_code == 200
    anonymous = client_as(kind="anonymous")
    assert (await anonymous.get(path)).status_code == 401
