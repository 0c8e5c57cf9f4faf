"""The schema of this service: for the time being only what every service has."""

from sqlalchemy.orm import DeclarativeBase

from common.db import COLUMN_TYPES, platform_tables, service_metadata


class Base(DeclarativeBase):
    metadata = service_metadata("intelligence")
    type_annotation_map = COLUMN_TYPES


Outbox, Inbox, DeadLetter, AuditEvent, IdempotencyKey, Job = platform_tables(Base)
