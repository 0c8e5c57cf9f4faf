"""The send log, what people want to be sent, and endpoints, over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import update

from common import webhooks
from common.ids import new_id
from common.mail_transport import Folder
from common.runtime import Runtime
from common.testing import ClientFor, TenantSessions
from common.webhook_delivery import Courier
from energy.main import SERVICE
from energy.messages.models import MESSAGING, Mail, WebhookDelivery
from energy.messages.post import POST, Audience, tell

HOOKS = "/api/electricity/webhooks"
MESSAGES = "/api/electricity/messages"
PREFERENCES = f"{MESSAGES}/preferences"
OPT_OUT = f"{MESSAGES}/opt-out"
FACTS: dict[str, Any] = {
    "event": "fired", "rule": "Too dear", "site": "North", "figure": "the price of power",
    "value": "0.22", "threshold": "0.20", "highest": "0.22", "unit": "USD per kWh",
    "fired_at": "2026-05-04T17:00+00:00",
}  # fmt: skip


@pytest.fixture(autouse=True)
async def nothing_waits(runtime: Runtime) -> None:
    """Senders take what waits of all tenants: none of another test may be left."""
    async with runtime.worker_session() as session:
        for table in (Mail, WebhookDelivery):
            await session.execute(
                update(table).where(table.state == "queued").values(state="failed")
            )


@pytest.fixture
async def person(deliver: Any) -> UUID:
    made = new_id()
    data = {"id": made, "client_id": None, "role": "Owner", "email": f"p{made.hex}@example.org"}
    await deliver("identity.user.changed.v1", data)
    return made


@pytest.fixture
def say(tenant_session: TenantSessions, organisation: UUID) -> Callable[..., Awaitable[None]]:
    async def run(**facts: Any) -> None:
        audience = Audience(
            organisation_id=organisation, client_id=None, recipients=[], mail=True, webhook=True
        )
        async with tenant_session() as session:
            await tell(
                session,
                audience,
                kind="cost_alert",
                template="cost_alert",
                facts=FACTS | facts,
                dedupe_key=str(new_id()),
            )

    return run


def lying(folder: Path) -> list[Any]:
    """Return the letters that lie in a folder."""
    files = sorted(folder.glob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=modern) for file in files]


async def hook(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"name": "ours", "url": "https://hooks.example.org/in"} | fields
    answer = await client.post(HOOKS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_the_secret_of_a_webhook_is_shown_once(
    client: httpx.AsyncClient, tenant_session: TenantSessions, runtime: Runtime
) -> None:
    made = await hook(client, kinds=["budget", "budget"])
    assert made["secret"].startswith("whsec_")
    assert made["kinds"] == ["budget"]
    listed = (await client.get(HOOKS)).json()["items"]
    assert [one["id"] for one in listed] == [made["id"]]
    one = (await client.get(f"{HOOKS}/{made['id']}")).json()
    assert "secret" not in one
    assert "salt" not in one
    async with tenant_session() as session:
        row = await session.get(MESSAGING.webhook, UUID(made["id"]))
    assert row is not None
    assert made["secret"] not in str(vars(row))
    assert webhooks.secret_of(runtime.settings, row.id, row.salt) == made["secret"]
    renewed = (await client.post(f"{HOOKS}/{made['id']}/secret")).json()
    assert renewed["secret"] != made["secret"]
    assert renewed["previous_secret_until"] is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/", "https://10.0.0.1/", "https://169.254.169.254/latest",
        "https://user:pw@hooks.example.org/", "https://hooks.example.org:5432/", "ftp://x.org/",
        "https://[::ffff:10.0.0.1]/", "https://2130706433/", "javascript:alert(1)", "",
        "http://127.0.0.1:80/",
    ],
)  # fmt: skip
async def test_an_endpoint_is_in_the_public_internet(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.post(HOOKS, json={"name": "x", "url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "unsafe_url")
    made = await hook(client)
    answer = await client.patch(f"{HOOKS}/{made['id']}", json={"url": url})
    assert answer.status_code == 422
    assert (await client.get(f"{HOOKS}/{made['id']}")).json()["url"] == made["url"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "https://x.org/" + "a" * 2000), ("name", ""), ("name", "x" * 129),
        ("kinds", ["gossip"]), ("secret", "mine"), ("organisation_id", str(UUID(int=3))),
        ("state", "active"),
    ],
)  # fmt: skip
async def test_a_webhook_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, field: str, value: Any
) -> None:
    body = {"name": "x", "url": "https://hooks.example.org/"} | {field: value}
    answer = await client.post(HOOKS, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_webhooks_are_their_owners_alone(
    client: httpx.AsyncClient, client_as: ClientFor, say: Any
) -> None:
    made = await hook(client)
    await say()
    [sent] = (await client.get(f"{HOOKS}/{made['id']}/deliveries")).json()["items"]
    stranger, reader = client_as(organisation_id=new_id()), client_as(scopes={"costs:read"})
    url = f"{HOOKS}/{made['id']}"
    retry = f"{url}/deliveries/{sent['id']}/retry"
    for other, status in ((stranger, 404), (reader, 403), (client_as(client_id=new_id()), 404)):
        assert (await other.get(url)).status_code == status
        assert (await other.patch(url, json={"name": "x"})).status_code == status
        assert (await other.delete(url)).status_code == status
        assert (await other.post(f"{url}/secret")).status_code == status
        assert (await other.post(f"{url}/test")).status_code == status
        assert (await other.get(f"{url}/deliveries")).status_code == status
        assert (await other.post(retry)).status_code == status
    assert (await client.post(f"{url}/deliveries/{new_id()}/retry")).status_code == 404
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404


async def test_at_most_twenty_webhooks(client: httpx.AsyncClient) -> None:
    for _ in range(20):
        await hook(client)
    answer = await client.post(HOOKS, json={"name": "x", "url": "https://hooks.example.org/"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


@asynccontextmanager
async def receiving() -> AsyncGenerator[tuple[int, list[tuple[dict[str, str], bytes]]]]:
    seen: list[tuple[dict[str, str], bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        pairs = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in pairs}
        seen.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ncanary")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        await server.wait_closed()


async def test_a_test_message_arrives_and_can_be_sent_again(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    async with receiving() as (port, seen):
        made = await hook(client, url=f"http://127.0.0.1:{port}/", kinds=["budget"])
        url = f"{HOOKS}/{made['id']}"
        sent = await client.post(f"{url}/test")
        assert sent.status_code == 202
        retry = f"{url}/deliveries/{sent.json()['id']}/retry"
        assert (await client.post(retry)).json()["code"] == "still_queued"
        await Courier(MESSAGING).deliver_due(runtime)
        answer = await client.get(f"{url}/deliveries")
        [delivery] = answer.json()["items"]
        assert (delivery["state"], delivery["last_status"]) == ("delivered", 200)
        assert delivery["next_attempt_at"] is None
        assert "canary" not in answer.text  # what an endpoint says stays there
        assert (await client.post(retry)).status_code == 202
        await Courier(MESSAGING).deliver_due(runtime)
        await client.patch(url, json={"state": "paused"})
        assert (await client.post(retry)).json()["code"] == "webhook_not_active"
        assert (await client.post(f"{url}/test")).json()["code"] == "webhook_not_active"
    (headers, body), (again, _) = seen
    webhooks.verify(body, headers["hashyard-signature"], made["secret"])
    assert headers["hashyard-delivery"] == again["hashyard-delivery"] == delivery["id"]


async def test_the_send_log_knows_no_addresses(
    client: httpx.AsyncClient, client_as: ClientFor, say: Any, person: UUID, runtime: Runtime,
    tmp_path: Path,
) -> None:  # fmt: skip
    await say(site="North<script>\r\nBcc: x@example.org")
    [queued] = (await client.get(MESSAGES, params={"state": "queued"})).json()["items"]
    assert queued["user_id"] == str(person)
    assert queued["next_attempt_at"] is not None
    await POST.send_due(runtime, Folder(tmp_path))
    answer = await client.get(MESSAGES, params={"kind": "cost_alert"})
    [sent] = answer.json()["items"]
    assert (sent["state"], sent["transport"], sent["attempts"]) == ("sent", "folder", 1)
    assert "example.org" not in answer.text
    assert (await client_as(organisation_id=new_id()).get(MESSAGES)).json()["total"] == 0
    [letter] = lying(tmp_path)
    assert letter["Subject"].startswith("North<script> Bcc: x@example.org: the price of power")
    assert letter["Bcc"] is None
    assert "<script>" not in letter.get_body(("html",)).get_content()
    assert "costs of electricity" in letter.get_body(("plain",)).get_content()


async def test_a_link_in_a_letter_stops_its_kind(
    client: httpx.AsyncClient, client_as: ClientFor, say: Any, person: UUID, runtime: Runtime,
    tmp_path: Path,
) -> None:  # fmt: skip
    await say()
    await POST.send_due(runtime, Folder(tmp_path))
    [letter] = lying(tmp_path)
    link = letter["List-Unsubscribe"].strip("<>")
    token = link.rpartition("token=")[2]
    assert link.startswith(f"{runtime.settings.links_url}{OPT_OUT}?")
    anybody = client_as(kind="anonymous", organisation_id=UUID(int=0), scopes=frozenset[str]())
    mine = client_as(subject=person)
    asked = await anybody.get(OPT_OUT, params={"token": token})
    assert "high costs of electricity" in asked.text
    # Whoever only looks (a mail scanner does) has not opted out.
    kinds = (await mine.get(PREFERENCES)).json()["kinds"]
    assert [one["wanted"] for one in kinds] == [True, True]
    done = await anybody.post(
        OPT_OUT, params={"token": token}, data={"List-Unsubscribe": "One-Click"}
    )
    assert done.status_code == 200
    kinds = (await mine.get(PREFERENCES)).json()["kinds"]
    assert {one["kind"]: one["wanted"] for one in kinds} == {"cost_alert": False, "budget": True}
    await say()
    await POST.send_due(runtime, Folder(tmp_path))
    assert len((await client.get(MESSAGES, params={"state": "suppressed"})).json()["items"]) == 1
    for wrong in ("x", token[:-2] + "AA", '"><script>'):
        for answer in (
            await anybody.get(OPT_OUT, params={"token": wrong}),
            await anybody.post(OPT_OUT, params={"token": wrong}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (422, "link_not_valid")


async def test_people_say_what_they_want(client_as: ClientFor, person: UUID) -> None:
    mine = client_as(subject=person)
    answer = await mine.patch(PREFERENCES, json={"unwanted": ["budget", "cost_alert"]})
    assert [one["wanted"] for one in answer.json()["kinds"]] == [False, False]
    answer = await mine.patch(PREFERENCES, json={"unwanted": []})
    assert [one["wanted"] for one in answer.json()["kinds"]] == [True, True]
    assert (await mine.patch(PREFERENCES, json={"bounced": False})).json()["bounced"] is False
    assert (await mine.patch(PREFERENCES, json={"bounced": True})).status_code == 422
    assert (await mine.patch(PREFERENCES, json={"unwanted": ["x"]})).status_code == 422
    machine = client_as(kind="api_key")
    assert (await machine.get(PREFERENCES)).json()["code"] == "nobody_with_mail"


async def test_a_bounced_address_can_be_freed_by_its_owner(
    client: httpx.AsyncClient, client_as: ClientFor, say: Any, person: UUID, runtime: Runtime,
    tmp_path: Path,
) -> None:  # fmt: skip
    from common.mail_transport import Bounced

    class Closed:
        name = "smtp"

        async def send(self, letter: Any) -> None:
            raise Bounced(f"550 nobody is at {letter['To']}")

    await say()
    await POST.send_due(runtime, Closed())
    [bounced] = (await client.get(MESSAGES, params={"state": "bounced"})).json()["items"]
    assert bounced["reason"] == "550 nobody is at the address"
    mine = client_as(subject=person)
    assert (await mine.get(PREFERENCES)).json()["bounced"] is True
    await mine.patch(PREFERENCES, json={"bounced": False})
    await say()
    await POST.send_due(runtime, Folder(tmp_path))
    assert len(lying(tmp_path)) == 1


async def test_the_running_service_sends_by_itself(
    client: httpx.AsyncClient, say: Any, person: UUID, running_service: Any
) -> None:
    """Letters by a real SMTP server, messages to a real endpoint: nobody calls anything."""
    letters: list[Any] = []

    class Mailroom:
        async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  (the server's name for it)
            assert isinstance(envelope.content, bytes)
            letters.append(message_from_bytes(envelope.content, policy=modern))
            return "250 OK"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Mailroom(), loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with receiving() as (hook_port, seen):
        made = await hook(client, url=f"http://127.0.0.1:{hook_port}/")
        await say()
        async with running_service(SERVICE, mail_smtp_url=f"smtp://127.0.0.1:{port}"):
            for _ in range(200):
                if letters and seen:
                    break
                await asyncio.sleep(0.05)
        server.close()
        await server.wait_closed()
        assert letters[0]["To"] == f"p{person.hex}@example.org"
        [(headers, body)] = seen
        webhooks.verify(body, headers["hashyard-signature"], made["secret"])
