"""The gateway on a real socket, and real programs behind it."""

import asyncio
import base64
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from common import auth
from common.app import Service
from common.ids import new_id
from common.runtime import Runtime
from gateway.front.application import Front
from gateway.front.protocol import protocol_for
from gateway.main import SERVICE, create_app
from gateway.security import Security
from gateway.settings import Settings

ADMIN = ("admin@example.com", "correct-horse-battery")
KEYS = {name: secrets.token_hex(32) for name in ("hosting", "calculator", "telemetry", "raw")}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(app: Any, port: int, **options: Any) -> AsyncGenerator[None]:
    config = uvicorn.Config(
        app, port=port, log_config=None, access_log=False, server_header=False, **options
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    yield
    server.should_exit = True
    await task


@dataclass
class Echo:
    """A service that shows what it got, and misbehaves on request."""

    seen: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        what = scope["path"].rpartition("/")[2]
        if what == "hang":
            message = await receive()  # until the gateway hangs up
            self.gone.set()
            return
        if what == "stream":
            await self._stream(send)
            return
        if what == "big":
            await self._big(send)
            return
        await self._show(scope, body, send)

    async def _show(self, scope: Scope, body: bytes, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        service = scope["path"].split("/")[2]
        if scope["path"].startswith("/api/hosting/api/telemetry/"):
            service = "telemetry"
        caller = auth.verify(headers[auth.HEADER.lower()], audience=service, key=KEYS[service])
        shown = {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": headers,
            "size": len(body),
            "kind": caller.kind,
            "role": caller.role,
            "subject": str(caller.subject),
            "organisation_id": str(caller.organisation_id),
            "client_id": str(caller.client_id) if caller.client_id else None,
            "scopes": sorted(caller.scopes),
            "request_id": caller.request_id,
        }
        self.seen.append(shown)
        answer = json.dumps(shown).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(answer)).encode()),
                    (b"set-cookie", b"service=no"),
                    (b"x-request-id", b"the-service's-own"),
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer})

    async def _stream(self, send: Send) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for number in range(60):  # three seconds
            event = b"data: %d\n\n" % number
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await asyncio.sleep(0.05)

    async def _big(self, send: Send) -> None:
        head = [(b"content-type", b"application/octet-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for _ in range(64):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Raw:
    """A service that answers with any bytes, or none."""

    def __init__(self) -> None:
        self.answer = b""
        self.hold = False
        self.connections = 0
        self.requests: list[bytes] = []
        self.keep = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answer)
                await writer.drain()
                if self.hold:
                    await reader.read()
                if not self.keep:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@dataclass
class World:
    """A running gateway and what stands around it."""

    port: int
    settings: Settings
    security: Security
    front: Front
    runtime: Runtime
    echo: Echo
    raw: Raw
    client: httpx.AsyncClient

    async def token(self, email: str, password: str) -> str:
        """Log in as a program."""
        answer = await self.client.post(
            "/api/auth/token", json={"email": email, "password": password}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def speak(self, data: bytes, *, wait_s: float = 3.0) -> bytes:
        """Send raw bytes and return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(wait_s):
                while chunk := await reader.read(65_536):
                    received += chunk
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return received


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    return {name: _free_port() for name in ("gateway", "echo", "raw")}


@pytest.fixture(scope="session")
def extra_settings(ports: dict[str, int]) -> dict[str, Any]:
    echo = f"http://127.0.0.1:{ports['echo']}"
    return {
        "port": ports["gateway"],
        "public_url": f"http://127.0.0.1:{ports['gateway']}",
        "upstreams": {
            "hosting": echo,
            "calculator": echo,
            "telemetry": echo,
            "intelligence": f"http://127.0.0.1:{ports['raw']}",
        },
        "upstream_keys": {**KEYS, "intelligence": KEYS["raw"]},
        "signing_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "api_key_pepper": secrets.token_hex(32),
        "admin_email": ADMIN[0],
        "admin_password": ADMIN[1],
        "login_failures_per_address": 100_000,
        "user_rate_per_s": 10_000,
        "user_burst": 10_000,
        "anonymous_rate_per_s": 10_000,
        "anonymous_burst": 10_000,
        "header_timeout_s": 0.6,
        "body_timeout_s": 0.6,
        "cache_s": 30,
    }


@pytest.fixture(scope="session")
async def settings(
    service: Service, make_settings: Any, extra_settings: dict[str, Any], migrated: Any
) -> Settings:
    """Settings of the one gateway that all modules share."""
    await migrated(service)
    made: Settings = make_settings(service, **extra_settings)
    return made


@pytest.fixture(scope="session")
async def world(settings: Settings, ports: dict[str, int]) -> AsyncGenerator[World]:
    """The gateway, started like `python -m gateway serve`."""
    security = Security(settings)
    identity = create_app(settings, security, role="api")
    front = Front(settings, identity, security)
    echo, raw = Echo(), Raw()
    raw_server = await asyncio.start_server(raw.serve, "127.0.0.1", ports["raw"])
    protocol = protocol_for(settings.header_timeout_s, settings.hosts())
    async with (
        _serving(echo, ports["echo"], lifespan="off"),
        _serving(front, ports["gateway"], http=protocol, ws="none", proxy_headers=False),
        httpx.AsyncClient(base_url=settings.public_url, timeout=20) as client,
    ):
        runtime: Runtime = identity.state.runtime
        yield World(ports["gateway"], settings, security, front, runtime, echo, raw, client)
    raw_server.close()
    await raw_server.wait_closed()


@pytest.fixture(scope="session")
def runtime(world: World) -> Runtime:
    return world.runtime


@pytest.fixture(scope="module")
async def admin(world: World) -> dict[str, str]:
    """The Admin's headers."""
    return {"Authorization": f"Bearer {await world.token(*ADMIN)}"}


@dataclass
class Operator:
    """An operator with a client, and one person in each role."""

    id: UUID
    client_id: UUID
    people: dict[str, tuple[str, str]]
    headers: dict[str, dict[str, str]]
    ids: dict[str, str]


NewOperator = Callable[[], Awaitable[Operator]]


@pytest.fixture(scope="module")
def new_operator(world: World, admin: dict[str, str]) -> NewOperator:
    """Make an operator, as an Admin would."""

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await world.client.post(path, json=body, headers=admin)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def make() -> Operator:
        operator = await post("/api/organisations", {"name": "North", "kind": "operator"})
        client = await post(
            "/api/organisations",
            {"name": "Client", "kind": "client", "parent_id": operator["id"]},
        )
        made = Operator(UUID(operator["id"]), UUID(client["id"]), {}, {}, {})
        for role, place in (("Owner", operator), ("Host", operator), ("Client", client)):
            email = f"{role}-{new_id()}@example.com".lower()
            user = await post(
                f"/api/organisations/{place['id']}/users", {"email": email, "role": role}
            )
            made.people[role] = (email, user["password"])
            made.ids[role] = user["id"]
            token = await world.token(email, user["password"])
            made.headers[role] = {"Authorization": f"Bearer {token}"}
        return made

    return make


@pytest.fixture
async def operator(new_operator: NewOperator) -> Operator:
    return await new_operator()
