"""Which partitions of the fleet are ours: Kafka's consumer group decides.

The member reads nothing; it only holds partitions of hosting.miner.v1. While a rebalance runs the
old partitions are kept, so polling goes on; the unique `(miner, slot)` refuses the rare repeat. A
worker that loses the broker keeps what it holds.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from structlog import get_logger

from common.kafka import ensure_topics, prefixed
from common.runtime import Runtime

log = get_logger()
TOPIC = "hosting.miner.v1"
GROUP = "telemetry-poll"
_FAREWELL_S = 5.0


class _Listener(ConsumerRebalanceListener):
    def __init__(self, assigned: Callable[[frozenset[int]], None]) -> None:
        self._assigned = assigned

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Keep them until the new assignment is known."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._assigned(frozenset(partition.partition for partition in assigned))


async def follow_assignment(
    runtime: Runtime, assigned: Callable[[frozenset[int]], None], *, instance_id: str | None
) -> None:
    """Stay a member of the group and report each new assignment, for ever.

    When the membership breaks it is joined anew; what was assigned last is polled meanwhile.
    """
    await ensure_topics(runtime.settings, [TOPIC])
    while True:
        try:
            await _be_member(runtime, assigned, instance_id)
        except (KafkaError, OSError) as error:
            log.warning("assignment.lost_broker", error=repr(error)[:200])
        await asyncio.sleep(1)


async def _be_member(
    runtime: Runtime, assigned: Callable[[frozenset[int]], None], instance_id: str | None
) -> None:
    settings = runtime.settings
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=f"{settings.kafka_topic_prefix}{GROUP}",
        group_instance_id=instance_id,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        session_timeout_ms=10_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=5_000,
        max_poll_interval_ms=600_000,
        metadata_max_age_ms=30_000,
        partition_assignment_strategy=[StickyPartitionAssignor],
    )
    consumer.subscribe([prefixed(settings, TOPIC)], listener=_Listener(assigned))
    try:
        await consumer.start()
        while True:
            # What comes is thrown away: asking keeps the membership alive.
            await consumer.getmany(timeout_ms=500)
    finally:
        # Without a broker the farewell would wait for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await consumer.stop()
