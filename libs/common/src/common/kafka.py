"""The broker: topics that exist before anybody writes to them, and the one producer shape."""

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from structlog import get_logger

from common.events import TOPICS, Topic
from common.settings import ServiceSettings

log = get_logger()
_RETENTION_MS = 7 * 24 * 3600 * 1000


def prefixed(settings: ServiceSettings, topic: str) -> str:
    """Return the topic's name on the broker, where several installations may live."""
    return settings.kafka_topic_prefix + topic


async def ensure_topics(settings: ServiceSettings, names: Iterable[str]) -> None:
    """Create the topics that are missing; waits for a broker that is not there yet.

    Raises:
        KeyError: a topic is not declared in `common.events.TOPICS`.
    """
    wanted = {name: TOPICS[name] for name in names}
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
        try:
            await admin.start()
            present = set(await admin.list_topics())
            for name, topic in wanted.items():
                if prefixed(settings, name) not in present:
                    await _create(admin, settings, prefixed(settings, name), topic)
        except (KafkaError, OSError) as error:
            log.warning("kafka.not_ready", error=str(error))
            await asyncio.sleep(0.5)
        else:
            return
        finally:
            await admin.close()


async def _create(
    admin: AIOKafkaAdminClient, settings: ServiceSettings, name: str, topic: Topic
) -> None:
    keep = (
        {"cleanup.policy": "compact"} if topic.compacted else {"retention.ms": str(_RETENTION_MS)}
    )
    new = NewTopic(name, topic.partitions, settings.kafka_replication, topic_configs=keep)
    answer: Any = await admin.create_topics([new])
    for _, code, *_ in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            msg = f"topic {name} cannot be created: error {code}"
            raise KafkaError(msg)


def make_producer(settings: ServiceSettings) -> AIOKafkaProducer:
    """Return a producer for one sending coroutine with a bounded window.

    Linger only delays that shape, and the batch must not exceed the broker's message limit.
    """
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=262_144,
        max_request_size=1_048_576,
        request_timeout_ms=10_000,
        metadata_max_age_ms=60_000,
    )
