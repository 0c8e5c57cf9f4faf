"""The tables of telemetry live in the schema of its name."""

from sqlalchemy.orm import DeclarativeBase

from common.db import COLUMN_TYPES, platform_tables, service_metadata


class Base(DeclarativeBase):
    metadata = service_metadata("telemetry")
    type_annotation_map = COLUMN_TYPES


Outbox, Inbox, DeadLetter, AuditEvent, IdempotencyKey, Job = platform_tables(Base)
