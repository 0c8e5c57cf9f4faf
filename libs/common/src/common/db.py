"""Tables, sessions and the tenant wall.

One request, one message, one job step is one transaction, committed before the answer leaves.
Application code never commits. The tenant is set in one place, when a transaction begins.
"""

from collections.abc import AsyncGenerator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple
from uuid import UUID

import orjson
from fastapi import Depends, Request
from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Identity,
    Index,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    Uuid,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, SessionTransaction, declared_attr, mapped_column
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.types import TypeEngine

from common.clock import now
from common.events import Event
from common.ids import new_id
from common.trace import causation_id, correlation_id

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
COLUMN_TYPES: dict[Any, TypeEngine[Any]] = {
    UUID: Uuid(),
    datetime: DateTime(timezone=True),
    Decimal: Numeric(),
    str: Text(),
    dict[str, Any]: JSONB(),
    list[str]: JSONB(),
    list[Any]: JSONB(),
}
"""The `type_annotation_map` of every service's declarative base."""

MAX_EVENT_BYTES = 262_144


def service_metadata(schema: str) -> MetaData:
    """Return the metadata of a service: its own schema, constraints with predictable names."""
    return MetaData(schema=schema, naming_convention=NAMING)


class _Row:
    """What a declarative base adds to these mixins, for the type checker."""

    if TYPE_CHECKING:
        metadata: ClassVar[MetaData]

        def __init__(self, **columns: Any) -> None: ...


class Tenant(_Row):
    """A row of one operator. The wall is a policy of the table (`migrations.tenant_policy`)."""

    organisation_id: Mapped[UUID]


class ClientOwned(Tenant):
    """A row that one client of the operator may see."""

    client_id: Mapped[UUID | None]


class OutboxColumns(Tenant):
    """Events that leave with the transaction that wrote them; insert-only, sent by the relay."""

    __tablename__ = "outbox"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  (each service's table needs indexes of its own)
        """Index what waits to be sent, and each tenant's rows."""
        return (
            Index("ix_outbox_pending", "id", postgresql_where=text("published_at IS NULL")),
            Index("ix_outbox_organisation_id", "organisation_id", "id"),
        )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(unique=True)
    type: Mapped[str]
    topic: Mapped[str]
    key: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    headers: Mapped[dict[str, Any]]
    occurred_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    last_error: Mapped[str | None]

    @classmethod
    def of(cls, message: Event) -> "OutboxColumns":
        """Return the outbox row of an event. Flush the aggregate first, add this after it.

        Raises:
            ValueError: the event is larger than 256 KiB; publish it in parts.
        """
        data = message.model_dump(mode="json")
        size = len(orjson.dumps(data))
        if size > MAX_EVENT_BYTES:
            msg = f"{message.type}: {size} bytes, at most {MAX_EVENT_BYTES} fit one event"
            raise ValueError(msg)
        return cls(
            event_id=new_id(),
            type=message.type,
            topic=message.topic(),
            key=message.key(),
            organisation_id=message.organisation_id,
            version=message.version,
            data=None if message.is_tombstone() else data,
            headers={"correlation_id": correlation_id.get(), "causation_id": causation_id.get()},
            occurred_at=now(),
        )


class InboxColumns:
    """Events that this service has handled; the row is written with the handler's effects."""

    __tablename__ = "inbox"

    consumer: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    processed_at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)


class DeadLetterColumns(Tenant):
    """Events whose handler gave up, kept until somebody redrives or discards them."""

    __tablename__ = "dead_letter"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    consumer: Mapped[str]
    event_id: Mapped[UUID]
    type: Mapped[str]
    topic: Mapped[str]
    partition: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[str | None]
    headers: Mapped[dict[str, Any]]
    reason: Mapped[str]
    error: Mapped[str]
    attempts: Mapped[int]
    died_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None]


class AuditColumns(Tenant):
    """Who did what: append-only, chained by hash per organisation (`common.audit`)."""

    __tablename__ = "audit_event"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  (each service's table needs indexes of its own)
        """Index each tenant's rows."""
        return (Index("ix_audit_event_organisation_id", "organisation_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[UUID]
    actor_kind: Mapped[str]
    actor_role: Mapped[str]
    action: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[str]
    detail: Mapped[dict[str, Any]]
    request_id: Mapped[str]
    previous_hash: Mapped[str]
    hash: Mapped[str]


class IdempotencyColumns(Tenant):
    """Answers already given to a caller's Idempotency-Key (`common.idempotency`)."""

    __tablename__ = "idempotency_key"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[str]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    body: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)


class JobColumns(Tenant):
    """Long work and how far it has come (`common.jobs`)."""

    __tablename__ = "job"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  (each service's table needs indexes of its own)
        """Index each tenant's rows."""
        return (Index("ix_job_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    state: Mapped[str]
    percent: Mapped[int] = mapped_column(SmallInteger, default=0)
    step: Mapped[str] = mapped_column(default="")
    arguments: Mapped[dict[str, Any]]
    cursor: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    starts: Mapped[int] = mapped_column(SmallInteger, default=0)
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]


class PlatformTables(NamedTuple):
    """The tables that every service has, mapped in its own schema."""

    outbox: type[OutboxColumns]
    inbox: type[InboxColumns]
    dead_letter: type[DeadLetterColumns]
    audit_event: type[AuditColumns]
    idempotency_key: type[IdempotencyColumns]
    job: type[JobColumns]


def platform_tables(base: type[DeclarativeBase]) -> PlatformTables:
    """Map the platform tables on a service's declarative base; call it once, in its db.py."""

    class Outbox(OutboxColumns, base): ...

    class Inbox(InboxColumns, base): ...

    class DeadLetter(DeadLetterColumns, base): ...

    class AuditEvent(AuditColumns, base): ...

    class IdempotencyKey(IdempotencyColumns, base): ...

    class Job(JobColumns, base): ...

    return PlatformTables(Outbox, Inbox, DeadLetter, AuditEvent, IdempotencyKey, Job)


class TenantSession(SyncSession):
    """A session behind the tenant wall: it cannot begin without an organisation."""


class WorkerSession(SyncSession):
    """A session of the worker role, which sees every tenant."""


@event.listens_for(TenantSession, "after_begin")
def _set_tenant(session: SyncSession, _: SessionTransaction, connection: Connection) -> None:
    organisation_id: UUID = session.info["organisation_id"]
    client_id: UUID | None = session.info.get("client_id")
    connection.exec_driver_sql(
        "SELECT set_config('app.organisation_id', $1, true), set_config('app.client_id', $2, true)",
        (str(organisation_id), str(client_id) if client_id else ""),
    )


def _wake_relay(session: SyncSession) -> None:
    wake: Any = session.info.get("wake")
    if wake is not None:
        wake()


event.listen(TenantSession, "after_commit", _wake_relay)
event.listen(WorkerSession, "after_commit", _wake_relay)


def _dumps(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


def make_engine(dsn: str, *, name: str, pool_size: int, statement_timeout_s: int) -> AsyncEngine:
    """Return an engine whose connections notice a lost server before they are used."""
    return create_async_engine(
        dsn,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=10,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": name,
                "statement_timeout": str(statement_timeout_s * 1000),
                "idle_in_transaction_session_timeout": "60000",
                "tcp_keepalives_idle": "5",
            },
        },
    )


class Sessions:
    """Makes the two kinds of session of one service."""

    _options: ClassVar[dict[str, Any]] = {"expire_on_commit": False, "autoflush": False}

    def __init__(self, app: AsyncEngine, worker: AsyncEngine, wake: Any) -> None:
        self._wake = wake
        self._tenant = async_sessionmaker(app, sync_session_class=TenantSession, **self._options)
        self._worker = async_sessionmaker(worker, sync_session_class=WorkerSession, **self._options)

    def tenant(self, organisation_id: UUID, client_id: UUID | None = None) -> AsyncSession:
        """Return a session walled to one organisation, and to one client if given."""
        info = {"organisation_id": organisation_id, "client_id": client_id, "wake": self._wake}
        return self._tenant(info=info)

    def worker(self) -> AsyncSession:
        """Return a session of the worker role."""
        return self._worker(info={"wake": self._wake})


async def session_scope(request: Request) -> AsyncGenerator[AsyncSession]:
    """Give a request its transaction; it commits before the answer leaves."""
    principal = request.state.principal
    runtime = request.state.runtime
    async with runtime.tenant_session(principal.organisation_id, principal.client_id) as session:
        yield session


Session = Annotated[AsyncSession, Depends(session_scope, scope="function")]
"""The request's session. The scope matters: the default would commit after the answer."""
