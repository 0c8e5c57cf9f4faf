"""The thread that runs from an HTTP call through outbox, Kafka and command to what it caused."""

from contextvars import ContextVar

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
"""Id of the request (or job) in which everything began."""
causation_id: ContextVar[str] = ContextVar("causation_id", default="")
"""Id of the event that is being handled, the direct cause."""
