"""Reports of failed delivery, as Postfix, Exchange and strangers write them."""

import io
import random
import sys
from argparse import Namespace
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import new_id
from common.mail import Post
from common.mail_returns import LONGEST_REPORT, read_report, returned_mail, take_back
from common.mail_transport import Folder
from common.messaging import MessagingTables
from common.runtime import Runtime
from common.testing import TenantSessions

BOX = "p.o@example.org"
_TEXT = (
    '{% extends "layout.txt" %}{% block subject %}Dear{% endblock %}{% block body %}{% endblock %}'
)
_HTML = '{% extends "layout.html" %}{% block body %}{% endblock %}'


@pytest.fixture
def post(messaging: MessagingTables, tmp_path: Path) -> Post:
    (tmp_path / "dear.txt").write_text(_TEXT)
    (tmp_path / "dear.html").write_text(_HTML)

    async def address_of(_: AsyncSession, __: UUID, ___: UUID) -> str | None:
        return BOX

    return Post(
        messaging,
        letters=tmp_path,
        kinds={"alert": "costs"},
        address_of=address_of,
        opt_out_path="/opt-out",
    )


@pytest.fixture
def send(
    post: Post, runtime: Runtime, tenant_session: TenantSessions, organisation: UUID, tmp_path: Path
) -> Callable[..., Any]:
    """Write a letter and let it leave; return it, or None if it did not."""

    async def sent(to: UUID | str) -> Message | None:
        folder = tmp_path / new_id().hex
        async with tenant_session() as session:
            await post.send(
                session,
                organisation_id=organisation,
                to=to,
                kind="alert",
                template="dear",
                facts={},
            )
        while await post.send_due(runtime, Folder(folder)):
            pass
        mine = [message_from_bytes(path.read_bytes()) for path in folder.glob("*.eml")]
        return next((one for one in mine if BOX in one["To"]), None)

    return sent


@pytest.fixture
def states(messaging: MessagingTables, tenant_session: TenantSessions) -> Callable[..., Any]:
    async def read() -> list[tuple[str, str | None]]:
        async with tenant_session() as session:
            rows = await session.scalars(select(messaging.mail).order_by(messaging.mail.id))
            return [(row.state, row.reason) for row in rows]

    return read


def report(
    letter: Message,
    *,
    status: str = "5.1.1",
    action: str = "failed",
    to: str = BOX,
    said: str = "550 5.1.1 <P.O@example.org>: no such user",
    returned: str = "message/rfc822",
    more: str = "",
) -> bytes:
    content = (
        letter.as_string()
        if returned == "message/rfc822"
        else f"Message-ID: {letter['Message-ID']}\n"
    )
    back = f"--X\nContent-Type: {returned}\n\n{content}\n" if returned else ""
    return (
        f"From: MAILER-DAEMON@mail.test\n{more}MIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="X"\n\n'
        "--X\nContent-Type: text/plain\n\nSorry.\n"
        "--X\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mail.test\n\n"
        f"Final-Recipient: rfc822; {to}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {said}\n\n"
        f"{back}--X--\n"
    ).encode()  # fmt: skip


@pytest.mark.parametrize("to", [new_id(), BOX], ids=["a user", "a bare address"])
@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers", ""])
async def test_a_letter_comes_back_and_its_address_is_left_in_peace(
    post: Post, runtime: Runtime, send: Any, states: Any, to: UUID | str, returned: str
) -> None:
    letter = await send(to)
    more = "" if returned else f"In-Reply-To: {letter['Message-ID']}\n"
    claimed = read_report(report(letter, returned=returned, more=more))
    assert claimed is not None
    assert await take_back(post, runtime, claimed)
    assert await states() == [("bounced", "5.1.1 550 5.1.1 <the address>: no such user")]
    assert not await take_back(post, runtime, claimed)
    assert await send(to) is None
    assert [state for state, _ in await states()] == ["bounced", "suppressed"]


@pytest.mark.parametrize("status", ["4.4.7", "5.2.2", "5.7.1", "nonsense"])
async def test_a_full_box_gets_the_next_letter(
    post: Post, runtime: Runtime, send: Any, states: Any, status: str
) -> None:
    user = new_id()
    claimed = read_report(report(await send(user), status=status, said="452 over quota"))
    assert claimed is not None
    assert await take_back(post, runtime, claimed)
    assert [state for state, _ in await states()] == ["bounced"]
    assert await send(user) is not None


async def test_who_has_not_seen_the_letter_cannot_return_it(
    post: Post, runtime: Runtime, send: Any, states: Any
) -> None:
    """Another's address, a guessed tag, a letter that is not there."""
    letter = await send(new_id())
    own = letter["Message-ID"]
    letter_id, _, rest = own.strip("<>").partition(".")
    tag, _, domain = rest.partition("@")
    forged = {
        own: "else@example.org",
        f"<{letter_id}.{'0' * 16}@{domain}>": BOX,
        f"<{letter_id}@{domain}>": BOX,
        f"<{new_id()}.{tag}@{domain}>": BOX,
        f"<{letter_id}.{tag[:-1]}@{domain}>": BOX,
        f"<{'-' * 36}.{tag}@{domain}>": BOX,
    }
    for name, address in forged.items():
        fake = Message()
        fake["Message-ID"], fake["To"] = name, address
        claimed = read_report(report(fake, to=address))
        assert claimed is not None
        assert not await take_back(post, runtime, claimed)
    assert await states() == [("sent", None)]


async def test_what_is_no_report_of_a_failure_is_none(send: Any) -> None:
    letter = await send(new_id())
    whole = report(letter)
    assert read_report(report(letter, action="delayed", status="4.4.7")) is None
    assert read_report(report(letter, action="delivered", status="2.0.0")) is None
    others = [
        b"",
        b"\xff" * 999,
        b"Subject: Out of office\n\nBack on Monday.\n",
        letter.as_bytes(),
        whole.replace(b"delivery-status\n\n", b"plain\n\n"),
    ]
    for other in others:
        assert read_report(other) is None


async def test_no_report_is_too_odd_to_be_read(send: Any) -> None:
    """Cut, shuffled, or with bytes changed: it is read or it is none, and nothing else happens."""
    whole = report(await send(new_id()))
    chance = random.Random(7)
    for _ in range(300):
        odd = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(20)):
            odd[chance.randrange(len(odd) or 1) : 1] = bytes([chance.randrange(256)])
        read_report(bytes(odd))
    deep = b"Content-Type: message/rfc822\n\n" * 3000
    assert read_report(deep) is None


@pytest.mark.parametrize("extra", [b"", b"x" * LONGEST_REPORT], ids=["short", "long"])
async def test_a_mail_server_pipes_it_in(
    post: Post, runtime: Runtime, send: Any, states: Any, extra: bytes,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    piped = io.BytesIO(report(await send(new_id())) + extra)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=piped))
    command = returned_mail(post)
    assert await command.run(runtime, Namespace()) == 0
    assert capsys.readouterr().out == "taken back\n"
    assert piped.read() == b""
    assert [state for state, _ in await states()] == ["bounced"]
