"""Jobs: enqueued with the caller's transaction, done in steps that are never repeated."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from common.app import Service
from common.ids import new_id


async def _finished(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(40):
        while True:
            status: dict[str, Any] = (await client.get(f"/api/sample/jobs/{job_id}")).json()
            if status["finished_at"] is not None:
                return status
            await asyncio.sleep(0.1)


async def _start(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await client.post("/api/sample/count", json=body)
    assert answer.status_code == 202
    job_id: str = answer.json()["job_id"]
    return job_id


async def test_a_job_is_done_step_by_step(
    service: Service, running_service: Any, client: httpx.AsyncClient
) -> None:
    job_id = await _start(client, {"total": 5})
    assert (await client.get(f"/api/sample/jobs/{job_id}")).json()["state"] == "queued"
    async with running_service(service):
        status = await _finished(client, job_id)
    assert status["state"] == "done"
    assert status["percent"] == 100
    assert status["result"] == {"made": 5}


async def test_a_job_goes_on_where_it_stumbled(
    service: Service,
    running_service: Any,
    client: httpx.AsyncClient,
    tenant_session: Any,
    things: Any,
) -> None:
    job_id = await _start(client, {"total": 4, "stumble": True})
    async with running_service(service):
        status = await _finished(client, job_id)
    assert status["result"] == {"made": 4}
    async with tenant_session() as session:
        assert await session.scalar(select(func.count()).select_from(things)) == 4


async def test_a_job_that_always_fails_says_so(
    service: Service, running_service: Any, client: httpx.AsyncClient
) -> None:
    job_id = await _start(client, {"total": 1, "fall": True})
    async with running_service(service):
        status = await _finished(client, job_id)
    assert status["state"] == "failed"
    assert "stumbled" in status["error"]


async def test_a_refused_request_leaves_no_job(client: httpx.AsyncClient, client_as: Any) -> None:
    answer = await client_as(scopes=frozenset()).post("/api/sample/count", json={"total": 1})
    assert answer.status_code == 403
    assert (await client.get("/api/sample/jobs")).json()["total"] == 0


async def test_jobs_are_walled_off(client: httpx.AsyncClient, client_as: Any) -> None:
    job_id = await _start(client, {"total": 1})
    others = {
        "another organisation": client_as(organisation_id=new_id()),
        "a client of this one": client_as(client_id=new_id()),
        "a key that may not": client_as(scopes=frozenset({"telemetry:api"}), kind="api_key"),
    }
    for who, other in others.items():
        for path in (f"/api/sample/jobs/{job_id}", f"/api/sample/jobs/{job_id}/stream"):
            assert (await other.get(path)).status_code == 404, who
        assert (await other.get("/api/sample/jobs")).json()["total"] == 0, who


async def test_everybody_sees_what_they_started_themselves(client_as: Any) -> None:
    starter = client_as(scopes=frozenset({"miners:read"}), client_id=new_id())
    job_id = await _start(starter, {"total": 1})
    assert (await starter.get(f"/api/sample/jobs/{job_id}")).json()["state"] == "queued"
    assert (await starter.get("/api/sample/jobs")).json()["total"] == 1


async def test_what_can_never_succeed_is_not_tried_again(
    service: Service, running_service: Any, client: httpx.AsyncClient
) -> None:
    job_id = await _start(client, {"total": 1, "refuse": True})
    async with running_service(service):
        status = await _finished(client, job_id)
    assert (status["state"], status["error"]) == ("failed", "There is nothing to count.")


async def test_a_database_error_does_not_tell_its_statement(
    service: Service, running_service: Any, client: httpx.AsyncClient
) -> None:
    job_id = await _start(client, {"total": 1, "collide": True})
    async with running_service(service):
        status = await _finished(client, job_id)
    assert status["state"] == "failed"
    assert "IntegrityError" in status["error"]
    assert "INSERT" not in status["error"]


@pytest.mark.parametrize("total", [3])
async def test_progress_is_streamed(
    service: Service, running_service: Any, client: httpx.AsyncClient, total: int
) -> None:
    job_id = await _start(client, {"total": total})
    async with running_service(service):
        async with asyncio.timeout(30):
            answer = await client.get(f"/api/sample/jobs/{job_id}/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"state":"done"' in answer.text
