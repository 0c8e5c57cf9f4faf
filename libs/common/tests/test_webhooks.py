"""Webhooks: signed, repeated, and never sent to where a stranger has no business."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import select, update

from common import webhooks
from common.ids import new_id
from common.messaging import MessagingTables, WebhookColumns
from common.outbound import Unsafe, address_of, is_public, target_of
from common.runtime import Runtime
from common.testing import TenantSessions
from common.webhook_delivery import Courier

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "whsec_known"


class Receiver:
    """A real HTTP server: what it was sent, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.status = "204 No Content"
        self.more = ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        writer.write(
            f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n{self.more}"
            "Connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(**options: Any) -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, **options)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with listening() as made:
        yield made


@pytest.fixture(autouse=True)
async def nothing_waits(runtime: Runtime, messaging: MessagingTables) -> None:
    """The courier takes messages of all tenants: none of another test may be left."""
    table = messaging.webhook_delivery
    async with runtime.worker_session() as session:
        await session.execute(update(table).where(table.state == "queued").values(state="failed"))


@pytest.fixture
def courier(messaging: MessagingTables) -> Courier:
    return Courier(messaging)


@pytest.fixture
def endpoint(
    messaging: MessagingTables, tenant_session: TenantSessions, organisation: UUID
) -> Callable[..., Any]:
    async def make(url: str, **changes: Any) -> WebhookColumns:
        values: dict[str, Any] = {
            "id": new_id(),
            "organisation_id": organisation,
            "name": "ours",
            "url": url,
            "kinds": [],
            "salt": webhooks.new_salt(),
            "state": "active",
            "created_by": new_id(),
        }
        async with tenant_session() as session:
            made = messaging.webhook(**(values | changes))
            session.add(made)
        return made

    return make


@pytest.fixture
def announce(
    messaging: MessagingTables, tenant_session: TenantSessions, organisation: UUID
) -> Callable[..., Any]:
    async def tell(kind: str = "alert", **changes: Any) -> int:
        async with tenant_session() as session:
            return await webhooks.announce(
                session,
                messaging,
                organisation_id=organisation,
                kind=kind,
                facts=changes.pop("facts", {"price": "0.31"}),
                **changes,
            )

    return tell


@pytest.fixture
def deliveries(messaging: MessagingTables, tenant_session: TenantSessions) -> Callable[..., Any]:
    async def read() -> list[Any]:
        table = messaging.webhook_delivery
        async with tenant_session() as session:
            return list(await session.scalars(select(table).order_by(table.id)))

    return read


async def state_of(tenant_session: TenantSessions, webhook: WebhookColumns) -> Any:
    async with tenant_session() as session:
        found = await session.get(type(webhook), webhook.id)
        assert found is not None
        return found


async def test_a_message_arrives_signed(
    courier: Courier,
    endpoint: Any,
    announce: Any,
    deliveries: Any,
    receiver: Receiver,
    runtime: Runtime,
    organisation: UUID,
) -> None:
    hook = await endpoint(f"http://127.0.0.1:{receiver.port}/in?x=1")
    assert await announce() == 1
    assert await courier.deliver_due(runtime) == 1
    assert await courier.deliver_due(runtime) == 0
    [(headers, body)] = receiver.requests
    secret = webhooks.secret_of(runtime.settings, hook.id, hook.salt)
    webhooks.verify(body, headers["hashyard-signature"], secret)
    [row] = await deliveries()
    assert (row.state, row.last_status, row.attempts) == ("delivered", 204, 1)
    assert headers["hashyard-delivery"] == str(row.id)
    told = orjson.loads(body)
    assert told["data"] == {"price": "0.31"}
    assert told["organisation_id"] == str(organisation)
    assert secret not in row.body
    assert hook.salt not in secret


def test_only_a_fresh_and_whole_message_is_believed() -> None:
    body = '{"price":"0.31"}'
    header = webhooks.signature_header(body, [SECRET], NOW)
    webhooks.verify(body.encode(), header, SECRET, at=NOW + timedelta(minutes=5))
    webhooks.verify(body.encode(), header, SECRET, at=NOW - timedelta(minutes=5))
    both = webhooks.signature_header(body, ["another", SECRET], NOW)
    webhooks.verify(body.encode(), both, SECRET, at=NOW)
    wrong = [
        (body.encode(), header, SECRET, NOW + timedelta(minutes=5, seconds=1)),
        (body.encode(), header, SECRET, NOW - timedelta(minutes=5, seconds=1)),
        (body.encode() + b" ", header, SECRET, NOW),
        (body.encode(), header, "another", NOW),
        (body.encode(), header.replace("t=1", "t=2"), SECRET, NOW + timedelta(days=11574)),
        (body.encode(), header.replace("v1=", "v0="), SECRET, NOW),
        (body.encode(), header + ",t=5", SECRET, NOW),
    ]
    for args in wrong:
        with pytest.raises(webhooks.BadSignature):
            webhooks.verify(*args[:3], at=args[3])
    for junk in ("", "t=", "t=x,v1=y", "t=²,v1=é", "t=" + "9" * 5000 + ",v1=0", "v1=" + "0" * 64):
        with pytest.raises(webhooks.BadSignature):
            webhooks.verify(body.encode(), junk, SECRET, at=NOW)


def test_the_signature_is_what_is_documented() -> None:
    # printf '1795262400.{}' | openssl dgst -sha256 -hmac whsec_known
    assert webhooks.signature_header("{}", [SECRET], NOW) == (
        "t=1795262400,v1=b196993639ed241e219cba500ce11d4fed41893837dc3c1e3537bdc3fa500ef8"
    )


async def test_a_new_secret_works_beside_the_old_one_for_a_day(
    endpoint: Any, runtime: Runtime
) -> None:
    hook = await endpoint("https://hooks.example.org/in")
    [old] = webhooks.secrets_of(runtime.settings, hook, NOW)
    webhooks.rotate(hook, NOW)
    new, also = webhooks.secrets_of(runtime.settings, hook, NOW + timedelta(hours=23))
    assert (also, new == old) == (old, False)
    assert webhooks.secrets_of(runtime.settings, hook, NOW + timedelta(hours=24)) == [new]


async def test_who_hears_what(
    endpoint: Any, announce: Any, deliveries: Any, tenant_session: TenantSessions
) -> None:
    client, other = new_id(), new_id()
    everything = await endpoint("https://a.example.org")
    budgets = await endpoint("https://b.example.org", kinds=["budget"])
    theirs = await endpoint("https://c.example.org", client_id=client)
    await endpoint("https://d.example.org", client_id=other)
    await endpoint("https://e.example.org", state="paused")
    await announce("alert", client_id=client)
    assert {row.webhook_id for row in await deliveries()} == {everything.id, theirs.id}
    assert await announce("budget") == 2
    assert await announce("alert", only=budgets.id) == 1  # a test of it
    assert await announce("alert", dedupe_key="1") == 1
    await announce("alert", dedupe_key="1")
    assert len(await deliveries()) == 2 + 2 + 1 + 1


async def test_an_endpoint_that_fails_is_asked_again_then_given_up(
    courier: Courier,
    endpoint: Any,
    announce: Any,
    deliveries: Any,
    receiver: Receiver,
    runtime: Runtime,
    tenant_session: TenantSessions,
) -> None:
    receiver.status = "500 Oops"
    hook = await endpoint(f"http://127.0.0.1:{receiver.port}/")
    await announce()
    moment = NOW + timedelta(days=1)
    await courier.deliver_due(runtime, at=moment)
    [row] = await deliveries()
    assert (row.state, row.last_status, row.last_error) == ("queued", 500, "it answered 500")
    assert timedelta(seconds=8) < row.next_attempt_at - moment < timedelta(seconds=12)
    assert (await state_of(tenant_session, hook)).failing_since == moment
    for _ in range(8):
        moment += timedelta(days=2)
        assert await courier.deliver_due(runtime, at=moment) == 1
    [row] = await deliveries()
    assert (row.state, row.attempts) == ("failed", 9)
    assert (await state_of(tenant_session, hook)).state == "disabled"
    assert await announce() == 0
    ids = {headers["hashyard-delivery"] for headers, _ in receiver.requests}
    assert len(receiver.requests) == 9
    assert len(ids) == 1


async def test_an_endpoint_that_recovers_is_well_again(
    courier: Courier,
    endpoint: Any,
    announce: Any,
    deliveries: Any,
    receiver: Receiver,
    runtime: Runtime,
    tenant_session: TenantSessions,
) -> None:
    receiver.status = "503 Busy"
    hook = await endpoint(f"http://127.0.0.1:{receiver.port}/")
    await announce()
    moment = NOW + timedelta(days=1)
    await courier.deliver_due(runtime, at=moment)
    receiver.status = "200 OK"
    await courier.deliver_due(runtime, at=moment + timedelta(minutes=1))
    assert [row.state for row in await deliveries()] == ["delivered"]
    assert (await state_of(tenant_session, hook)).failing_since is None


async def test_an_endpoint_that_is_gone_is_told_nothing_more(
    courier: Courier,
    endpoint: Any,
    announce: Any,
    deliveries: Any,
    receiver: Receiver,
    runtime: Runtime,
    tenant_session: TenantSessions,
) -> None:
    receiver.status = "410 Gone"
    hook = await endpoint(f"http://127.0.0.1:{receiver.port}/")
    await announce()
    await announce()
    await courier.deliver_due(runtime)
    assert {row.state for row in await deliveries()} == {"failed"}
    assert (await state_of(tenant_session, hook)).state == "disabled"


async def test_what_waits_for_an_endpoint_that_was_switched_off_is_discarded(
    messaging: MessagingTables, courier: Courier, endpoint: Any, announce: Any, deliveries: Any,
    runtime: Runtime, receiver: Receiver, tenant_session: TenantSessions,
) -> None:  # fmt: skip
    hook = await endpoint(f"http://127.0.0.1:{receiver.port}/")
    await announce()
    async with tenant_session() as session:
        table = messaging.webhook
        await session.execute(update(table).where(table.id == hook.id).values(state="paused"))
    await courier.deliver_due(runtime)
    assert [row.state for row in await deliveries()] == ["discarded"]
    assert receiver.requests == []


async def test_a_redirect_is_not_followed(
    courier: Courier, endpoint: Any, announce: Any, deliveries: Any, runtime: Runtime,
    receiver: Receiver,
) -> None:  # fmt: skip
    async with listening() as inner:
        receiver.status = "307 Temporary Redirect"
        receiver.more = f"Location: http://127.0.0.1:{inner.port}/secret\r\n"
        await endpoint(f"http://127.0.0.1:{receiver.port}/")
        await announce()
        await courier.deliver_due(runtime)
        assert inner.connections == 0
    [row] = await deliveries()
    assert (row.state, row.last_status) == ("queued", 307)
    assert "redirects" in row.last_error


@pytest.mark.parametrize(
    "manner", ["silent", "slow", "endless", "huge header", "no http", "closes"]
)
async def test_an_endpoint_of_ill_will_costs_little(
    manner: str, messaging: MessagingTables, endpoint: Any, announce: Any, deliveries: Any,
    runtime: Runtime,
) -> None:  # fmt: skip
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answers = {
            "silent": b"",
            "slow": b"HTTP/1.1 200 OK\r\nX: ",
            "endless": b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 65536,
            "huge header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2_000_000,
            "no http": b"SSH-2.0-OpenSSH_9.2\r\n",
            "closes": b"",
        }
        with suppress(OSError):
            writer.write(answers[manner])
            if manner != "closes":
                await asyncio.sleep(1)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await endpoint(f"http://127.0.0.1:{port}/")
    await announce()
    began = time.monotonic()
    await Courier(messaging, attempt_s=0.3).deliver_due(runtime)
    assert time.monotonic() - began < 5  # a hung attempt would never end
    [row] = await deliveries()
    expected = "delivered" if manner == "endless" else "queued"
    assert row.state == expected
    assert manner == "endless" or row.last_error.startswith("no answer")
    server.close()


async def test_over_tls_the_name_must_be_vouched_for(
    messaging: MessagingTables, endpoint: Any, announce: Any, deliveries: Any, runtime: Runtime,
    localhost_tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:  # fmt: skip
    """The call goes to an address, but the certificate must be that of the name."""
    server, trust = localhost_tls
    async with listening(ssl=server) as receiver:
        await endpoint(f"https://localhost:{receiver.port}/")
        await announce()
        await Courier(messaging, trust=trust).deliver_due(runtime)
        assert [row.state for row in await deliveries()] == ["delivered"]
        assert receiver.requests[0][0]["host"] == f"localhost:{receiver.port}"
        await endpoint(f"https://127.0.0.1:{receiver.port}/", kinds=["other"])
        await announce("other")
        await Courier(messaging, trust=trust).deliver_due(runtime)
        assert sorted(row.state for row in await deliveries()) == [
            "delivered", "delivered", "queued",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "leads_to",
    [["127.0.0.1"], ["10.0.0.5"], ["169.254.169.254"], ["93.184.216.34", "127.0.0.1"], ["::1"],
     ["::ffff:127.0.0.1"], ["fe80::1%eth0"], ["64:ff9b::7f00:1"], ["0.0.0.0"], ["100.64.0.1"]],
)  # fmt: skip
async def test_a_name_that_leads_inside_is_not_called(
    leads_to: list[str], messaging: MessagingTables, endpoint: Any, announce: Any,
    deliveries: Any, runtime: Runtime, receiver: Receiver,
) -> None:  # fmt: skip
    asked: list[str] = []

    async def lookup(host: str, _: int) -> list[str]:
        # At the first look a public address, then the one it is really about: DNS rebinding.
        asked.append(host)
        return leads_to

    await endpoint("https://rebinding.example.org:8443/")
    await announce()
    await Courier(messaging, lookup=lookup).deliver_due(runtime)
    [row] = await deliveries()
    assert (row.state, asked, receiver.connections) == ("queued", ["rebinding.example.org"], 0)
    assert "not in the public Internet" in row.last_error


async def test_the_address_that_was_judged_is_the_one_that_is_called(runtime: Runtime) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    async def lookup(_: str, __: int) -> list[str]:
        return next(answers)

    target = target_of("https://hooks.example.org/in?a=1", loopback=False)
    judged = await address_of(target, loopback=False, lookup=lookup)
    assert target.at(judged) == "https://93.184.216.34:443/in?a=1"
    assert target.authority == "hooks.example.org"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/", "ftp://hooks.example.org/", "file:///etc/passwd",
        "gopher://hooks.example.org/", "//hooks.example.org/", "hooks.example.org", "", "https://",
        "https://user@hooks.example.org/", "https://user:pass@hooks.example.org/",
        "https://hooks.example.org@127.0.0.1/", "https://hooks.example.org#@127.0.0.1/",
        "https://hooks.example.org:22/", "https://hooks.example.org:80/",
        "https://hooks.example.org:99999/", "https://hooks.example.org:x/",
        "https://127.0.0.1/", "https://127.1/", "https://0x7f.1/", "https://0x7f000001/",
        "https://2130706433/", "https://017700000001/", "https://0/", "https://0.0.0.0/",
        "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/",
        "https://[fe80::1]/", "https://[fd00::1]/", "https://[2002:7f00:1::]/",
        "https://[64:ff9b::a9fe:a9fe]/", "https://[::ffff:10.0.0.1]/", "https://10.0.0.1/",
        "https://192.168.1.1/", "https://172.16.0.1/", "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://240.0.0.1/",
        "https://localhost/", "https://localhost./", "https://hooks/", "https://hooks.example.org./",
        "https://-a.example.org/", "https://a..example.org/", "https://hooks.example.org\\@127.0.0.1/",
        "https://hooks.example.org/\r\nHost: x", "https://hooks.example.org/ a", "https://héé.org/",
        "https://\uff11\uff12\uff17.0.0.1/", "https://hooks.example.org/" + "a" * 2000, "https://a_b.example.org/",
        "https://hooks.example.org%2f.evil.org/", "https://[::1", "https://1.2.3.4.5/",
    ],
)  # fmt: skip
def test_where_nobody_may_be_sent(url: str) -> None:
    with pytest.raises(Unsafe):
        target_of(url, loopback=False)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://hooks.example.org", "hooks.example.org"),
        ("https://HOOKS.Example.org:8443/a/b?c=d", "hooks.example.org:8443"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("https://93.184.216.34/", "93.184.216.34"),
        ("https://[2606:2800:220:1::1]/", "[2606:2800:220:1::1]"),
    ],
)
def test_where_one_may_be_sent(url: str, authority: str) -> None:
    assert target_of(url, loopback=False).authority == authority


def test_this_machine_is_called_only_in_a_simulated_installation() -> None:
    for url in ("http://127.0.0.1:9000/", "https://localhost:8443/", "http://[::1]:9000/"):
        assert target_of(url, loopback=True)
        with pytest.raises(Unsafe):
            target_of(url, loopback=False)
    for url in ("http://127.0.0.1/", "http://127.0.0.1:1023/", "http://10.0.0.1:9000/",
                "https://10.0.0.1/", "http://hooks.example.org:9000/"):  # fmt: skip
        with pytest.raises(Unsafe):
            target_of(url, loopback=True)


async def test_a_name_that_leads_home_is_refused_even_there() -> None:
    async def lookup(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    target = target_of("https://hooks.example.org/", loopback=True)
    with pytest.raises(Unsafe):
        await address_of(target, loopback=True, lookup=lookup)

    async def nothing(_: str, __: int) -> list[str]:
        return []

    with pytest.raises(OSError, match="no address"):
        await address_of(target, loopback=True, lookup=nothing)


def test_every_public_address_is_public() -> None:
    for text in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(ip_address(text)), text
