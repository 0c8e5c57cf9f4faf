"""The tables of the schema `hosting` and those that every service has."""

from sqlalchemy.orm import DeclarativeBase

from common.db import (
    COLUMN_TYPES,
    AuditColumns,
    DeadLetterColumns,
    IdempotencyColumns,
    InboxColumns,
    JobColumns,
    OutboxColumns,
    service_metadata,
)


class Base(DeclarativeBase):
    metadata = service_metadata("hosting")
    type_annotation_map = COLUMN_TYPES


class Outbox(OutboxColumns, Base):
    """Events of this service on their way to Kafka."""


class Inbox(InboxColumns, Base):
    """Events that this service has handled."""


class DeadLetter(DeadLetterColumns, Base):
    """Events that this service could not handle."""


class AuditEvent(AuditColumns, Base):
    """Who did what here."""


class IdempotencyKey(IdempotencyColumns, Base):
    """Answers given under an Idempotency-Key."""


class Job(JobColumns, Base):
    """Long work of this service."""
