"""The schema of this service: what every service has; the features add their own."""

from sqlalchemy.orm import DeclarativeBase

from common.db import COLUMN_TYPES, platform_tables, service_metadata


class Base(DeclarativeBase):
    metadata = service_metadata("energy")
    type_annotation_map = COLUMN_TYPES


Outbox, Inbox, DeadLetter, AuditEvent, IdempotencyKey, Job = platform_tables(Base)
