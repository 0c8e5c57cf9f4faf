"""Events: CloudEvents in binary mode, one topic per aggregate type, key = aggregate id."""

from dataclasses import dataclass
from typing import ClassVar, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Topic:
    """How a topic is laid out. The partition count is fixed for life: re-keying breaks order."""

    partitions: int = 6
    compacted: bool = False


TOPICS: dict[str, Topic] = {
    "identity.organisation.v1": Topic(compacted=True),
    "identity.user.v1": Topic(compacted=True),
    "calculator.miner-model.v1": Topic(compacted=True),
    "calculator.network-epoch.v1": Topic(partitions=1, compacted=True),
    "calculator.quote.v1": Topic(partitions=1),
    "intelligence.market-price.v1": Topic(partitions=1),
    "intelligence.forecast.v1": Topic(),
    "intelligence.treasury.v1": Topic(),
    "hosting.site.v1": Topic(compacted=True),
    "hosting.miner.v1": Topic(partitions=48, compacted=True),
    "hosting.curtailment.v1": Topic(),
    "hosting.command.v1": Topic(),
    "hosting.incident.v1": Topic(),
    "telemetry.miner-state.v1": Topic(),
    "telemetry.alert.v1": Topic(),
    "telemetry.command.v1": Topic(),
    "telemetry.half-hour.v1": Topic(),
    "energy.tariff.v1": Topic(compacted=True),
    "energy.index-prices.v1": Topic(),
    "energy.signal.v1": Topic(),
    "energy.cost.v1": Topic(),
}
"""Every topic of the installation, read by launcher, Compose and Kubernetes."""


def topic_of(event_type: str) -> str:
    """Return the topic of an event type: `hosting.site.changed.v1` lives in `hosting.site.v1`."""
    service, aggregate, _, version = event_type.split(".")
    return f"{service}.{aggregate}.{version}"


class Event(BaseModel):
    """A published fact. Within a major version fields are only ever added, never required anew."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str]
    aggregate: ClassVar[str]
    """Name of the field that identifies the aggregate; its value is the Kafka key."""

    organisation_id: UUID
    """The tenant: an operator's organisation."""
    version: int = 0
    """Version of the aggregate; on state topics a reader drops what is older than it knows."""

    @classmethod
    def topic(cls) -> str:
        """Return the topic of this type."""
        return topic_of(cls.type)

    def key(self) -> str:
        """Return the aggregate's id, by which the events of one aggregate keep their order."""
        return str(cast("object", getattr(self, self.aggregate)))

    def is_tombstone(self) -> bool:
        """Return whether this event erases its key from a compacted topic."""
        return False
