"""The declarative base of this service, and the tables that every service has."""

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
    metadata = service_metadata("calculator")
    type_annotation_map = COLUMN_TYPES


class Outbox(OutboxColumns, Base):
    pass


class Inbox(InboxColumns, Base):
    pass


class DeadLetter(DeadLetterColumns, Base):
    pass


class AuditEvent(AuditColumns, Base):
    pass


class IdempotencyKey(IdempotencyColumns, Base):
    pass


class Job(JobColumns, Base):
    pass
