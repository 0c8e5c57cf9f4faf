"""The envelope of a record: what its headers say, before anybody reads its data."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from aiokafka.structs import ConsumerRecord

from common.auth import PLATFORM_ORGANISATION
from common.clock import now


@dataclass(frozen=True, slots=True)
class Message:
    """A record's envelope, before anybody has read its data."""

    event_id: UUID
    type: str
    organisation_id: UUID
    version: int
    occurred_at: datetime
    correlation_id: str
    topic: str
    partition: int
    position: int
    key: str
    value: bytes | None


class Undecodable(Exception):
    """A record that is no event of ours; it can never be handled."""


def message_of(record: "ConsumerRecord[bytes | None, bytes | None]", prefix: str) -> Message:
    """Read the envelope.

    Raises:
        Undecodable: a mandatory header is missing or malformed.
    """
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    try:
        return Message(
            event_id=UUID(headers["ce_id"]),
            type=headers["ce_type"],
            organisation_id=UUID(headers["ce_tenant"]),
            version=int(headers.get("ce_sequence", "0")),
            occurred_at=datetime.fromisoformat(headers["ce_time"]).astimezone(UTC),
            correlation_id=headers.get("ce_correlationid", ""),
            topic=record.topic.removeprefix(prefix),
            partition=record.partition,
            position=record.offset,
            key=(record.key or b"").decode("utf-8", "replace"),
            value=record.value,
        )
    except (KeyError, ValueError) as error:
        msg = f"{record.topic}/{record.partition}@{record.offset}: bad envelope: {error!r}"
        raise Undecodable(msg) from error


def nobodys(record: "ConsumerRecord[bytes | None, bytes | None]") -> Message:
    """Return a message for a record without a readable envelope; it belongs to the platform."""
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return Message(
        event_id=uuid5(NAMESPACE_URL, place),
        type="unknown",
        organisation_id=PLATFORM_ORGANISATION,
        version=0,
        occurred_at=now(),
        correlation_id="",
        topic=record.topic,
        partition=record.partition,
        position=record.offset,
        key=(record.key or b"").decode("utf-8", "replace").replace("\x00", ""),
        value=record.value,
    )
