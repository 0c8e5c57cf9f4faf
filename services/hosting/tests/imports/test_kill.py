"""A worker that is killed in mid-import: the next one goes on where it was."""

import asyncio
import base64
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from hosting.settings import Settings

New = Callable[..., Awaitable[dict[str, Any]]]
IMPORT = "/api/hosting/miners/import"
ROWS = 3_000
ASYNC = {"Content-Type": "text/csv", "Prefer": "respond-async"}


def _environment(settings: Settings) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    return {
        "HOSTING_DATABASE_URL": settings.database_url.get_secret_value(),
        "HOSTING_WORKER_DATABASE_URL": settings.worker_database_url.get_secret_value(),
        "HOSTING_INTERNAL_KEY": settings.internal_key.get_secret_value(),
        "HOSTING_TELEMETRY_KEY": settings.telemetry_key.get_secret_value(),
        "HOSTING_INTELLIGENCE_KEY": settings.intelligence_key.get_secret_value(),
        "HOSTING_OPS_PORT": port,
        "DEVICE_CREDENTIAL_KEY": base64.b64encode(b"k" * 32).decode(),
        "ENVIRONMENT": "test",
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "REDIS_URL": settings.redis_url,
        "LOG_LEVEL": "WARNING",
        "ALLOW_SIMULATED_MINERS": "true",
    }


async def _worker(settings: Settings) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "hosting", "serve", "--role", "worker"),
        env={**os.environ, **_environment(settings)},
    )


async def _until(
    client: httpx.AsyncClient, job: str, reached: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while not reached(status := (await client.get(job)).json()):
            await asyncio.sleep(0.02)
    return status


async def test_a_killed_worker_neither_loses_nor_doubles_a_row(
    client: httpx.AsyncClient, new_site: New, published: Any, settings: Settings, monkeypatch: Any
) -> None:
    monkeypatch.setattr(settings, "import_batch_rows", 20)
    site = await new_site()
    content = "serial_number,model,cgminer_ip,hashrate_ths,power_w\n" + "".join(
        f"K{n:05},Rig,10.20.{n // 250}.{n % 250 + 1},200,3500\n" for n in range(ROWS)
    )
    path = f"{IMPORT}?approve=true&site_id={site['id']}"
    answer = await client.post(path, content=content, headers=ASYNC)
    job = answer.headers["Location"]
    first = await _worker(settings)
    await _until(client, job, lambda status: status["percent"] >= 20)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    at_kill = (await client.get(job)).json()
    assert at_kill["state"] == "running"
    assert 20 <= at_kill["percent"] < 100
    second = await _worker(settings)
    try:
        status = await _until(client, job, lambda status: status["finished_at"] is not None)
    finally:
        second.terminate()
        await second.wait()
    assert status["state"] == "done", status
    assert (status["result"]["imported"], status["result"]["errors_total"]) == (ROWS, 0)
    listed = (await client.get("/api/hosting/miners")).json()
    assert listed["total"] == ROWS
    events = await published("hosting.miner.registered.v1")
    assert len(events) == ROWS
    assert len({event["data"]["serial_number"] for event in events}) == ROWS
