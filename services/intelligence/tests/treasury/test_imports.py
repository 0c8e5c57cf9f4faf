from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from common.clock import now
from common.runtime import Runtime
from intelligence.settings import Settings
from simulation.pool import SIMULATED_TOKEN, Pool, PoolFault, serve_pool

IMPORT = "/api/treasury/lots/import"
GOOD = """received_at,btc,price_usd,txid,note
2026-10-01T06:00:00Z,0.5,60000,t1,first
2026-10-02T06:00:00Z,0.25,61000,t2,
"""
Send = Callable[..., Any]


@pytest.fixture
def send(owner: httpx.AsyncClient) -> Send:
    async def post(content: str | bytes, wallet_id: str, **query: Any) -> httpx.Response:
        return await owner.post(
            IMPORT,
            content=content,
            params={"wallet_id": wallet_id, **query},
            headers={"Content-Type": "text/csv"},
        )

    return post


async def test_payouts_of_a_file_become_lots_once(
    owner: httpx.AsyncClient, wallet: Any, send: Send
) -> None:
    place = (await wallet())["id"]
    dry = await send(GOOD, place, dry_run=True)
    assert (dry.status_code, dry.json()["imported"]) == (200, 2)
    assert (await owner.get("/api/treasury/lots")).json()["total"] == 0
    done = (await send(GOOD, place)).json()
    assert (done["imported"], done["imported_btc"], done["rows"]) == (2, "0.75000000", 2)
    again = await send(GOOD, place)
    assert again.status_code == 201
    assert (again.json()["imported"], again.json()["duplicates"]) == (0, [2, 3])
    lots = (await owner.get("/api/treasury/lots")).json()["items"]
    assert [(one["reference"], one["source"]) for one in lots] == [("t2", "csv"), ("t1", "csv")]
    assert lots[1]["cost_usd"] == "30000.000000"


async def test_errors_are_told_by_row_and_nothing_is_written(
    owner: httpx.AsyncClient, wallet: Any, send: Send
) -> None:
    place = (await wallet())["id"]
    later = (now() + timedelta(days=1)).isoformat()
    bad = (
        f"{GOOD}2026-10-03T06:00:00Z,-1,60000,t3,\n{later},1,60000,t4,\n"
        "2026-10-05T06:00:00Z,0.123456789,60000,t5,\n2026-10-06T06:00:00Z,1,60000,,\n"
        "2020-10-06T06:00:00Z,1,,t7,\n2026-10-01T06:00:00Z,0.6,60000,t1,\n"
    )
    refused = await send(bad, place)
    assert (refused.status_code, refused.json()["code"]) == (422, "payouts_refused")
    assert (await owner.get("/api/treasury/lots")).json()["total"] == 0
    report = (await send(bad, place, dry_run=True)).json()
    told = {(one["row"], one["column"]) for one in report["errors"]}
    assert told == {
        (4, "btc"), (5, "received_at"), (6, "btc"), (7, "reference"), (8, "price_usd"),
        (9, "reference"),
    }  # fmt: skip
    assert (report["rows"], report["imported"]) == (8, 2)
    done = await send(bad, place, partial=True)
    assert (done.json()["imported"], len(done.json()["errors"])) == (2, 6)


async def test_the_price_of_the_day_is_filled_in_where_stored(
    owner: httpx.AsyncClient, wallet: Any, send: Send, history: Any
) -> None:
    await history(["90000", "91000"])
    day = now() - timedelta(days=1)
    file = f"received_at;btc;payout_id\n{day.isoformat()};0.1;p1\n"
    assert (await send(file, (await wallet())["id"])).json()["imported"] == 1
    [lot] = (await owner.get("/api/treasury/lots")).json()["items"]
    assert lot["price_usd"] == "91000.000000"


async def test_a_form_and_its_faults(owner: httpx.AsyncClient, wallet: Any) -> None:
    query = {"wallet_id": (await wallet())["id"]}
    form = {"file": ("payouts.csv", GOOD, "text/csv")}
    assert (await owner.post(IMPORT, params=query, files=form)).json()["imported"] == 2
    other = {"sheet": ("payouts.csv", GOOD, "text/csv")}
    assert (await owner.post(IMPORT, params=query, files=other)).json()["code"] == "bad_upload"
    assert (await owner.post(IMPORT, params=query, json={})).status_code == 415
    huge = b"x" * (8 * 1024 * 1024 + 1)
    headers = {"Content-Type": "text/csv"}
    answer = await owner.post(IMPORT, params=query, content=huge, headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("content", ["", "btc\n1\n", "\x00\x01", "received_at,btc,btc\n"])
async def test_what_is_no_table_is_refused(wallet: Any, send: Send, content: str) -> None:
    answer = await send(content, (await wallet())["id"])
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable")


@pytest.fixture
async def pool(runtime: Runtime) -> AsyncGenerator[Pool]:
    settings = runtime.settings
    assert isinstance(settings, Settings)
    before = settings.braiins_pool_url
    async with serve_pool(Pool(days=20)) as served:
        settings.braiins_pool_url = served.url
        yield served
    settings.braiins_pool_url = before


async def ask(
    owner: httpx.AsyncClient, wallet_id: str, token: str = SIMULATED_TOKEN, **more: Any
) -> httpx.Response:
    body = {"wallet_id": wallet_id, "token": token, **more}
    return await owner.post(f"{IMPORT}/pool", json=body)


async def test_a_pools_payouts_become_lots_once(
    owner: httpx.AsyncClient, wallet: Any, history: Any, pool: Pool
) -> None:
    await history([str(90_000 + n) for n in range(40)])
    place = (await wallet("Pool", "pool"))["id"]
    since = (now() - timedelta(days=10)).isoformat()
    dry = await ask(owner, place, since=since, dry_run=True)
    assert dry.status_code == 200
    done = await ask(owner, place, since=since)
    assert (done.status_code, done.json()["imported"]) == (201, dry.json()["imported"])
    assert done.json()["simulated"] is True
    assert 9 <= done.json()["imported"] <= 10
    rest = (await ask(owner, place)).json()
    assert len(rest["duplicates"]) == done.json()["imported"]
    lots = (await owner.get("/api/treasury/lots", params={"page_size": 100})).json()
    assert lots["total"] == done.json()["imported"] + rest["imported"]
    assert all(one["simulated"] and one["source"] == "pool" for one in lots["items"])


@pytest.mark.parametrize(
    "fault",
    [
        PoolFault.HTML, PoolFault.TRUNCATED, PoolFault.HUGE_BODY, PoolFault.NOT_A_LIST,
        PoolFault.STATUS_500,
    ],
)  # fmt: skip
async def test_a_pool_that_misbehaves_is_503_and_books_nothing(
    owner: httpx.AsyncClient, wallet: Any, pool: Pool, fault: PoolFault
) -> None:
    pool.fault = fault
    answer = await ask(owner, (await wallet())["id"])
    assert (answer.status_code, answer.json()["code"]) == (503, "pool_unavailable")
    assert "Retry-After" in answer.headers
    assert (await owner.get("/api/treasury/lots")).json()["total"] == 0


async def test_a_pool_that_was_asked_too_often_says_when(
    owner: httpx.AsyncClient, wallet: Any, pool: Pool
) -> None:
    pool.fault = PoolFault.STATUS_429
    answer = await ask(owner, (await wallet())["id"])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


@pytest.mark.parametrize("fault", [PoolFault.NEGATIVE, PoolFault.FRACTION, PoolFault.FUTURE])
async def test_a_senseless_payout_is_left_out_and_named(
    owner: httpx.AsyncClient, wallet: Any, history: Any, pool: Pool, fault: PoolFault
) -> None:
    await history([str(90_000 + n) for n in range(40)])
    pool.fault = fault
    done = (await ask(owner, (await wallet())["id"])).json()
    assert len(done["errors"]) >= 1
    assert done["errors"][0]["row"] == 1
    assert done["imported"] >= 17


async def test_a_token_is_refused_by_the_pool_and_kept_by_nobody(
    owner: httpx.AsyncClient, wallet: Any, pool: Pool
) -> None:
    answer = await ask(owner, (await wallet())["id"], token="wrong")
    assert (answer.status_code, answer.json()["code"]) == (422, "pool_refused")
    assert "wrong" not in repr(SecretStr("wrong"))


async def test_a_pool_that_is_away_or_off(
    owner: httpx.AsyncClient, wallet: Any, runtime: Runtime, pool: Pool
) -> None:
    settings = runtime.settings
    assert isinstance(settings, Settings)
    place = (await wallet())["id"]
    for address, code in (("http://127.0.0.1:9", "pool_unavailable"), ("", "pool_off")):
        settings.braiins_pool_url = address
        answer = await ask(owner, place)
        assert (answer.status_code, answer.json()["code"]) == (503, code)
