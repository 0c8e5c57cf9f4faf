"""Every fault is what its name says, befalls whom it should, and goes away again."""

import json
import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from simulation.elexon import Edit, Elexon, Fault, Resource, Run, serve

Get = Callable[..., Awaitable[Any]]
DAY = date(2025, 3, 4)
STACK = "/balancing/settlement/stack/all"
PATH = f"{STACK}/bid/2025-03-04/5"


async def fetch(elexon: Elexon, http: aiohttp.ClientSession, path: str = PATH) -> tuple[int, bytes]:
    async with http.get(elexon.url + path) as answer:
        return answer.status, await answer.read()


async def test_faults_of_the_whole_answer(elexon: Elexon, http: aiohttp.ClientSession) -> None:
    _, well = await fetch(elexon, http)

    elexon.fault(Fault.HTML)
    status, body = await fetch(elexon, http)
    assert (status, body[:15]) == (200, b"<!DOCTYPE html>")

    elexon.fault(Fault.TRUNCATED)
    assert (await fetch(elexon, http)) == (200, well[: len(well) // 2])

    elexon.fault(Fault.EMPTY)
    assert (await fetch(elexon, http)) == (200, b"")

    elexon.fault(Fault.STATUS_500)
    assert (await fetch(elexon, http))[0] == 500

    elexon.fault(Fault.MISSING)
    assert (await fetch(elexon, http))[0] == 404

    elexon.fault(Fault.REFUSED)
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch(elexon, http)

    elexon.fault(Fault.HUGE_BODY)
    assert len((await fetch(elexon, http))[1]) > 20_000_000

    elexon.fault(Fault.SLOW)
    began = time.perf_counter()
    assert (await fetch(elexon, http)) == (200, well)
    assert time.perf_counter() - began >= 0.3

    elexon.heal()
    assert await fetch(elexon, http) == (200, well)


async def test_faults_of_the_envelope(elexon: Elexon, get: Get) -> None:
    elexon.fault(Fault.NULL_DATA)
    assert await get(PATH) == {"data": None}
    assert await get("/reference/bmunits/all") is None
    elexon.fault(Fault.NO_DATA)
    assert "data" not in await get(PATH)
    elexon.fault(Fault.NO_ROWS)
    assert (await get(PATH))["data"] == []
    elexon.fault(Fault.WRONG_SHAPE)
    assert isinstance(await get(PATH), list)
    assert isinstance(await get("/reference/bmunits/all"), dict)


async def test_faults_of_the_rows(elexon: Elexon, get: Get, http: aiohttp.ClientSession) -> None:
    well = (await get(PATH))["data"]

    elexon.fault(Fault.DUPLICATES)
    rows = (await get(PATH))["data"]
    assert rows[0] == rows[1] == well[0]
    assert len(rows) > len(well)

    elexon.fault(Fault.DISORDER)
    rows = (await get(PATH))["data"]
    assert rows != well
    assert sorted(rows, key=lambda row: row["sequenceNumber"]) == well

    elexon.fault(Fault.OTHER_DATE)
    assert {row["settlementDate"] for row in (await get(PATH))["data"]} == {
        "2025-03-03",
        "2025-03-04",
    }

    elexon.fault(Fault.OTHER_PERIOD)
    assert {row["settlementPeriod"] for row in (await get(PATH))["data"]} == {5, 6}

    elexon.fault(Fault.WRONG_TYPES)
    first = (await get(PATH))["data"][0]
    assert (first["volume"], first["soFlag"], first["settlementPeriod"]) == ("a lot", "yes", "yes")

    elexon.fault(Fault.LOST_FIELDS)
    assert not {"volume", "soFlag"} & set((await get(PATH))["data"][0])

    elexon.fault(Fault.NAN)
    assert b"NaN" in (await fetch(elexon, http))[1]

    elexon.fault(Fault.HUGE_NUMBER)
    body = (await fetch(elexon, http))[1]
    assert b"1e400" in body
    json.loads(body)


async def test_too_many_calls_say_when_to_come_back_and_then_it_is_over(
    elexon: Elexon, http: aiohttp.ClientSession
) -> None:
    elexon.fault(Fault.STATUS_429, Resource.STACK, times=2, retry_after_s=0.5)
    for _ in range(2):
        async with http.get(elexon.url + PATH) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "0.5")
    assert (await fetch(elexon, http))[0] == 200


async def test_a_fault_befalls_only_the_calls_it_names(
    elexon: Elexon, http: aiohttp.ClientSession
) -> None:
    elexon.fault(Fault.STATUS_500, Resource.STACK, day=DAY, period=5, side="offer")
    for path, status in (
        (f"{STACK}/offer/2025-03-04/5", 500),
        (f"{STACK}/offer/2025-03-04/6", 200),
        (f"{STACK}/offer/2025-03-05/5", 200),
        (PATH, 200),
        ("/reference/bmunits/all", 200),
    ):
        assert (await fetch(elexon, http, path))[0] == status


async def test_more_calls_a_second_than_allowed_are_refused(http: aiohttp.ClientSession) -> None:
    async with serve(limit_per_s=3) as elexon:
        answers = [(await fetch(elexon, http))[0] for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]


async def test_delay_comes_before_every_answer(http: aiohttp.ClientSession) -> None:
    async with serve(delay_s=0.1) as elexon:
        began = time.perf_counter()
        await fetch(elexon, http)
        assert time.perf_counter() - began >= 0.1


async def test_edits_take_scale_and_add_rows(elexon: Elexon, get: Get) -> None:
    well = (await get(PATH))["data"]
    unit = next(row["id"] for row in well if isinstance(row["id"], str) and row["id"][0] == "T")
    elexon.edit(Edit(DAY, 5, "bid", unit=unit, scale=2.0))
    for row, before in zip((await get(PATH))["data"], well, strict=True):
        factor = 2.0 if row["id"] == unit else 1.0
        assert row["volume"] == before["volume"] * factor
    elexon.edit(Edit(DAY, 5, "bid", scale=0))
    elexon.edit(Edit(DAY, 5, "bid", add={"id": unit, "volume": -20.0, "originalPrice": -95.12}))
    [row] = (await get(PATH))["data"]
    assert (row["id"], row["volume"], row["originalPrice"]) == (unit, -20.0, -95.12)
    assert row["settlementPeriod"] == 5
    assert (await get(f"{STACK}/bid/2025-03-04/6"))["data"]
    elexon.reset()
    assert (await get(PATH))["data"] == well


async def test_a_run_by_name_replaces_the_one_by_age(elexon: Elexon, get: Get) -> None:
    newest = (await get(PATH))["data"]
    elexon.set_run(Run.II)
    first = (await get(PATH))["data"]
    assert first[0]["createdDateTime"] < newest[0]["createdDateTime"]
    elexon.set_run(Run.SF, DAY)
    second = (await get(PATH))["data"]
    assert first[0]["createdDateTime"] < second[0]["createdDateTime"]
    elexon.set_run(None, DAY)
    assert (await get(PATH))["data"] == first
    elexon.set_run(None)
    assert (await get(PATH))["data"] == newest


async def test_control_by_http(elexon: Elexon, http: aiohttp.ClientSession) -> None:
    root = urlsplit(elexon.url)._replace(path="").geturl()

    async def post(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        async with http.post(f"{root}/control/{path}", data=orjson.dumps(body)) as answer:
            return answer.status, orjson.loads(await answer.read())

    named = {"resource": "stack", "day": "2025-03-04", "period": 5, "times": 1}
    assert (await post("fault", {"fault": "status_500", **named}))[1]["faults"] == ["status_500"]
    assert (await fetch(elexon, http))[0] == 500
    assert (await fetch(elexon, http))[0] == 200
    assert (await post("fault", {"fault": "html"}))[1]["faults"] == ["html"]
    assert (await post("fault", {"fault": None}))[1]["faults"] == []
    assert (await post("run", {"run": "SF"}))[1]["run"] == "SF"
    assert (await post("edit", {"day": "2025-03-04", "scale": 0}))[1]["edits"] == 1
    assert orjson.loads((await fetch(elexon, http))[1])["data"] == []
    status, said = await post("fault", {"fault": "bad luck"})
    assert (status, "wrong_types" in said["error"]) == (400, True)
    assert (await post("run", {"run": "R9"}))[0] == 400
    assert (await post("reset", {}))[1]["edits"] == 0
    async with http.get(f"{root}/control/status") as answer:
        assert orjson.loads(await answer.read())["url"] == elexon.url
