"""Batches through HTTP: JSON, CSV and xlsx in; results, errors and files out."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from httpx import AsyncClient, Response
from python_calamine import CalamineWorkbook

from calculator.batches import jobs
from calculator.db import Job
from calculator.settings import Settings
from common.app import Service
from common.auth import Principal
from common.ids import new_id
from common.jobs import Progress, Step
from common.runtime import Runtime
from common.tabular import write_xlsx

PATH = "/api/calculator/batch/calculate"
Json: TypeAlias = dict[str, Any]
ClientAs: TypeAlias = Callable[..., AsyncClient]
KNOWN_BTC = 110e12 * 86_400 / (80e12 * 2**32) * 3.125
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
def terms(closed: Json) -> Json:
    """What the market would say."""
    return {name: closed[name] for name in ("btc_price_usd", "difficulty", "subsidy_btc")}


async def answered(client: AsyncClient, body: Any) -> Json:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def upload(client: AsyncClient, content: bytes, kind: str, terms: Json) -> Response:
    return await client.post(PATH, content=content, headers={"Content-Type": kind}, params=terms)


async def test_columns_are_calculated_all_at_once(user: AsyncClient, terms: Json) -> None:
    columns = {"model": ["S19 Pro", "S21"], "electricity_cost": 0.05, "count": [2, 3], **terms}
    for body in ({"columns": columns}, columns):
        found = await answered(user, body)
        first, second = found["results"]
        assert (first["index"], second["index"]) == (0, 1)
        assert first["result"]["btc_per_day"] == pytest.approx(2 * KNOWN_BTC, abs=1e-12)
        assert second["model"] == "Antminer S21 200T"
        assert second["result"]["capex_usd"] == 3_200
        sums = first["result"]["profit_usd_per_day"] + second["result"]["profit_usd_per_day"]
        assert found["totals"]["profit_usd_per_day"] == pytest.approx(sums, abs=1e-5)


async def test_a_row_says_the_same_as_a_single_calculation(user: AsyncClient, closed: Json) -> None:
    rows = [
        closed | {"count": 3, "capex_usd": 999, "pool_fee_percent": 1.5, "uptime_percent": 93},
        closed | {"stale_percent": 0.4, "fees_btc_per_block": 0.07, "other_opex_usd_per_day": 0.3},
    ]
    found = await answered(user, {"rows": rows})
    for row, result in zip(rows, found["results"], strict=True):
        single = (await user.post("/api/calculator/calculate", json=row)).json()
        shown = result["result"]
        compared = set(shown) & set(single) - {"count"}
        assert len(compared) == 11
        assert {name: shown[name] for name in compared} == pytest.approx(
            {name: single[name] for name in compared}
        )


async def test_a_bad_row_keeps_no_good_one_back(user: AsyncClient, terms: Json) -> None:
    rows = [
        {"model": "S19 Pro", "electricity_usd_per_kwh": 0.05, "label": "hall 1"},
        {"model": "S99", "electricity_usd_per_kwh": 0.05},
        {"model": "S21", "electricity_usd_per_kwh": -0.05},
        {"model": "S21", "electricity_usd_per_kwh": "1e400"},
        {"model": "S21", "electricity_usd_per_kwh": "five"},
        {"model": "S21"},
        {"hashrate_ths": 100, "electricity_usd_per_kwh": 0.05},
        {"model": "S21", "rate_id": "tariff 1"},
        {"model": "S21", "electricity_usd_per_kwh": 0.05, "count": 1.5},
        {"model": "S21", "electricity_usd_per_kwh": 0.05, "pool_fee_percent": 100},
        {"model": "S21", "electricity_usd_per_kwh": True},
        {"model": ["S21"], "electricity_usd_per_kwh": 0.05},
        {},
        {"model": "S21", "electricity_usd_per_kwh": 0},
    ]
    found = await answered(user, {"rows": rows, "defaults": terms})
    faults = [
        (row["index"], row["error"]["field"], row["error"]["code"])
        for row in found["results"]
        if row["error"] is not None
    ]
    assert faults == [
        (1, "model", "miner_model_not_found"),
        (2, "electricity_usd_per_kwh", "out_of_range"),
        (3, "electricity_usd_per_kwh", "not_finite"),
        (4, "electricity_usd_per_kwh", "not_a_number"),
        (5, "electricity_usd_per_kwh", "electricity_unclear"),
        (6, "model", "machine_unclear"),
        (7, "rate_id", "rate_unknown"),
        (8, "count", "not_whole"),
        (9, "pool_fee_percent", "out_of_range"),
        (10, "electricity_usd_per_kwh", "not_a_number"),
        (11, "model", "invalid_text"),
        (12, "model", "machine_unclear"),
    ]
    assert (found["rows"], found["succeeded"], found["failed"]) == (14, 2, 12)
    assert found["results"][0]["label"] == "hall 1"
    assert found["results"][0]["result"]["btc_per_day"] == pytest.approx(KNOWN_BTC, abs=1e-12)
    assert found["results"][13]["result"]["break_even_btc_price_usd"] == 0
    assert all((row["result"] is None) != (row["error"] is None) for row in found["results"])


async def test_the_market_is_the_same_for_all_rows(user: AsyncClient) -> None:
    found = await answered(user, {"rows": [{"model": "S21", "electricity_cost": 0.05}] * 2})
    assert found["inputs"]["btc_price_usd"]["age_s"] >= 0
    first, second = found["results"]
    assert first["result"] == second["result"]


async def test_a_batch_that_needs_no_market_does_without(user: AsyncClient, closed: Json) -> None:
    assert (await answered(user, {"rows": [closed]}))["inputs"] == {}


async def test_10_000_rows_are_answered_and_one_more_is_413(
    user: AsyncClient, closed: Json
) -> None:
    found = await answered(user, {"columns": closed | {"count": [1] * 10_000}})
    assert (found["succeeded"], len(found["results"])) == (10_000, 10_000)
    assert found["results"][9_999]["index"] == 9_999
    answer = await user.post(PATH, json={"columns": closed | {"count": [1] * 10_001}})
    assert answer.status_code == 413
    assert answer.json()["maximum_rows"] == 10_000
    lines = b"hashrate_ths\n" + b"100\n" * 10_001
    assert (await upload(user, lines, "text/csv", {})).status_code == 413


@pytest.mark.parametrize(
    "body", [{}, [], {"rows": []}, {"columns": {}}, {"columns": {"model": []}}]
)
async def test_an_empty_batch_is_422(user: AsyncClient, body: Any) -> None:
    answer = await user.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_batch")


@pytest.mark.parametrize(
    "body",
    [
        {"columns": {"model": ["S21", "S9"], "count": [1]}},
        {"columns": {"colour": ["red"]}},
        {"columns": {"model": ["S21"], "miner_model": ["S9"]}},
        {"columns": []},
        {"rows": {}},
        {"rows": ["S21"]},
        {"rows": [{"colour": "red"}]},
        {"rows": [{"model": "S21"}], "columns": {"model": ["S21"]}},
        {"rows": [{"model": "S21"}], "shared": {}},
        {"rows": [{"model": "S21"}], "defaults": {"count": [1]}},
        {"rows": [{"model": "S21"}], "defaults": []},
        "S21",
        7,
    ],
)
async def test_what_is_neither_rows_nor_columns_is_422(user: AsyncClient, body: Any) -> None:
    answer = await user.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_unclear")


async def test_what_cannot_be_read_is_refused(user: AsyncClient) -> None:
    for content, kind, status in [
        (b'{"rows": [', "application/json", 400),
        (b'{"rows": [{"count": NaN}]}', "application/json", 400),
        (b"\xff\xfe\xff", "application/json", 400),
        (b"<rows/>", "application/xml", 415),
        (b"PK\x03\x04 no workbook", XLSX, 422),
        (b"name;colour\nS21;red", "text/csv", 422),
        (b"model\n", "text/csv", 422),
        (b"--x\r\n", "multipart/form-data; boundary=x", 422),
        (b" " * (8 * 1024 * 1024 + 1), "application/json", 413),
    ]:
        answer = await upload(user, content, kind, {})
        assert answer.status_code == status, (content[:20], answer.text)


async def test_a_csv_with_other_columns_is_calculated_by_line(
    user: AsyncClient, terms: Json
) -> None:
    text = "Miner Model;Electricity Cost;Count;Customer\nS19 Pro;0.05;2;Ada\n\nS99;0.05;1;Bob\n"
    for content in (text.encode("utf-8-sig"), text.encode("utf-16")):
        answer = await upload(user, content, "text/csv", terms)
        found = answer.json()
        assert answer.status_code == 200, answer.text
        assert found["ignored_columns"] == ["customer"]
        first, second = found["results"]
        assert first["line"] == 2
        assert first["result"]["btc_per_day"] == pytest.approx(2 * KNOWN_BTC, abs=1e-12)
        assert (second["line"], second["error"]["code"]) == (4, "miner_model_not_found")


async def test_an_xlsx_in_a_form_is_calculated(user: AsyncClient, terms: Json) -> None:
    sheet = write_xlsx(("miner_model", "electricity_cost"), [("S19 Pro", 0.05)])
    answer = await user.post(PATH, files={"file": ("fleet.xlsx", sheet, XLSX)}, data=terms)
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["results"]
    assert row["result"]["btc_per_day"] == pytest.approx(KNOWN_BTC, abs=1e-12)
    direct = await upload(user, sheet, XLSX, terms)
    assert direct.json()["results"] == answer.json()["results"]


async def test_downloads_hold_every_row_and_no_formula(user: AsyncClient, terms: Json) -> None:
    rows = [
        {"model": "S19 Pro", "electricity_cost": 0.05, "label": "=cmd()"},
        {"model": '=HYPERLINK("http://x")', "electricity_cost": 0.05, "label": "+1"},
    ]
    found = await answered(user, {"rows": rows, "defaults": terms})
    text = (await user.get(found["downloads"]["csv"])).content.decode("utf-8-sig")
    first, second = csv.DictReader(io.StringIO(text))
    assert first["label"] == "'=cmd()"
    assert float(first["btc_per_day"]) == pytest.approx(KNOWN_BTC, abs=1e-12)
    assert second["model"].startswith("'=")
    assert second["error_field"] == "model"
    answer = await user.get(found["downloads"]["xlsx"])
    assert answer.headers["content-type"] == XLSX
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0)
    heading, line, *_ = sheet.to_python()
    assert line[heading.index("label")] == "=cmd()"  # text, and no formula: it has no value
    assert line[heading.index("btc_per_day")] == pytest.approx(KNOWN_BTC, abs=1e-12)


async def test_a_batch_needs_a_login_and_its_permission(
    anonymous: AsyncClient, client_as: ClientAs, closed: Json
) -> None:
    assert (await anonymous.post(PATH, json={"rows": [closed]})).status_code == 401
    reader = client_as(scopes=frozenset({"calculations:read"}))
    assert (await reader.post(PATH, json={"rows": [closed]})).status_code == 403


async def test_a_program_gets_its_answer_but_has_no_history(
    client_as: ClientAs, closed: Json
) -> None:
    program = client_as(kind="api_key", scopes=frozenset({"calculations:run"}))
    found = await answered(program, {"rows": [closed]})
    assert found["succeeded"] == 1
    assert found["batch_id"] is found["downloads"] is None


async def test_a_batch_is_its_owners_alone(
    user: AsyncClient, client_as: ClientAs, closed: Json
) -> None:
    found = await answered(user, {"rows": [closed] * 3})
    path = f"/api/calculator/batch/{found['batch_id']}"
    assert (await user.get(path)).json()["succeeded"] == 3
    page = (await user.get(f"{path}/rows", params={"page_size": 2, "page": 2})).json()
    assert (page["total"], [row["index"] for row in page["items"]]) == (3, [2])
    scopes = frozenset({"calculations:read", "calculations:run"})
    stranger = client_as(organisation_id=new_id(), scopes=scopes)
    colleague = client_as(subject=new_id(), scopes=scopes)
    for other in (stranger, colleague):
        for below in ("", "/rows", "/results.csv", "/results.xlsx"):
            assert (await other.get(path + below)).status_code == 404


async def one_step(runtime: Runtime, accepted: Json, organisation: UUID) -> Progress:
    """Do the job's next step as its worker would."""
    async with runtime.tenant_session(organisation) as session:
        job = await session.get_one(Job, UUID(accepted["job_id"]))
        step = Step(job.id, organisation, job.arguments, job.cursor)
        progress = await jobs.carry_on(session, runtime, step)
        job.cursor, job.percent = progress.cursor, progress.percent
    return progress


async def job_steps(runtime: Runtime, accepted: Json, organisation: UUID) -> list[Json]:
    """Do all of the job's steps."""
    done: list[Json] = []
    while True:
        progress = await one_step(runtime, accepted, organisation)
        done.append({"percent": progress.percent, "step": progress.step})
        if progress.result is not None:
            return done


async def test_a_job_calculates_part_by_part(
    client_as: ClientAs,
    runtime: Runtime,
    settings: Settings,
    organisation: UUID,
    closed: Json,
    monkeypatch: pytest.MonkeyPatch,
    principal: Callable[..., Principal],
) -> None:
    monkeypatch.setattr(settings, "batch_part_rows", 2)
    person, client_id = principal().subject, new_id()
    user = client_as(
        subject=person,
        client_id=client_id,
        scopes=frozenset({"calculations:run", "calculations:read"}),
    )
    rows = [closed, {"model": "S99", "electricity_cost": 1}, *[closed] * 3]
    answer = await user.post(PATH, json={"rows": rows}, headers={"Prefer": "respond-async"})
    accepted = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/calculator/jobs/{accepted['job_id']}"
    path = f"/api/calculator/batch/{accepted['batch_id']}"
    assert (await user.get(path)).json()["state"] == "queued"
    assert (await user.get(answer.headers["location"])).json()["state"] == "queued"
    steps = await job_steps(runtime, accepted, organisation)
    assert [step["percent"] for step in steps] == [40, 80, 100]
    summary = (await user.get(path)).json()
    assert (summary["state"], summary["succeeded"], summary["failed"]) == ("done", 4, 1)
    shown = (await user.get(f"{path}/rows")).json()["items"]
    assert [row["index"] for row in shown] == [0, 1, 2, 3, 4]
    assert shown[4]["result"]["btc_per_day"] == pytest.approx(KNOWN_BTC, abs=1e-12)
    at_once = await answered(user, {"rows": rows})
    assert at_once["results"] == shown
    history = (await user.get("/api/calculator/history")).json()["items"]
    assert {item["summary"]["succeeded"] for item in history} == {4}


async def test_all_parts_of_a_job_see_the_market_of_the_first(
    world: Any,
    empty: Callable[[], Awaitable[None]],
    user: AsyncClient,
    runtime: Runtime,
    settings: Settings,
    organisation: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "batch_part_rows", 1)
    rows = [{"model": "S21", "electricity_cost": 0.05}] * 2
    answer = await user.post(PATH, json={"rows": rows}, headers={"Prefer": "respond-async"})
    accepted = answer.json()
    await one_step(runtime, accepted, organisation)
    world.clock.forward(86_400)
    await empty()  # what is known now differs
    world.restart()
    await one_step(runtime, accepted, organisation)
    path = f"/api/calculator/batch/{accepted['batch_id']}"
    first, second = (await user.get(f"{path}/rows")).json()["items"]
    assert first["result"] == second["result"]
    assert (await user.get(path)).json()["inputs"]["difficulty"]["source"] != "given"


async def test_a_job_whose_batch_was_deleted_ends(
    user: AsyncClient, runtime: Runtime, organisation: UUID, closed: Json
) -> None:
    answer = await user.post(
        PATH, json={"rows": [closed]}, headers={"Prefer": "wait=1, respond-async"}
    )
    accepted = answer.json()
    await user.delete(f"/api/calculator/history/{accepted['batch_id']}")
    assert await job_steps(runtime, accepted, organisation) == [{"percent": 100, "step": "deleted"}]


@pytest.mark.kafka
async def test_a_queued_batch_is_done_by_the_worker(
    user: AsyncClient,
    closed: Json,
    running_service: Callable[..., Any],
    service: Service,
    extra_settings: Json,
) -> None:
    answer = await user.post(PATH, json={"rows": [closed] * 3}, headers={"Prefer": "respond-async"})
    path = answer.headers["location"]
    async with running_service(service, **extra_settings), asyncio.timeout(20):
        while (job := (await user.get(path)).json())["state"] != "done":
            await asyncio.sleep(0.05)
    assert (job["percent"], job["result"]["succeeded"]) == (100, 3)
