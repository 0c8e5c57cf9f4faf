"""Letters: rows of a transaction, sent to a real SMTP server or laid down in a folder."""

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import new_id
from common.mail import OptOut, Post, address_recipient, opt_out_token, read_opt_out, transport_of
from common.mail_letters import plain
from common.mail_transport import Folder, NotAccepted, Smtp, SmtpServer, mailbox, smtp_server
from common.messaging import KEPT_FOR, MessagingTables, forget_old
from common.runtime import Runtime
from common.testing import TenantSessions

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PEOPLE: dict[UUID, str] = {}
TEXT = """{% extends "layout.txt" %}
{% block subject %}{{ site }} is dear{% endblock %}
{% block body %}
Site: {{ site }}
{% endblock %}
"""
HTML = """{% extends "layout.html" %}
{% block body %}<p title="{{ site }}">Site: {{ site }}</p>{% endblock %}
"""


class Mailroom:
    """A real SMTP server, with what it took in and what it says to whom."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self.refusals: dict[str, str] = {}
        self.after_data = "250 OK"
        self.port = 0

    async def handle_RCPT(  # noqa: N802  (the server's name for it)
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  (likewise)
        content = envelope.content
        assert isinstance(content, bytes)
        if self.after_data.startswith("250"):
            found: Any = message_from_bytes(content, policy=modern)
            self.letters.append(found)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return self.after_data


@asynccontextmanager
async def listening(room: Mailroom, **options: Any) -> AsyncGenerator[Mailroom]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(room, loop=loop, hostname="mail.test", **options), "127.0.0.1", 0
    )
    room.port = server.sockets[0].getsockname()[1]
    try:
        yield room
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def room() -> AsyncGenerator[Mailroom]:
    async with listening(Mailroom()) as made:
        yield made


@pytest.fixture
def smtp(room: Mailroom) -> Smtp:
    return Smtp(smtp_server(f"smtp://127.0.0.1:{room.port}"))


@pytest.fixture
def post(messaging: MessagingTables, tmp_path: Path) -> Post:
    (tmp_path / "dear.txt").write_text(TEXT)
    (tmp_path / "dear.html").write_text(HTML)

    async def address_of(_: AsyncSession, __: UUID, user_id: UUID) -> str | None:
        return PEOPLE.get(user_id)

    return Post(
        messaging,
        letters=tmp_path,
        kinds={"alert": "costs of power", "other": "other things"},
        address_of=address_of,
        opt_out_path="/api/sample/opt-out",
    )


@pytest.fixture(autouse=True)
async def empty_box(runtime: Runtime, messaging: MessagingTables) -> None:
    """The sender takes letters of all tenants: none of another test may be left."""
    async with runtime.worker_session() as session:
        await session.execute(
            update(messaging.mail).where(messaging.mail.state == "queued").values(state="failed")
        )


@pytest.fixture
def person() -> UUID:
    made = new_id()
    PEOPLE[made] = f"p{made.hex[-8:]}@example.org"
    return made


@pytest.fixture
def write(post: Post, tenant_session: TenantSessions, organisation: UUID) -> Callable[..., Any]:
    async def letter(to: UUID | str, **changes: Any) -> None:
        values: dict[str, Any] = {
            "kind": "alert",
            "template": "dear",
            "facts": {"site": "North"},
            "organisation_id": organisation,
        }
        async with tenant_session() as session:
            await post.send(session, to=to, **(values | changes))

    return letter


@pytest.fixture
def rows(messaging: MessagingTables, tenant_session: TenantSessions) -> Callable[..., Any]:
    async def read() -> list[Any]:
        async with tenant_session() as session:
            return list(await session.scalars(select(messaging.mail).order_by(messaging.mail.id)))

    return read


async def test_a_letter_reaches_its_reader(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    await write(person)
    assert await post.send_due(runtime, smtp) == 1
    assert await post.send_due(runtime, smtp) == 0
    [row] = await rows()
    assert (row.state, row.transport, row.attempts, row.reason) == ("sent", "smtp", 1, None)
    [(sender, recipients)] = room.envelopes
    assert (sender, recipients) == ("hashyard@localhost", [PEOPLE[person]])
    [letter] = room.letters
    assert letter["Subject"] == "North is dear"
    assert re.fullmatch(rf"<{row.id}\.[0-9a-f]{{16}}@localhost>", letter["Message-ID"])
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text: Any = letter.get_body(("plain",))
    html: Any = letter.get_body(("html",))
    link = letter["List-Unsubscribe"].strip("<>")
    assert "Site: North" in text.get_content()
    assert link in text.get_content()
    assert link in html.get_content()
    assert "costs of power" in text.get_content()


async def test_a_letter_leaves_only_with_what_it_tells_of(
    post: Post, rows: Any, tenant_session: TenantSessions, organisation: UUID, person: UUID
) -> None:
    async with tenant_session() as session:
        await post.send(
            session,
            organisation_id=organisation,
            to=person,
            kind="alert",
            template="dear",
            facts={"site": "North"},
        )
        await session.rollback()
    assert await rows() == []


async def test_the_same_letter_is_written_once(write: Any, rows: Any, person: UUID) -> None:
    await write(person, dedupe_key="alert 1")
    await write(person, dedupe_key="alert 1")
    await write(person, dedupe_key="alert 2")
    assert len(await rows()) == 2


@pytest.mark.parametrize(
    "site",
    [
        "North\r\nBcc: victim@example.org\r\n\r\nHello",
        "North\nBcc: victim@example.org",
        "North\u2028Bcc: victim@example.org",
        "North\x00\x0b\x0cBcc: victim@example.org",
    ],
)
async def test_a_name_adds_no_header_and_no_line(
    site: str,
    post: Post,
    write: Any,
    room: Mailroom,
    smtp: Smtp,
    runtime: Runtime,
    person: UUID,
) -> None:
    await write(person, facts={"site": site})
    await post.send_due(runtime, smtp)
    [letter] = room.letters
    assert letter["Bcc"] is None
    assert room.envelopes[0][1] == [PEOPLE[person]]
    assert "\n" not in letter["Subject"]
    text: Any = letter.get_body(("plain",))
    assert not any(line.startswith("Bcc") for line in text.get_content().splitlines())


async def test_a_name_is_neither_a_template_nor_markup(
    post: Post, write: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    hostile = '{{ 7 * 7 }}{% include "x" %}"><script>alert(1)</script>'
    await write(person, facts={"site": hostile})
    await post.send_due(runtime, smtp)
    [letter] = room.letters
    html: Any = letter.get_body(("html",))
    text: Any = letter.get_body(("plain",))
    assert "<script>" not in html.get_content()
    assert 'title="{{ 7 * 7 }}{% include &#34;x&#34; %}&#34;&gt;' in html.get_content()
    assert "{{ 7 * 7 }}" in text.get_content()
    assert "49" not in letter["Subject"]


@pytest.mark.parametrize("template", ["../secrets", "dear.txt", "", "layout/../dear", "none"])
async def test_a_template_is_one_of_the_services_own(
    template: str, write: Any, person: UUID
) -> None:
    with pytest.raises(ValueError, match="no letter"):
        await write(person, template=template)
    with pytest.raises(ValueError, match="no letter"):
        await write(person, kind="gossip")


@pytest.mark.parametrize(
    "address",
    [
        "a@example.org, b@example.org", "a@example.org\r\nRCPT TO:<b@example.org>", "a@b@c",
        "a", "@example.org", "a@", "", "a b@example.org", "<a@example.org", '"a b"@example.org',
        "a@[127.0.0.1]", "a@exämple.org", "x" * 250 + "@example.org",
    ],
)  # fmt: skip
def test_an_address_is_one_address(address: str) -> None:
    with pytest.raises(ValueError, match="not one mail address"):
        mailbox(address)


def test_an_address_may_have_a_name() -> None:
    found = mailbox("Hashyard Alerts <alerts@example.org>")
    assert (found.display_name, found.addr_spec) == ("Hashyard Alerts", "alerts@example.org")


async def test_a_bare_address_is_kept_no_longer_than_needed(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime
) -> None:
    await write("lead@example.org")
    assert [row.address for row in await rows()] == ["lead@example.org"]
    await post.send_due(runtime, smtp)
    assert [(row.address, row.state) for row in await rows()] == [(None, "sent")]
    assert room.envelopes[0][1] == ["lead@example.org"]


async def test_nobody_is_written_to_whom_nobody_knows(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    await write(person)
    PEOPLE.pop(person)  # erased meanwhile
    await post.send_due(runtime, smtp)
    assert [row.state for row in await rows()] == ["suppressed"]
    assert room.letters == []


async def test_an_unknown_mailbox_bounces_and_is_left_in_peace(
    post: Post,
    write: Any,
    rows: Any,
    room: Mailroom,
    smtp: Smtp,
    runtime: Runtime,
    person: UUID,
) -> None:
    room.refusals[PEOPLE[person]] = f"550 5.1.1 {PEOPLE[person]}: no such user"
    await write(person)
    await post.send_due(runtime, smtp)
    [row] = await rows()
    assert (row.state, row.attempts) == ("bounced", 1)
    assert "550" in row.reason
    assert PEOPLE[person] not in row.reason
    room.refusals.clear()
    await write(person, kind="other")
    await post.send_due(runtime, smtp)
    assert [row.state for row in await rows()] == ["bounced", "suppressed"]
    PEOPLE[person] = "new-" + PEOPLE[person]  # another address: another chance
    await write(person)
    await post.send_due(runtime, smtp)
    assert [row.state for row in await rows()] == ["bounced", "suppressed", "sent"]


async def test_a_busy_server_is_asked_again_and_again_then_no_more(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    room.refusals[PEOPLE[person]] = "451 4.7.1 try again later"
    await write(person)
    moment = NOW + timedelta(days=1)
    assert await post.send_due(runtime, smtp, at=moment) == 1
    [row] = await rows()
    assert (row.state, row.attempts) == ("queued", 1)
    assert timedelta(seconds=50) < row.next_attempt_at - moment < timedelta(seconds=70)
    assert await post.send_due(runtime, smtp, at=moment + timedelta(seconds=40)) == 0
    for attempt in range(7):
        moment += timedelta(days=1)
        assert await post.send_due(runtime, smtp, at=moment) == 1, attempt
    [row] = await rows()
    assert (row.state, row.attempts, row.reason) == ("failed", 8, "451 4.7.1 try again later")
    assert await post.send_due(runtime, smtp, at=moment + timedelta(days=9)) == 0


async def test_a_refused_content_is_not_offered_again(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    room.after_data = "554 5.7.1 looks like spam"
    await write(person)
    await post.send_due(runtime, smtp)
    assert [(row.state, row.attempts) for row in await rows()] == [("failed", 1)]
    # The address is not at fault: the next letter is tried.
    room.after_data = "250 OK"
    await write(person)
    await post.send_due(runtime, smtp)
    assert [row.state for row in await rows()] == ["failed", "sent"]


async def test_no_server_is_no_reason_to_lose_a_letter(
    post: Post, write: Any, rows: Any, runtime: Runtime, person: UUID
) -> None:
    await write(person)
    nobody = Smtp(SmtpServer("127.0.0.1", 9, None, None, tls=False, plain_allowed=True))
    await post.send_due(runtime, nobody)
    [row] = await rows()
    assert row.state == "queued"
    assert "SMTPConnectError" in row.reason


async def test_a_letter_that_cannot_be_written_harms_no_other(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    await write(person, facts={"place": "a value that the template does not ask for"})
    await write(person)
    await post.send_due(runtime, smtp)
    assert [row.state for row in await rows()] == ["failed", "sent"]
    assert len(room.letters) == 1


async def test_a_dead_sender_loses_nothing(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    class Killed(BaseException): ...

    class Dying:
        name = "smtp"

        async def send(self, letter: EmailMessage) -> None:
            raise Killed(letter["Subject"])

    await write(person)
    moment = NOW + timedelta(days=1)
    with pytest.raises(Killed):
        await post.send_due(runtime, Dying(), at=moment)
    assert await post.send_due(runtime, smtp, at=moment + timedelta(minutes=5)) == 0
    assert await post.send_due(runtime, smtp, at=moment + timedelta(minutes=11)) == 1
    assert [(row.state, row.attempts) for row in await rows()] == [("sent", 2)]


async def test_without_a_server_letters_lie_in_a_folder(
    post: Post, write: Any, rows: Any, runtime: Runtime, person: UUID, tmp_path: Path
) -> None:
    box = tmp_path / "mail" / "out"
    await write(person)
    await post.send_due(runtime, Folder(box))
    [row] = await rows()
    assert (row.state, row.transport) == ("sent", "folder")
    [file] = box.iterdir()
    assert file.name == f"{row.id}.eml"
    letter: Any = message_from_bytes(file.read_bytes(), policy=modern)
    assert letter["To"] == PEOPLE[person]
    assert "North" in letter.get_body(("plain",)).get_content()


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    letter = EmailMessage()
    letter["Message-ID"] = "<x@y>"
    with pytest.raises(NotAccepted, match="folder"):
        await Folder(tmp_path / "file" / "mail").send(letter)


async def test_who_opted_out_of_a_kind_gets_no_more_of_it(
    post: Post,
    write: Any,
    rows: Any,
    room: Mailroom,
    smtp: Smtp,
    runtime: Runtime,
    person: UUID,
    tenant_session: TenantSessions,
    organisation: UUID,
) -> None:
    await write(person)
    await post.send_due(runtime, smtp)
    token = room.letters[0]["List-Unsubscribe"].strip("<>").rpartition("token=")[2]
    wish = read_opt_out(token, runtime.settings)
    assert wish is not None
    assert wish == OptOut(organisation, f"user:{person}", "alert")
    async with tenant_session() as session:
        await post.opt_out(session, wish)
        await post.opt_out(session, wish)
    await write(person)
    await write(person, kind="other")
    await post.send_due(runtime, smtp)
    found = await rows()
    assert [(row.kind, row.state) for row in found] == [
        ("alert", "sent"), ("alert", "suppressed"), ("other", "sent"),
    ]  # fmt: skip
    assert found[1].reason == "opted out"


def test_a_link_to_opt_out_is_not_to_be_forged(runtime: Runtime) -> None:
    settings = runtime.settings
    wish = OptOut(new_id(), f"user:{new_id()}", "alert")
    token = opt_out_token(wish, settings)
    assert read_opt_out(token, settings) == wish
    changed = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    for wrong in ("", "x", changed, token[5:], "é", "=" * 9, token + "QUJD"):
        assert read_opt_out(wrong, settings) is None
    other = settings.model_copy(update={"message_key": settings.database_url})
    assert read_opt_out(token, other) is None
    assert address_recipient("A@example.org", settings) == address_recipient(
        "a@example.org", settings
    )


@pytest.mark.parametrize(
    "url",
    ["http://mail.test", "smtp://", "smtp://mail.test/x", "smtp://mail.test?tls=no", "mail.test",
     "smtp://mail.test:99999"],
)  # fmt: skip
def test_a_server_is_named_by_its_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|Port"):
        smtp_server(url)


def test_a_url_says_how_to_talk_to_a_server() -> None:
    assert smtp_server("smtps://me%40x:p%2Fw@mail.test") == SmtpServer(
        "mail.test", 465, "me@x", "p/w", tls=True, plain_allowed=False
    )
    assert smtp_server("smtp://mail.test").port == 587
    assert not smtp_server("smtp://127.evil.test").plain_allowed
    assert smtp_server("smtp://mail:1025?starttls=optional").plain_allowed


async def test_settings_choose_the_way_out(runtime: Runtime, tmp_path: Path) -> None:
    settings = runtime.settings
    assert transport_of(settings) is None
    there = settings.model_copy(update={"mail_folder": str(tmp_path)})
    assert isinstance(transport_of(there), Folder)
    values = settings.model_dump(exclude={"mail_smtp_url", "mail_from"})
    settings_type: Any = type(settings)
    made = settings_type(**values, mail_smtp_url="smtp://127.0.0.1:25", mail_from="A <a@b.test>")
    assert isinstance(transport_of(made), Smtp)
    with pytest.raises(ValueError, match="mail_smtp_url") as refused:
        settings_type(**values, mail_smtp_url="ftp://user:canary@x")
    assert "canary" not in str(refused.value)
    with pytest.raises(ValueError, match="mail address"):
        settings_type(**values, mail_from="a@b.test\r\nBcc: c@d.test")


async def test_nothing_leaves_a_machine_without_tls(
    post: Post,
    write: Any,
    rows: Any,
    runtime: Runtime,
    person: UUID,
    localhost_tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, trust = localhost_tls
    async with listening(Mailroom()) as plain:
        far = SmtpServer("localhost", plain.port, None, None, tls=False, plain_allowed=False)
        await write(person)
        await post.send_due(runtime, Smtp(far, trust=trust))
        [row] = await rows()
        assert (row.state, plain.letters) == ("queued", [])
        assert "STARTTLS" in row.reason
    async with listening(Mailroom(), tls_context=server) as safe:
        far = SmtpServer("localhost", safe.port, None, None, tls=False, plain_allowed=False)
        await write(person)
        await post.send_due(runtime, Smtp(far, trust=trust))
        assert len(safe.letters) == 1
        await write(person)
        await post.send_due(runtime, Smtp(far, trust=ssl.create_default_context()))
        assert len(safe.letters) == 1  # a server that nobody vouches for


async def test_an_address_that_is_none_is_not_written_to(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID
) -> None:
    PEOPLE[person] = "a@example.org, b@example.org"
    await write(person)
    await post.send_due(runtime, smtp)
    assert [(row.state, row.reason) for row in await rows()] == [
        ("suppressed", "the address is not one")
    ]
    assert room.envelopes == []


def test_values_lose_what_could_break_a_line_at_any_depth() -> None:
    hostile = {"a": ["x\ny", {"b": "p\u202eq", "c": 1}], "d": None, "e": "z" * 600, "f": ("\t",)}
    assert plain(hostile) == {
        "a": ["x y", {"b": "p q", "c": 1}], "d": None, "e": "z" * 500, "f": [""],
    }  # fmt: skip


async def test_the_sender_works_by_itself(
    post: Post, write: Any, rows: Any, runtime: Runtime, person: UUID, tmp_path: Path
) -> None:
    await write(person)
    settings = runtime.settings
    runtime.settings = settings.model_copy(update={"mail_folder": str(tmp_path / "out")})
    task = asyncio.create_task(post.deliver(runtime))
    try:
        for _ in range(100):
            if [row.state for row in await rows()] == ["sent"]:
                break
            await asyncio.sleep(0.02)
        assert len(list((tmp_path / "out").glob("*.eml"))) == 1
    finally:
        runtime.settings = settings
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_a_way_out_letters_wait_and_it_is_said(
    post: Post, write: Any, rows: Any, runtime: Runtime, person: UUID
) -> None:
    await write(person)
    task = asyncio.create_task(post.deliver(runtime))
    try:
        await asyncio.sleep(0.05)
        assert "MAIL_FOLDER" in runtime.degraded["mail"]
        assert [row.state for row in await rows()] == ["queued"]
    finally:
        runtime.degraded.pop("mail", None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_long_over_is_forgotten(
    post: Post, write: Any, rows: Any, room: Mailroom, smtp: Smtp, runtime: Runtime, person: UUID,
    messaging: MessagingTables,
) -> None:  # fmt: skip
    for _ in range(2):
        await write(person)
    await post.send_due(runtime, smtp)
    await write(person)
    first = (await rows())[0]
    async with runtime.worker_session() as session:
        old = datetime.now(UTC) - KEPT_FOR - timedelta(hours=1)
        table = messaging.mail
        await session.execute(
            update(table).where(table.id != (await rows())[1].id).values(created_at=old)
        )
    await forget_old(runtime, messaging)
    left = await rows()
    assert first.id not in {row.id for row in left}
    assert [row.state for row in left] == ["sent", "queued"]  # what waits is never forgotten
