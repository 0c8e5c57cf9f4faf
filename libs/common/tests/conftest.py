"""A small service, "sample", on which the platform is tested for real."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict
from sqlalchemy import Numeric, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.app import Service
from common.audit import audit
from common.auth import Anyone, Principal, with_scope
from common.consumer import Erased, Reactions, Received
from common.db import COLUMN_TYPES, Session, Tenant, platform_tables, service_metadata
from common.errors import Conflict, NotFound, problems
from common.events import TOPICS, Event, Topic
from common.idempotency import IdempotencyKey, KeyReused, StillRunning, once
from common.ids import new_id
from common.jobs import Jobs, Progress, Step, jobs_router, work
from common.messaging import MessagingTables, messaging_tables
from common.pages import Page, PageQuery, page_of, paged
from common.runtime import Runtime
from common.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_", extra="ignore", populate_by_name=True)


class Base(DeclarativeBase):
    metadata = service_metadata("sample")
    type_annotation_map = COLUMN_TYPES


Outbox, Inbox, DeadLetter, AuditEvent, IdempotencyRow, Job = platform_tables(Base)
MESSAGING = messaging_tables(Base)


class Thing(Tenant, Base):
    __tablename__ = "thing"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    client_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(unique=True)
    price_usd: Mapped[Any] = mapped_column(Numeric(20, 8))
    version: Mapped[int] = mapped_column(default=1)


class ThingMade(Event):
    type: ClassVar[str] = "sample.thing.made.v1"
    aggregate: ClassVar[str] = "thing_id"
    thing_id: UUID
    name: str


class ThingForgotten(Event):
    type: ClassVar[str] = "sample.thing.forgotten.v1"
    aggregate: ClassVar[str] = "thing_id"
    thing_id: UUID

    def is_tombstone(self) -> bool:
        return True


class NewThing(BaseModel):
    name: str = Field(min_length=1, max_length=50)
    price_usd: Annotated[Any, Field()]


class ThingAnswer(BaseModel):
    id: UUID
    name: str


class JobStarted(BaseModel):
    job_id: UUID


class NameTaken(Conflict):
    title: ClassVar[str] = "The name is taken"


router = APIRouter(prefix="/api/sample")
ThingReader = Annotated[Principal, with_scope("miners:read")]


@router.post("/things", status_code=201, responses=problems(NameTaken))
async def make_thing(body: NewThing, session: Session, caller: ThingReader) -> ThingAnswer:
    """Make a thing."""
    if await session.scalar(select(Thing).where(Thing.name == body.name)):
        raise NameTaken(f"{body.name} exists; choose another name.", field="name")
    thing = Thing(organisation_id=caller.organisation_id, name=body.name, price_usd=body.price_usd)
    session.add(thing)
    await session.flush()
    await audit(
        session, AuditEvent, caller, action="thing.make", object_type="thing", object_id=thing.id
    )
    made = ThingMade(
        organisation_id=caller.organisation_id, thing_id=thing.id, name=thing.name, version=1
    )
    session.add(Outbox.of(made))
    if body.name == "late failure":
        session.add(Thing(organisation_id=caller.organisation_id, name="late failure", price_usd=0))
    return ThingAnswer(id=thing.id, name=thing.name)


@router.post("/once", status_code=201, responses=problems(KeyReused, StillRunning))
async def make_once(
    body: NewThing, session: Session, caller: ThingReader, key: IdempotencyKey = None
) -> ThingAnswer:
    """Make a thing at most once per key."""
    return await once(
        session,
        IdempotencyRow,
        caller,
        route="make_once",
        key=key,
        body=body,
        status=201,
        run=lambda: make_thing(body, session, caller),
    )  # pyright: ignore[reportReturnType]  (a replayed answer is a Response)


@router.get("/things")
async def list_things(page: PageQuery, session: Session, _: ThingReader) -> Page[ThingAnswer]:
    """List things."""
    rows, total = await paged(session, select(Thing).order_by(Thing.id), page)
    items = [ThingAnswer(id=row.id, name=row.name) for row in rows]
    return Page[ThingAnswer].model_validate(page_of(items, total, page))


class Filters(BaseModel):
    model_config = ConfigDict(extra="ignore")

    made_by: UUID | None = None
    kind: list[str] = Field(default=[], alias="type")


@router.get("/found")
async def find_things(
    filters: Annotated[Filters, Query()], _: ThingReader, search: str | None = None
) -> dict[str, Any]:
    """Answer what was looked for."""
    return {"search": search, "type": filters.kind}


@router.get("/things/{thing_id}", responses=problems(NotFound))
async def get_thing(thing_id: UUID, session: Session, _: ThingReader) -> ThingAnswer:
    """Return a thing."""
    found = await session.get(Thing, thing_id)
    if found is None:
        raise NotFound("No such thing.")
    return ThingAnswer(id=found.id, name=found.name)


@router.get("/public")
async def see_public(caller: Anyone) -> dict[str, str]:
    """Answer anybody."""
    return {"kind": caller.kind}


@router.get("/crash")
async def crash(_: ThingReader) -> None:
    """Fail with a bug."""
    raise ZeroDivisionError


class Seen(BaseModel):
    thing_id: UUID
    name: str


reactions = Reactions()


@reactions.on("sample.thing.made.v1")
async def copy_thing(session: AsyncSession, event: Received[Seen]) -> None:
    """Copy a thing under another name; a thing named "poison" is one bug too many."""
    if event.data.name.startswith("poison"):
        raise RuntimeError(event.data.name)
    if event.data.name.startswith("slow"):
        await asyncio.sleep(0.2)
    copy = Thing(
        organisation_id=event.organisation_id, name=f"copy of {event.data.name}", price_usd=0
    )
    session.add(copy)


@reactions.on_tombstone("sample.thing.forgotten.v1")
async def forget_thing(session: AsyncSession, event: Erased) -> None:
    """Forget the thing of a key."""
    await session.execute(delete(Thing).where(Thing.id == UUID(event.key)))


jobs = Jobs(Job)


@jobs.kind("count")
async def count(session: AsyncSession, step: Step) -> Progress:
    """Make one thing a step; "stumble" fails once in the middle, "fall" always."""
    done = step.cursor.get("done", 0)
    total = step.arguments["total"]
    if step.arguments.get("fall") or (
        step.arguments.get("stumble") and FELL.add(step.job_id, done)
    ):
        raise RuntimeError("stumbled")
    if step.arguments.get("refuse"):
        raise Conflict("There is nothing to count.")
    for _ in range(2 if step.arguments.get("collide") else 0):
        name = str(step.job_id)
        session.add(Thing(organisation_id=step.organisation_id, name=name, price_usd=0))
        await session.flush()
    session.add(
        Thing(organisation_id=step.organisation_id, name=f"{step.job_id} {done}", price_usd=0)
    )
    done += 1
    return Progress(
        percent=100 * done // total,
        step=f"{done} of {total}",
        cursor={"done": done},
        result={"made": done} if done == total else None,
    )


class _Fell:
    """Remembers which jobs have stumbled already."""

    def __init__(self) -> None:
        self._jobs: set[UUID] = set()

    def add(self, job_id: UUID, done: int) -> bool:
        first = done == 2 and job_id not in self._jobs
        self._jobs.add(job_id) if first else None
        return first


FELL = _Fell()


@router.post("/count", status_code=202)
async def start_counting(body: dict[str, Any], session: Session, caller: ThingReader) -> JobStarted:
    """Start a counting job."""
    job = await jobs.enqueue(session, caller, "count", body)
    assert job is not None
    return JobStarted(job_id=job.id)


async def job_worker(runtime: Runtime) -> None:
    await work(runtime, jobs)


TOPICS["sample.thing.v1"] = Topic()
SERVICE = Service(
    name="sample",
    package_file=str(Path(__file__).parent / "sample" / "src" / "sample" / "main.py"),
    title="Sample",
    settings=Settings,
    metadata=Base.metadata,
    routers=[router, jobs_router("sample", Job)],
    background=[job_worker],
    events=[ThingMade, ThingForgotten],
    reactions=[reactions],
)


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def things() -> type[Thing]:
    return Thing


@pytest.fixture(scope="session")
def forgotten() -> Callable[[UUID, UUID], Any]:
    """The outbox row of a tombstone."""

    def make(organisation_id: UUID, thing_id: UUID) -> Any:
        return Outbox.of(ThingForgotten(organisation_id=organisation_id, thing_id=thing_id))

    return make


@pytest.fixture(scope="session")
def messaging() -> MessagingTables:
    return MESSAGING


@pytest.fixture(scope="session")
def localhost_tls(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the two ends of a trust in a server named localhost."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "tls.pem").write_bytes(secret + pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "tls.pem")
    return server, ssl.create_default_context(cadata=pem.decode())
