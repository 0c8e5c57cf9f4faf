"""Letters that come back: a server took them, and found out later that nobody is there.

Whoever runs the mail server pipes what comes back into `python -m <service> returned-mail`: reports
of failed delivery (RFC 3464). A report comes from anybody and says what it likes. A letter's
Message-ID holds a keyed digest of its address, so that only who has seen the letter can say that it
came back, and only for that address.
"""

import argparse
import asyncio
import hmac
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.message import Message
from typing import Any, cast
from uuid import UUID

from sqlalchemy import update

from common.app import Command
from common.mail import Post, letter_tag, without
from common.runtime import Runtime

LONGEST_REPORT = 1024 * 1024
"""What a report returns of a letter may be cut; its headers come first."""
_MOST_PARTS = 50
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_NOBODY = re.compile(r"5\.(1\.\d+|2\.1|4\.4)")
"""The address, the mailbox or the mail server does not exist (RFC 3463)."""
_OURS = re.compile(
    r"<([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9a-f]{16})@[^<>@\s]+>"
)
_ADDRESS = re.compile(r"[^\s<>,;:\"]{1,64}@[^\s<>,;:\"]{1,190}")


@dataclass(frozen=True, slots=True)
class Report:
    """What a report claims."""

    letters: frozenset[tuple[str, str]]
    """The ids and tags of the letter that came back, or of those before it."""
    addresses: frozenset[str]
    """Among them the one that was written to."""
    status: str
    """RFC 3463, such as 5.1.1."""
    said: str
    """What the last server answered."""

    @property
    def nobody_there(self) -> bool:
        """Whether another letter to the same address would come back too."""
        return _NOBODY.fullmatch(self.status) is not None


def returned_mail(post: Post) -> Command:
    """Return the command that takes a letter of this service back from standard input."""

    async def run(runtime: Runtime, _: argparse.Namespace) -> int:
        report = read_report(await asyncio.to_thread(_input))
        if report is None:
            said = "no report of a failed delivery: nothing changes"
        elif await take_back(post, runtime, report):
            said = "taken back"
        else:
            said = "none of our letters, or taken back before"
        sys.stdout.write(f"{said}\n")
        return 0  # else a mail server would return the report to its sender

    return Command(
        name="returned-mail",
        told="take a letter back that a mail server returned, from standard input",
        arguments=_no_arguments,
        run=run,
    )


def _no_arguments(_: argparse.ArgumentParser) -> None:
    """There are none."""


def _input() -> bytes:
    """Read standard input to its end, and keep its beginning."""
    kept = sys.stdin.buffer.read(LONGEST_REPORT)
    while sys.stdin.buffer.read(LONGEST_REPORT):
        pass
    return kept


async def take_back(post: Post, runtime: Runtime, report: Report) -> bool:
    """Write down that a letter came back; return whether it is one of ours that had left.

    Where the address does not exist, nothing more is sent to it.
    """
    mail = post.tables.mail
    for letter_id, tag in report.letters:
        for address in report.addresses:
            expected = letter_tag(UUID(letter_id), address, runtime.settings)
            if not hmac.compare_digest(expected, tag):
                continue
            reason = without(address, f"{report.status} {report.said}")
            async with runtime.worker_session() as session:
                letter = await session.scalar(
                    update(mail)
                    .where(mail.id == UUID(letter_id), mail.state == "sent")
                    .values(state="bounced", reason=reason)
                    .returning(mail)
                )
                if letter is not None and report.nobody_there:
                    await post.remember_bounce(session, runtime.settings, letter, address)
            return letter is not None
    return False


def read_report(raw: bytes) -> Report | None:
    """Return what a report of a failed delivery claims; None: it is none, or only a delay."""
    try:
        return _read(message_from_bytes(raw[:LONGEST_REPORT]))
    except Exception:  # noqa: BLE001  (the library's parsers raise anything on what is no mail)
        return None


def _read(message: Message) -> Report | None:
    parts = [part for part, _ in zip(message.walk(), range(_MOST_PARTS), strict=False)]
    failed = [block for block in _blocks(parts) if _text(block, "Action").lower() == "failed"]
    if not failed:
        return None
    returned = list(_returned(parts))
    told = [_text(block, "Diagnostic-Code") for block in failed]
    statuses = (_STATUS.search(_text(block, "Status")) for block in failed)
    status = next((found[0] for found in statuses if found), "5.0.0")
    addressed = [
        *(_text(block, name) for block in failed for name in _RECIPIENTS),
        *(_text(letter, "To") for letter in returned),
    ]
    named = [
        *(_text(message, name) for name in ("In-Reply-To", "References")),
        *(_text(letter, "Message-ID") for letter in returned),
    ]
    return Report(
        letters=_found(_OURS, named),
        addresses=_found(_ADDRESS, addressed),
        status=status,
        said=next((one.partition(";")[2].strip() or one for one in told if one), ""),
    )


_RECIPIENTS = ("Original-Recipient", "Final-Recipient")


def _blocks(parts: Iterable[Message]) -> Iterator[Message]:
    """Return the blocks of all delivery statuses: one of the letter, one per recipient."""
    for part in parts:
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            yield from cast("list[Message]", part.get_payload())


def _returned(parts: Iterable[Message]) -> Iterator[Message]:
    """Return the letters that came back, as far as they did."""
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/rfc822" and part.is_multipart():
            yield from cast("list[Message]", part.get_payload())
        elif kind == "text/rfc822-headers":
            content: Any = part.get_payload(decode=True)
            yield message_from_string(content.decode("ascii", "replace"))


def _text(message: Message, name: str) -> str:
    value = message.get(name, "")
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())[:1000]


def _found(pattern: re.Pattern[str], texts: Iterable[str]) -> frozenset[Any]:
    return frozenset(one for text in texts for one in pattern.findall(text)[:20])
