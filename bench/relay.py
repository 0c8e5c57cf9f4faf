"""The relay against what bounds it, in one run.

1. Throughput: draining an outbox, beside aiokafka's windowed producer sending the same records,
   made ready beforehand. Both are started and have sent before the clock runs.
2. Delay from commit to consumer at 200 events/s, beside a bare loop: NOTIFY in the transaction, a
   listener that produces at once, no outbox, no marking.

Same producer settings, headers and event loop (uvloop, as in the services) on both sides.

    .venv/bin/python bench/relay.py [--json FILE] [--rows 40000] [--seconds 10]
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from common import migrations, postgres
from common.bootstrap import bootstrap_sql
from common.clock import now
from common.ids import new_id
from common.kafka import ensure_topics, make_producer, prefixed
from common.relay import WINDOW, Relay
from common.runtime import Runtime
from hosting.main import SERVICE

INFRA = Path(".local/test/infra.json")
TOPIC = "hosting.command.v1"
DATA = {"site_id": "x" * 36, "reason": "y" * 180}
RATE = 200
AGGREGATES = 5_000
TRACE = {"correlation_id": str(new_id()), "causation_id": str(new_id())}


@asynccontextmanager
async def installation() -> AsyncGenerator[Runtime]:
    """A database and topics of this run's own, on the test infrastructure."""
    places = json.loads(INFRA.read_text())
    name = f"bench_{os.getpid()}"
    admin = await postgres.connect(places["postgres_dsn"])
    await admin.execute(f"CREATE DATABASE {name}")
    host = places["postgres_dsn"].rpartition("@")[2].partition("/")[0]
    inside = await postgres.connect(f"postgresql://postgres@{host}/{name}")
    for statement in bootstrap_sql(["hosting"], {}):
        await inside.execute(statement)
    await inside.close()

    def dsn(role: str) -> str:
        return f"postgresql+asyncpg://hosting_{role}@{host}/{name}"

    settings = SERVICE.settings.model_construct(
        **{
            name: field.default
            for name, field in SERVICE.settings.model_fields.items()
            if not field.is_required()
        }
    )
    values: dict[str, Any] = {
        "database_url": dsn("app"), "worker_database_url": dsn("worker"),
        "kafka_bootstrap": places["kafka_bootstrap"], "kafka_topic_prefix": f"b{os.getpid()}.",
        "redis_url": places["redis_url"],
    }  # fmt: skip
    from pydantic import SecretStr

    for key, value in values.items():
        secret = SecretStr(value) if key.endswith("database_url") else value
        object.__setattr__(settings, key, secret)
    await asyncio.to_thread(migrations.migrate, SERVICE.versions, SERVICE.metadata, dsn("owner"))
    await ensure_topics(settings, [TOPIC])
    runtime = Runtime("hosting", settings)
    try:
        yield runtime
    finally:
        await runtime.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


def headers(event_id: str, key: str, tenant: str, at: str) -> list[tuple[str, bytes]]:
    """Return what a record of ours carries."""
    values = {
        "ce_specversion": "1.0", "ce_id": event_id, "ce_source": "/hosting",
        "ce_type": "hosting.command.ordered.v1", "ce_subject": key, "ce_time": at,
        "ce_partitionkey": key, "ce_sequence": "1", "ce_tenant": tenant,
        "ce_correlationid": TRACE["correlation_id"], "ce_causationid": TRACE["causation_id"],
        "content-type": "application/json",
    }  # fmt: skip
    return [(name, value.encode()) for name, value in values.items()]


async def fill(runtime: Runtime, rows: int) -> int:
    """Write committed, unsent events; return the last one's number."""
    async with runtime.worker_session() as session:
        await session.execute(
            text(
                "INSERT INTO hosting.outbox (event_id, type, topic, key, organisation_id, version, "
                "data, headers, occurred_at) SELECT gen_random_uuid(), "
                "'hosting.command.ordered.v1', :topic, md5((n % :keys)::text)::uuid::text, :org, 1,"
                " CAST(:data AS jsonb), CAST(:trace AS jsonb), clock_timestamp() "
                "FROM generate_series(1, :rows) n"
            ),
            {
                "topic": TOPIC, "org": new_id(), "data": json.dumps(DATA),
                "trace": json.dumps(TRACE), "rows": rows, "keys": AGGREGATES,
            },
        )  # fmt: skip
        return await session.scalar(text("SELECT max(id) FROM hosting.outbox")) or 0


async def drained(runtime: Runtime, relay: "asyncio.Task[None]", last: int) -> None:
    """Wait until the last event is marked; rows are sent and marked in order."""
    query = text("SELECT published_at IS NOT NULL FROM hosting.outbox WHERE id = :last")
    while not relay.done():
        async with runtime.worker_session() as session:
            if await session.scalar(query, {"last": last}):
                return
        await asyncio.sleep(0.01)
    relay.result()


async def relay_rate(runtime: Runtime, rows: int) -> float:
    """Events per second while a running relay drains a backlog that is committed at once."""
    relay = asyncio.create_task(Relay(runtime).run())
    await drained(runtime, relay, await fill(runtime, 1000))
    last = await fill(runtime, rows)
    began = time.perf_counter()
    await drained(runtime, relay, last)
    seconds = time.perf_counter() - began
    relay.cancel()
    with suppress(asyncio.CancelledError):
        await relay
    async with runtime.worker_session() as session:
        query = text("SELECT count(*) FROM hosting.outbox WHERE published_at IS NULL")
        assert not await session.scalar(query), "drained, but not everything was marked"
    return rows / seconds


async def producer_rate(runtime: Runtime, rows: int) -> float:
    """Records per second of aiokafka's producer with a window of the same size."""
    producer: Any = make_producer(runtime.settings)
    await producer.start()
    value, topic, tenant = (
        json.dumps(DATA).encode(), prefixed(runtime.settings, TOPIC), str(new_id())
    )  # fmt: skip
    keys = [str(new_id()) for _ in range(AGGREGATES)]
    records: list[tuple[bytes, list[tuple[str, bytes]]]] = [
        (key.encode(), headers(str(new_id()), key, tenant, now().isoformat()))
        for key in (keys[n % AGGREGATES] for n in range(rows))
    ]

    async def send(chosen: list[tuple[bytes, list[tuple[str, bytes]]]]) -> None:
        for start in range(0, len(chosen), WINDOW):
            window = [
                await producer.send(topic, value=value, key=key, headers=attributes)
                for key, attributes in chosen[start : start + WINDOW]
            ]
            await asyncio.wait(window)

    await send(records[:1000])
    began = time.perf_counter()
    await send(records)
    seconds = time.perf_counter() - began
    await producer.stop()
    return rows / seconds


async def delays(
    runtime: Runtime, seconds: float, emit: Callable[[str], Awaitable[None]]
) -> list[float]:
    """Milliseconds from the end of each commit to its arrival at a consumer."""
    consumer: Any = AIOKafkaConsumer(
        prefixed(runtime.settings, TOPIC), bootstrap_servers=runtime.settings.kafka_bootstrap,
        auto_offset_reset="latest", fetch_max_wait_ms=100,
    )  # fmt: skip
    await consumer.start()
    await consumer.seek_to_end()
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}

    async def listen() -> None:
        async for record in consumer:
            arrived[record.key.decode()] = time.perf_counter()

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.5)
    count = round(seconds * RATE)
    began = time.perf_counter()
    for n in range(count):
        key = str(new_id())
        await emit(key)
        committed[key] = time.perf_counter()
        await asyncio.sleep(max(0.0, began + (n + 1) / RATE - time.perf_counter()))
    async with asyncio.timeout(10):
        while len(arrived.keys() & committed.keys()) < count:
            await asyncio.sleep(0.05)
    listening.cancel()
    await consumer.stop()
    return [max(0.0, arrived[key] - committed[key]) * 1000 for key in committed]


async def ours(runtime: Runtime, seconds: float) -> list[float]:
    """Delays through outbox and relay; the writer wakes the relay as a session's commit does."""
    relay = asyncio.create_task(Relay(runtime).run())
    writer = await postgres.connect(runtime.settings.worker_database_url.get_secret_value())
    data, trace, org = json.dumps(DATA), json.dumps(TRACE), new_id()

    async def emit(key: str) -> None:
        async with writer.transaction():
            await writer.execute(
                "INSERT INTO hosting.inbox (consumer, event_id) VALUES ('ours', $1)", new_id()
            )
            await writer.execute(
                "INSERT INTO hosting.outbox (event_id, type, topic, key, organisation_id, version, "
                "data, headers, occurred_at) VALUES ($1, 'hosting.command.ordered.v1', $2, $3, $4, "
                "1, $5::jsonb, $6::jsonb, now())",
                new_id(), TOPIC, key, org, data, trace,
            )  # fmt: skip
        runtime.outbox_wake.set()

    await asyncio.sleep(1)
    try:
        return await delays(runtime, seconds, emit)
    finally:
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
        await writer.close()


async def bare(runtime: Runtime, seconds: float) -> list[float]:
    """Delays of NOTIFY in the transaction and a listener that produces at once."""
    dsn = runtime.settings.worker_database_url.get_secret_value()
    listener, writer = await postgres.connect(dsn), await postgres.connect(dsn)
    producer: Any = make_producer(runtime.settings)
    await producer.start()
    waiting: asyncio.Queue[str] = asyncio.Queue()

    def on_notify(_: Any, __: Any, ___: Any, key: str) -> None:
        waiting.put_nowait(key)

    await listener.add_listener("bare", on_notify)
    value, tenant = json.dumps(DATA).encode(), str(new_id())

    async def produce() -> None:
        while True:
            key = await waiting.get()
            topic = prefixed(runtime.settings, TOPIC)
            attributes = headers(str(new_id()), key, tenant, now().isoformat())
            await producer.send_and_wait(topic, value=value, key=key.encode(), headers=attributes)

    producing = asyncio.create_task(produce())

    async def emit(key: str) -> None:
        async with writer.transaction():
            await writer.execute(
                "INSERT INTO hosting.inbox (consumer, event_id) VALUES ('bare', $1)", new_id()
            )
            await writer.execute("SELECT pg_notify('bare', $1)", key)

    try:
        return await delays(runtime, seconds, emit)
    finally:
        producing.cancel()
        await producer.stop()
        await listener.close()
        await writer.close()


async def measure(rows: int, seconds: float) -> dict[str, float]:
    """Run all four, interleaved; a ratio is the median over neighbours in time."""
    async with installation() as runtime:
        await producer_rate(runtime, 1000)
        waits: list[tuple[list[float], list[float]]] = [
            (await bare(runtime, seconds / 5), await ours(runtime, seconds / 5)) for _ in range(5)
        ]
        pairs = [
            (await producer_rate(runtime, rows), await relay_rate(runtime, rows)) for _ in range(3)
        ]
    bare_p50 = statistics.median([ms for one, _ in waits for ms in one])
    ours_p50 = statistics.median([ms for _, one in waits for ms in one])
    producer = statistics.median(one for one, _ in pairs)
    relay = statistics.median(one for _, one in pairs)
    return {
        "producer_per_s": producer,
        "relay_per_s": relay,
        "relay_ratio": statistics.median(b / a for a, b in pairs),
        "relay_ratio_target_min": 0.3,
        "bare_p50_ms": bare_p50,
        "ours_p50_ms": ours_p50,
        "delay_ratio": statistics.median(
            statistics.median(b) / statistics.median(a) for a, b in waits
        ),
        "delay_ratio_target_max": 2.0,
    }


def main() -> None:
    """Measure, print a table and, if asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--seconds", type=float, default=10)
    chosen = parser.parse_args()
    found = uvloop.run(measure(chosen.rows, chosen.seconds))
    table = Table("figure", "value", title="relay")
    for name, value in found.items():
        table.add_row(name, f"{value:,.2f}")
    Console().print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
