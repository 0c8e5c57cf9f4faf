"""The tables of telemetry live in the schema of its name."""

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
    metadata = service_metadata("telemetry")
    type_annotation_map = COLUMN_TYPES


class Outbox(OutboxColumns, Base): ...


class Inbox(InboxColumns, Base): ...


class DeadLetter(DeadLetterColumns, Base): ...


class AuditEvent(AuditColumns, Base): ...


class IdempotencyKey(IdempotencyColumns, Base): ...


class Job(JobColumns, Base): ...
