from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import text

from common.clock import now
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Interval
from intelligence.market.imports import CandleRow

MakeBars: TypeAlias = Callable[..., list[Bar]]
IMPORT = "/api/analytics/candles/import?interval=1d"
CSV = {"Content-Type": "text/csv"}
HEAD = "time,open,high,low,close,volume"
GOOD = [
    "2026-01-01,100,110,90,105,3",
    "2026-01-02T00:00:00Z,105,115,95,110,4",
    "1767398400,110,120,100,115,5",
    "1767484800000,115,125,105,120,6",
]


def table(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join((head, *rows)).encode()


async def stored(client: httpx.AsyncClient, venue: str = "index") -> list[str]:
    found = await client.get(f"/api/analytics/candles?interval=1d&venue={venue}")
    return [candle["close"] for candle in found.json()["candles"]]


async def test_a_file_becomes_one_more_venue(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(IMPORT, content=table(*GOOD), headers=CSV)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["rows"], said["valid"], said["imported"]) == (4, 4, 4)
    closes = ["105.000000", "110.000000", "115.000000", "120.000000"]
    assert await stored(admin) == await stored(admin, "import") == closes


async def test_importing_again_replaces_what_was_imported(admin: httpx.AsyncClient) -> None:
    for close in ("105", "106"):
        content = table(f"2026-01-01,100,110,90,{close},3")
        assert (await admin.post(IMPORT, content=content, headers=CSV)).status_code == 201
    assert await stored(admin) == ["106.000000"]


async def test_a_dry_run_reports_and_writes_nothing(admin: httpx.AsyncClient) -> None:
    rows = ["2026-01-05,1,2,1,1,1", GOOD[1], GOOD[0], GOOD[0], "2026-01-06,1,1,2,1,1"]
    answer = await admin.post(IMPORT + "&dry_run=true", content=table(*rows), headers=CSV)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["rows"], said["valid"], said["imported"]) == (5, 4, 0)
    assert (said["duplicates"], said["out_of_order"], said["refused"]) == (1, 2, True)
    assert said["errors"] == [{"row": 6, "field": None, "detail": "high below low"}]
    assert [hole["bars"] for hole in said["holes"]] == [2]
    assert await stored(admin) == []


async def test_a_bad_row_keeps_the_file_out_unless_partial(admin: httpx.AsyncClient) -> None:
    content = table(*GOOD, "2026-01-05,x,1,1,1,1", "2026-01-06,1,1,0,1,1")
    answer = await admin.post(IMPORT, content=content, headers=CSV)
    assert answer.status_code == 422
    assert answer.json()["code"] == "import_refused"
    assert answer.json()["report"]["errors_total"] == 2
    assert await stored(admin) == []
    partial = await admin.post(IMPORT + "&partial=true", content=content, headers=CSV)
    assert (partial.status_code, partial.json()["imported"]) == (201, 4)


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("2026-01-01,NaN,110,90,105,3", "not a number"),
        ("2026-01-01,100,inf,90,105,3", "not a number"),
        ("2026-01-01,100,90,110,105,3", "high below low"),
        ("2026-01-01,0,110,0,105,3", "not positive"),
        ("2026-01-01,100,110,-90,105,3", "not positive"),
        ("2026-01-01,100,110,90,105,-3", "negative volume"),
        ("2026-01-01,100,1e400,90,105,3", "out of range"),
        ("2026-01-01T07:00:00,100,110,90,105,3", "between bars"),
        ("2099-01-01,100,110,90,105,3", "future"),
    ],
)
async def test_rows_that_cannot_be_are_named(
    admin: httpx.AsyncClient, row: str, detail: str
) -> None:
    answer = await admin.post(IMPORT + "&dry_run=true", content=table(row), headers=CSV)
    assert [error["detail"] for error in answer.json()["errors"]] == [detail]


async def test_a_bar_that_has_not_closed_is_left_out(admin: httpx.AsyncClient) -> None:
    today = f"{now() - timedelta(minutes=1):%Y-%m-%d},100,110,90,105,3"
    said = (await admin.post(IMPORT, content=table(GOOD[0], today), headers=CSV)).json()
    assert said["imported"] + said["unfinished"] == 2
    assert said["errors"] == []


async def test_semicolons_a_bom_other_names_and_more_columns_are_taken(
    admin: httpx.AsyncClient,
) -> None:
    content = "\ufeffDate;Open;High;Low;Close;Trades\n2026-01-01;100;110;90;105;7".encode()
    form = {"file": ("candles.csv", content, "text/csv")}
    answer = await admin.post(IMPORT + "&venue=kraken-dump", files=form)
    assert answer.status_code == 201, answer.text
    assert answer.json()["ignored_columns"] == ["trades"]
    assert await stored(admin, "kraken-dump") == ["105.000000"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "text/csv", 422),
        (b"\x00\x01", "text/csv", 422),
        (table("2026-01-01,1,1,1,1", head="time,open,high,low,closed"), "text/csv", 422),
        (table("1,1,1,1", head="open,high,low,close"), "text/csv", 422),
        (b"{}", "application/json", 415),
        (b"x" * (8 * 1024 * 1024 + 1), "text/csv", 413),
        (table(*("2026-01-01,1,1,1,1,1" for _ in range(20_001))), "text/csv", 413),
        (b"nonsense", "multipart/form-data; boundary=x", 400),
        (b"nonsense", "multipart/form-data", 400),
    ],
)
async def test_what_is_no_table_is_refused(
    admin: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    answer = await admin.post(IMPORT, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("venue", ["binance", "index", "A B", ""])
async def test_a_live_venue_cannot_be_imported(admin: httpx.AsyncClient, venue: str) -> None:
    answer = await admin.post(f"{IMPORT}&venue={venue}", content=table(*GOOD), headers=CSV)
    assert answer.status_code == 422


async def test_only_the_installations_admin_imports(
    client_as: Callable[..., httpx.AsyncClient],
) -> None:
    owner = client_as(scopes=frozenset({"market:write"}))
    assert (await owner.post(IMPORT, content=table(*GOOD), headers=CSV)).status_code == 403


async def test_an_import_is_audited(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    await admin.post(IMPORT, content=table(*GOOD), headers=CSV)
    query = text("SELECT action, object_id, detail FROM intelligence.audit_event ORDER BY id DESC")
    async with runtime.worker_session() as session:
        last = (await session.execute(query)).first()
    assert last is not None
    assert tuple(last) == ("candles.import", "import 1d", {"bars": 4})


@given(st.text(max_size=30))
def test_any_time_cell_is_a_time_or_an_error(cell: str) -> None:
    try:
        row = CandleRow.model_validate({"time": cell, "open": 1, "high": 1, "low": 1, "close": 1})
    except ValidationError:
        return
    assert row.time.tzinfo is not None


@pytest.mark.parametrize("interval", list(Interval))
async def test_every_interval_can_be_imported(
    admin: httpx.AsyncClient, make_bars: MakeBars, interval: Interval
) -> None:
    rows = [f"{bar.opened_at.isoformat()},1,2,1,2,1" for bar in make_bars(2, 1, interval=interval)]
    url = f"/api/analytics/candles/import?interval={interval}"
    answer = await admin.post(url, content=table(*rows), headers=CSV)
    assert (answer.status_code, answer.json()["imported"]) == (201, 2)


async def test_a_form_without_a_file_or_with_too_large_a_one_is_refused(
    admin: httpx.AsyncClient,
) -> None:
    form = {"other": ("candles.csv", table(*GOOD), "text/csv")}
    assert (await admin.post(IMPORT, files=form)).json()["code"] == "bad_upload"
    large = {"file": ("candles.csv", b"x" * (9 * 1024 * 1024), "text/csv")}
    assert (await admin.post(IMPORT, files=large)).status_code == 413


@pytest.mark.parametrize("time", ["-5", "1e30", "2026-13-01", "yesterday", "NaN", ""])
async def test_a_senseless_time_is_an_error_of_its_row(admin: httpx.AsyncClient, time: str) -> None:
    content = table(f"{time},100,110,90,105,3", GOOD[1])
    said = (await admin.post(IMPORT + "&dry_run=true", content=content, headers=CSV)).json()
    assert [(error["row"], error["field"]) for error in said["errors"]] == [(2, "time")]
