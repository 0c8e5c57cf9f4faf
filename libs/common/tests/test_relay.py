"""The relay: at least once, in order per key, whatever dies in between."""

import asyncio
import json
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.kafka import ensure_topics, prefixed
from common.relay import WINDOW, Relay
from common.runtime import Runtime

pytestmark = pytest.mark.kafka
TOPIC = "sample.thing.v1"
INSERT = text(
    "INSERT INTO sample.outbox (event_id, type, topic, key, organisation_id, version, data, "
    "headers, occurred_at) SELECT gen_random_uuid(), 'sample.thing.made.v1', :topic, "
    "(n % :keys)::text, :organisation, n, jsonb_build_object('filler', repeat('x', :size)), '{}', "
    "clock_timestamp() FROM generate_series(CAST(:first AS bigint), :last) n ORDER BY n"
)
DYING_RELAY = """
import asyncio, json, os, signal, sys
from pydantic import SecretStr
from common.relay import Relay
from common.runtime import Runtime
from common.settings import ServiceSettings

class Dying(Relay):
    windows = 0

    async def _pack(self, rows, start):
        self.windows += 1
        if point == "before the send" and self.windows == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super()._pack(rows, start)

    async def _send(self, batches):
        found = await super()._send(batches)
        if point == "before the mark" and self.windows == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

point, values = sys.argv[1], json.loads(sys.argv[2])
for name in ("database_url", "worker_database_url"):
    values[name] = SecretStr(values[name])

async def main():
    await Dying(Runtime("sample", ServiceSettings.model_construct(**values))).run()

asyncio.run(main())
"""

Emit = Callable[..., Awaitable[None]]
Arrived = Callable[..., Awaitable[dict[str, list[int]]]]


async def emit_into(session: AsyncSession, organisation: UUID, **changes: Any) -> None:
    values = {"topic": TOPIC, "keys": 7, "size": 10, "first": 1, "organisation": organisation}
    await session.execute(INSERT, {**values, **changes})


@pytest.fixture
async def emit(runtime: Runtime, organisation: UUID) -> Emit:
    """Commit events `first` to `last`, whose number is their version, over `keys` keys."""
    await ensure_topics(runtime.settings, [TOPIC])

    async def write(**changes: Any) -> None:
        async with runtime.worker_session() as session:
            await emit_into(session, organisation, **changes)

    return write


@pytest.fixture
def arrived(runtime: Runtime, organisation: UUID) -> Arrived:
    """Read what is on a topic of this organisation: versions by key, as they came."""

    async def read(topic: str = TOPIC) -> dict[str, list[int]]:
        name = prefixed(runtime.settings, topic)
        consumer: Any = AIOKafkaConsumer(
            name, bootstrap_servers=runtime.settings.kafka_bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: dict[str, list[int]] = defaultdict(list)
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    attributes = dict(record.headers)
                    if attributes["ce_tenant"] == str(organisation).encode():
                        found[record.key.decode()].append(int(attributes["ce_sequence"]))
        await consumer.stop()
        return dict(found)

    return read


async def unsent(runtime: Runtime) -> int:
    query = "SELECT count(*) FROM sample.outbox WHERE published_at IS NULL AND attempts < 5"
    async with runtime.worker_session() as session:
        return await session.scalar(text(query)) or 0


@asynccontextmanager
async def relaying(runtime: Runtime) -> AsyncGenerator[None]:
    relay = asyncio.create_task(Relay(runtime).run())
    try:
        yield
    finally:
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay


async def drain(runtime: Runtime) -> None:
    async with relaying(runtime), asyncio.timeout(30):
        while await unsent(runtime):
            await asyncio.sleep(0.05)


def first_arrivals(versions: list[int]) -> list[int]:
    return list(dict.fromkeys(versions))


@pytest.mark.parametrize(
    ("point", "repeats"), [("before the send", 0), ("before the mark", WINDOW)]
)
async def test_a_relay_killed_in_between_loses_nothing(
    runtime: Runtime, organisation: UUID, emit: Emit, arrived: Arrived, point: str, repeats: int
) -> None:
    await drain(runtime)
    rows = 2 * WINDOW + 500
    await emit(last=rows, keys=40)
    settings = runtime.settings
    values = {
        "database_url": settings.database_url.get_secret_value(),
        "worker_database_url": settings.worker_database_url.get_secret_value(),
        "database_pool_size": 1,
        "redis_url": settings.redis_url,
        "kafka_bootstrap": settings.kafka_bootstrap,
        "kafka_topic_prefix": settings.kafka_topic_prefix,
    }
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING_RELAY, point, json.dumps(values)
    )
    assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL
    assert await unsent(runtime) == rows - WINDOW, "the first window is marked"
    await drain(runtime)
    found = await arrived()
    assert sorted(n for versions in found.values() for n in set(versions)) == [*range(1, rows + 1)]
    assert all(first_arrivals(versions) == sorted(set(versions)) for versions in found.values())
    assert sum(map(len, found.values())) - rows == repeats


async def test_a_row_committed_late_with_a_smaller_number_is_sent(
    runtime: Runtime, organisation: UUID, emit: Emit, arrived: Arrived
) -> None:
    async with relaying(runtime), asyncio.timeout(30):
        async with runtime.worker_session() as late:
            await emit_into(late, organisation, first=1, last=1, keys=100)
            await emit(first=2, last=2, keys=100)
            while await unsent(runtime):
                await asyncio.sleep(0.02)
        while await unsent(runtime):
            await asyncio.sleep(0.02)
    assert await arrived() == {"1": [1], "2": [2]}


async def test_large_events_of_one_key_keep_their_order(
    runtime: Runtime, organisation: UUID, emit: Emit, arrived: Arrived
) -> None:
    """Several batches of one partition, some of which hold a single record."""
    await emit(last=8, keys=1, size=100_000)
    await emit(first=9, last=10, keys=1, size=400_000)
    await emit(first=11, last=20, keys=1)
    await drain(runtime)
    assert await arrived() == {"0": [*range(1, 21)]}


async def test_a_refused_record_is_given_up_alone_and_keeps_the_order(
    runtime: Runtime, organisation: UUID, emit: Emit, arrived: Arrived
) -> None:
    topic = f"sample.narrow-{organisation}.v1"
    admin = AIOKafkaAdminClient(bootstrap_servers=runtime.settings.kafka_bootstrap)
    await admin.start()
    name = prefixed(runtime.settings, topic)
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "3000"})])
    await admin.close()
    await emit(topic=topic, last=3, keys=2)
    await emit(topic=topic, first=4, last=4, keys=2, size=5_000)
    await emit(topic=topic, first=5, last=12, keys=2)
    await drain(runtime)
    assert await arrived(topic) == {"0": [2, 6, 8, 10, 12], "1": [1, 3, 5, 7, 9, 11]}
    async with runtime.worker_session() as session:
        query = text(
            "SELECT version, attempts, last_error FROM sample.outbox "
            "WHERE organisation_id = :organisation AND (attempts > 0 OR published_at IS NULL)"
        )
        [row] = await session.execute(query, {"organisation": organisation})
    assert (row.version, row.attempts) == (4, 5)
    assert row.last_error.startswith("MessageSizeTooLargeError")


async def test_a_second_relay_waits_until_the_first_is_gone(
    runtime: Runtime, organisation: UUID, emit: Emit, arrived: Arrived
) -> None:
    async with asyncio.timeout(30):
        async with relaying(runtime):
            await emit(last=1)
            while await unsent(runtime):
                await asyncio.sleep(0.02)
            async with relaying(runtime):
                await emit(first=2, last=300)
                while await unsent(runtime):
                    await asyncio.sleep(0.02)
        await emit(first=301, last=400)
        await drain(runtime)
    found = await arrived()
    assert sorted(n for versions in found.values() for n in versions) == [*range(1, 401)]
