"""A repeated POST with a key has one effect and one answer."""

import asyncio

import httpx

from common.ids import new_id


async def test_the_second_call_replays_the_first(client: httpx.AsyncClient) -> None:
    body = {"name": f"once {new_id()}", "price_usd": "1"}
    headers = {"Idempotency-Key": str(new_id())}
    first = await client.post("/api/sample/once", json=body, headers=headers)
    second = await client.post("/api/sample/once", json=body, headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (await client.get("/api/sample/things")).json()["total"] == 1


async def test_another_body_under_the_same_key_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": str(new_id())}
    body = {"name": f"a {new_id()}", "price_usd": "1"}
    await client.post("/api/sample/once", json=body, headers=headers)
    body["price_usd"] = "2"
    answer = await client.post("/api/sample/once", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == "key_reused"


async def test_a_failure_is_not_remembered(client: httpx.AsyncClient) -> None:
    taken, free = f"t {new_id()}", f"f {new_id()}"
    await client.post("/api/sample/things", json={"name": taken, "price_usd": 1})
    headers = {"Idempotency-Key": str(new_id())}
    failed = await client.post(
        "/api/sample/once", json={"name": taken, "price_usd": 1}, headers=headers
    )
    assert failed.status_code == 409
    again = await client.post(
        "/api/sample/once", json={"name": free, "price_usd": 1}, headers=headers
    )
    assert again.status_code == 201


async def test_parallel_calls_have_one_effect(client: httpx.AsyncClient) -> None:
    body = {"name": f"p {new_id()}", "price_usd": "1"}
    headers = {"Idempotency-Key": str(new_id())}
    answers = await asyncio.gather(
        *(client.post("/api/sample/once", json=body, headers=headers) for _ in range(5))
    )
    assert {a.status_code for a in answers} <= {201, 409}
    assert len({a.text for a in answers if a.status_code == 201}) == 1
    assert (await client.get("/api/sample/things")).json()["total"] == 1
