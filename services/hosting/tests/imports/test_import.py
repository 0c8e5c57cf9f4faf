"""Thousands of machines from one file."""

import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.tabular import write_xlsx

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Ended = Callable[[httpx.Response], Awaitable[Made]]
Published = Callable[..., Awaitable[list[Made]]]
IMPORT = "/api/hosting/miners/import"
MINERS = "/api/hosting/miners"
CSV = {"Content-Type": "text/csv"}
HEAD = "serial_number,model,cgminer_ip,hashrate_ths,power_w\n"


def lines(count: int) -> str:
    return HEAD + "".join(
        f"SN{n:05},Rig,10.20.{n // 250}.{n % 250 + 1},200,3500\n" for n in range(count)
    )


async def test_more_rows_than_a_request_should_wait_for_become_a_job(
    client: httpx.AsyncClient, new_site: New
) -> None:
    site = await new_site()
    options = {"site_id": site["id"]}
    answer = await client.post(IMPORT, params=options, content=lines(10_001), headers=CSV)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].endswith(answer.json()["job_id"])


async def test_a_full_site_imports_and_pages(
    client: httpx.AsyncClient, new_site: New, published: Published
) -> None:
    site = await new_site()
    options = {"site_id": site["id"], "approve": "true"}
    began = time.perf_counter()
    answer = await client.post(IMPORT, params=options, content=lines(6020), headers=CSV)
    assert answer.status_code == 201, answer.text
    print(f"6,020 rows in {time.perf_counter() - began:.2f} s")
    assert answer.json()["imported"] == 6020
    first = (await client.get(MINERS)).json()
    assert (first["total"], first["pages"], first["page_size"]) == (6020, 301, 20)
    assert [item["serial_number"] for item in first["items"]][:2] == ["SN00000", "SN00001"]
    last = (await client.get(f"{MINERS}?page=301")).json()
    assert [item["serial_number"] for item in last["items"]][-1] == "SN06019"
    beyond = await client.get(f"{MINERS}?page=302")
    assert beyond.status_code == 200
    assert beyond.json() == {
        "items": [],
        "total": 6020,
        "page": 302,
        "pages": 301,
        "page_size": 20,
    }
    events = await published("hosting.miner.registered.v1")
    assert len({event["key"] for event in events}) == 6020
    assert events[0]["data"]["polled"] is True
    assert (await client.get("/api/hosting/kpi")).json()["active"] == 6020
    ids = [event["key"] for event in events]
    began = time.perf_counter()
    batch = {"action": "shutdown", "miner_ids": ids}
    stopped = await client.post("/api/hosting/host/devices/batch", json=batch)
    print(f"6,020 shutdowns in {time.perf_counter() - began:.2f} s")
    assert all(result["command_id"] for result in stopped.json()["results"])
    orders = await published("hosting.command.ordered.v1")
    assert [len(order["data"]["commands"]) for order in orders] == [1000] * 6 + [20]


async def test_a_dry_run_reports_by_row_and_writes_nothing(
    client: httpx.AsyncClient, new_site: New, new_miner: New, published: Published
) -> None:
    site = await new_site(name="North")
    await new_miner(serial_number="old 1", site_id=site["id"], cgminer_ip="10.20.0.50")
    content = (
        "Serial;Model;IP;Port;Hashrate_TH s;hashrate_ths;power_w;Site;Colour\r\n"
        "A;Rig;10.20.0.1;4028;;200;3500;north;red\r\n"
        "a ;Rig;10.20.0.2;4028;;200;3500;north;red\r\n"
        "OLD1;Rig;10.20.0.3;4028;;200;3500;north;red\r\n"
        ";Rig;10.20.0.4;4028;;200;3500;north;red\r\n"
        "\r\n"
        "E;S99;10.20.0.5;4028;;;;north;red\r\n"
        "F;Rig;127.0.0.1;4028;;200;3500;north;red\r\n"
        "G;Rig;10.20.0.50;4028;;200;3500;north;red\r\n"
        "H;Rig;10.20.0.8;22;;200;3500;north;red\r\n"
        "I;Rig;10.20.0.9;4028;;NaN;3500;north;red\r\n"
        "J;Rig;10.20.0.10;4028;;200;3500;south;red\r\n"
        "K;Rig;10.20.0.1;4028;;200;3500;north;red\r\n"
    ).encode("utf-8-sig")
    answer = await client.post(f"{IMPORT}?dry_run=true", content=content, headers=CSV)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["rows"] == 11
    assert report["valid"] == 1
    assert report["imported"] == 0
    assert report["ignored_columns"] == ["colour", "hashrate_th_s"]
    found = [(error["row"], error["field"]) for error in report["errors"]]
    assert found == [
        (3, "serial_number"),
        (4, "serial_number"),
        (5, "serial_number"),
        (7, "model"),
        (8, "cgminer_ip"),
        (9, "cgminer_ip"),
        (10, "port"),
        (11, "hashrate_ths"),
        (12, "site"),
        (13, "cgminer_ip"),
    ]
    refused = await client.post(IMPORT, content=content, headers=CSV)
    assert refused.status_code == 422
    assert refused.json()["code"] == "import_refused"
    assert refused.json()["report"]["errors"] == report["errors"]
    assert len(await published("hosting.miner.registered.v1")) == 1
    partial = await client.post(f"{IMPORT}?partial=true", content=content, headers=CSV)
    assert partial.status_code == 201
    assert partial.json()["imported"] == 1
    assert (await client.get(MINERS)).json()["total"] == 2


async def test_a_form_or_a_workbook_brings_the_same(
    client: httpx.AsyncClient,
    new_site: New,
    know_client: Callable[[], Awaitable[UUID]],
    know_model: Callable[..., Awaitable[None]],
) -> None:
    await know_model("S21 200", hashrate_ths=200, power_w=3500)
    customer = await know_client()
    site = await new_site()
    rack = await client.post(
        f"/api/hosting/sites/{site['id']}/racks", json={"name": "R1", "rows": 1, "positions": 2}
    )
    columns = ["serial_number", "model", "ip", "client", "firmware", "rack", "position"]
    rows = [
        ["A", "s21 200", "10.20.0.1", str(customer), "LuxOS", "r1", 1],
        ["B", "s21 200", "10.20.0.2", "a client", "whatsminer", rack.json()["id"], 2],
    ]
    answer = await client.post(
        IMPORT,
        data={"site_id": site["id"], "approve": "true"},
        files={"file": ("../../etc/fleet.xlsx", write_xlsx(columns, rows))},
    )
    assert answer.status_code == 201, answer.text
    items = (await client.get(MINERS)).json()["items"]
    assert [item["firmware"] for item in items] == ["luxos", "whatsminer"]
    assert [item["position"] for item in items] == [1, 2]
    assert {item["client_id"] for item in items} == {str(customer)}
    assert {item["status"] for item in items} == {"active"}
    bad = [
        ["C", "s21 200", "10.20.0.3", "nobody", "", "", ""],
        ["D", "s21 200", "10.20.0.4", "", "", "r1", 2],
        ["E", "s21 200", "10.20.0.5", "", "", "r1", 3],
        ["F", "s21 200", "10.20.0.6", "", "", "r2", 1],
        ["G", "s21 200", "10.20.0.7", "", "", "r1", ""],
    ]
    answer = await client.post(
        IMPORT,
        params={"dry_run": "true", "site_id": site["id"]},
        files={"file": ("fleet.xlsx", write_xlsx(columns, bad))},
    )
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ["client", "position", "position", "rack", "rack"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", CSV, 422),
        (b"serial_number,model\nA,Rig\n", CSV, 422),
        (HEAD.encode(), CSV, 422),
        (HEAD.encode() + b"\x00\x01\x02", CSV, 422),
        (HEAD.encode() + b'"never closed', CSV, 422),
        (b"serial_number,serial_number,model,ip\n", CSV, 422),
        (b"PK\x03\x04 no workbook", CSV, 422),
        (lines(1).encode(), {"Content-Type": "application/json"}, 415),
        (lines(1).encode(), {}, 415),
        (b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 422),
        (b"no form", {"Content-Type": "multipart/form-data"}, 400),
        (b"x" * (8 * 1024 * 1024 + 1), CSV, 413),
        (HEAD.encode() + b"A,Rig,10.20.0.1,1,1\n" * 20_001, CSV, 413),
    ],
    ids=[
        "nothing", "missing-column", "no-rows", "binary", "open-quote", "column-twice",
        "no-workbook", "json", "no-type", "no-part", "no-boundary", "too-large", "too-many-rows",
    ],
)  # fmt: skip
async def test_a_file_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await client.post(IMPORT, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_options_are_checked(
    client: httpx.AsyncClient, client_as: Callable[..., httpx.AsyncClient]
) -> None:
    for query in ("dry_run=perhaps", "site_id=x", "force=true"):
        answer = await client.post(f"{IMPORT}?{query}", content=lines(1), headers=CSV)
        assert answer.status_code == 422, query
    unknown = await client.post(
        IMPORT, params={"site_id": str(UUID(int=7))}, content=lines(1), headers=CSV
    )
    assert unknown.status_code == 404
    writer = client_as(scopes=frozenset({"miners:write"}))
    refused = await writer.post(f"{IMPORT}?approve=true", content=lines(1), headers=CSV)
    assert refused.status_code == 403
    reader = client_as(scopes=frozenset({"miners:read"}))
    assert (await reader.post(IMPORT, content=lines(1), headers=CSV)).status_code == 403
