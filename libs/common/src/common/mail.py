"""Mail: a letter is a row in the transaction of what it tells of; a background task sends it.

Sending is at least once: a process that dies between the server's yes and the row's update sends
the letter again, under the same Message-ID.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.clock import now
from common.ids import new_id
from common.mail_letters import Letters, plain
from common.mail_transport import (
    Bounced,
    Folder,
    NotAccepted,
    Smtp,
    Transport,
    mailbox,
    smtp_server,
)
from common.messaging import MailColumns, MessagingTables
from common.runtime import Runtime
from common.settings import ServiceSettings

log = get_logger()
AddressOf = Callable[[AsyncSession, UUID, UUID], Awaitable[str | None]]
"""The address of a user of an organisation, read as the worker; None: nobody to write to."""

RETRY_AFTER = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720))
"""Pauses between attempts; after the last one the letter has failed."""
_LEASE = timedelta(minutes=10)
_BATCH = 20
_POLL_S = 2.0
_ANY = "*"


@dataclass(frozen=True, slots=True)
class OptOut:
    """Whose letters of which kind a link stops."""

    organisation_id: UUID
    recipient: str
    kind: str


class Post:
    """The mail of one service: its letters, its tables, and where it finds addresses."""

    def __init__(
        self,
        tables: MessagingTables,
        *,
        letters: Path,
        kinds: Mapping[str, str],
        address_of: AddressOf,
        opt_out_path: str,
    ) -> None:
        """Take the folder of templates, and the kinds: what each is about, as a reader sees it."""
        self.tables = tables
        self.kinds = kinds
        self._letters = Letters(letters)
        self._address_of = address_of
        self._opt_out_path = opt_out_path

    async def send(
        self,
        session: AsyncSession,
        *,
        organisation_id: UUID,
        to: UUID | str,
        kind: str,
        template: str,
        facts: Mapping[str, Any],
        client_id: UUID | None = None,
        dedupe_key: str | None = None,
    ) -> None:
        """Write a letter in the session's transaction: to a user, or to a bare address.

        The same `dedupe_key` writes one letter only, whoever asks again.

        Raises:
            ValueError: there is no such kind or template, or the address is none.
        """
        if kind not in self.kinds or not self._letters.has(template):
            msg = f"no letter {template} of kind {kind}"
            raise ValueError(msg)
        address = mailbox(to).addr_spec if isinstance(to, str) else None
        row = {
            "id": new_id(),
            "organisation_id": organisation_id,
            "client_id": client_id,
            "user_id": None if isinstance(to, str) else to,
            "address": address,
            "kind": kind,
            "template": template,
            "facts": plain(dict(facts)),
            "dedupe_key": dedupe_key,
            "state": "queued",
            "attempts": 0,
        }
        await session.execute(insert(self.tables.mail).values(row).on_conflict_do_nothing())

    async def deliver(self, runtime: Runtime) -> None:
        """Send what waits, for ever: a background task of the service."""
        transport = transport_of(runtime.settings)
        while transport is None:
            runtime.degraded["mail"] = "neither MAIL_SMTP_URL nor MAIL_FOLDER is set: letters wait"
            await asyncio.sleep(60)
        while not runtime.stopping.is_set():
            if not await self.send_due(runtime, transport):
                await asyncio.sleep(_POLL_S)

    async def send_due(
        self, runtime: Runtime, transport: Transport, *, at: datetime | None = None
    ) -> int:
        """Send a batch of the letters that are due; return how many there were."""
        at = at or now()
        async with runtime.worker_session() as session:
            letters = await self._claim(session, at)
        for letter in letters:
            outcome = await self._attempt(runtime, transport, letter, at)
            async with runtime.worker_session() as session:
                await session.execute(
                    update(self.tables.mail)
                    .where(self.tables.mail.id == letter.id)
                    .values(**outcome)
                )
        return len(letters)

    async def _claim(self, session: AsyncSession, at: datetime) -> list[MailColumns]:
        """Take letters for this process, for as long as sending them may take."""
        mail = self.tables.mail
        due = (
            select(mail.id)
            .where(mail.state == "queued", mail.next_attempt_at <= at)
            .order_by(mail.next_attempt_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        claimed = await session.scalars(
            update(mail)
            .where(mail.id.in_(due.scalar_subquery()))
            .values(next_attempt_at=at + _LEASE, attempts=mail.attempts + 1)
            .returning(mail)
        )
        return sorted(claimed, key=lambda letter: letter.id)

    async def _attempt(
        self, runtime: Runtime, transport: Transport, letter: MailColumns, at: datetime
    ) -> dict[str, Any]:
        """Try to send one letter; return what its row then says."""
        async with runtime.worker_session() as session:
            address, against = await self._whereto(session, runtime.settings, letter)
        if address is None or against is not None:
            return _final("suppressed", against or "nobody of this id can be written to")
        try:
            message = self._compose(runtime.settings, letter, address, at)
        except Exception as error:
            log.exception("mail.not_written", mail=str(letter.id), template=letter.template)
            return _final("failed", f"it could not be written: {type(error).__name__}")
        try:
            await transport.send(message)
        except Bounced as error:
            async with runtime.worker_session() as session:
                await self.remember_bounce(session, runtime.settings, letter, address)
            return _final("bounced", without(address, error))
        except NotAccepted as error:
            reason = without(address, error)
            if error.lasting or letter.attempts > len(RETRY_AFTER):
                return _final("failed", reason)
            pause = RETRY_AFTER[letter.attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311  (jitter)
            return {"next_attempt_at": at + pause, "reason": reason}
        sent = _final("sent", None)
        return sent | {"sent_at": at, "transport": transport.name}

    async def _whereto(
        self, session: AsyncSession, settings: ServiceSettings, letter: MailColumns
    ) -> tuple[str | None, str | None]:
        """Return a letter's address, and what speaks against writing to it."""
        address = letter.address
        if letter.user_id is not None:
            address = await self._address_of(session, letter.organisation_id, letter.user_id)
        if not address:
            return None, None
        try:
            address = mailbox(address).addr_spec
        except ValueError:
            return None, "the address is not one"
        digest = address_recipient(address, settings)
        out = self.tables.mail_opt_out
        reasons = await session.scalars(
            select(out.reason).where(
                out.organisation_id == letter.organisation_id,
                out.recipient.in_([digest, f"user:{letter.user_id}"]),
                out.kind.in_([letter.kind, _ANY]),
            )
        )
        said = {"asked": "opted out", "bounced": "an earlier letter bounced"}
        return address, next((said[reason] for reason in sorted(reasons)), None)

    def _compose(
        self, settings: ServiceSettings, letter: MailColumns, address: str, at: datetime
    ) -> EmailMessage:
        recipient = (
            address_recipient(address, settings)
            if letter.user_id is None
            else f"user:{letter.user_id}"
        )
        token = opt_out_token(OptOut(letter.organisation_id, recipient, letter.kind), settings)
        base = settings.links_url.rstrip("/")
        link = f"{base}{self._opt_out_path}?token={token}"
        sender = mailbox(settings.mail_from)
        written = self._letters.write(
            letter.template,
            {
                **letter.facts,
                "about": self.kinds[letter.kind],
                "sender": sender.display_name or sender.addr_spec,
                "public_url": base,
            },
            links={"opt_out_url": link},
        )
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = sender
        message["To"] = mailbox(address)
        message["Subject"] = written.subject
        message["Date"] = format_datetime(at)
        tag = letter_tag(letter.id, address, settings)
        message["Message-ID"] = f"<{letter.id}.{tag}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["List-Unsubscribe"] = f"<{link}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(written.text)
        message.add_alternative(written.html, subtype="html")
        return message

    async def remember_bounce(
        self, session: AsyncSession, settings: ServiceSettings, letter: MailColumns, address: str
    ) -> None:
        """Send this address of the letter's organisation no more letters of any kind."""
        await self._refuse(
            session,
            OptOut(letter.organisation_id, address_recipient(address, settings), _ANY),
            "bounced",
        )

    async def opt_out(self, session: AsyncSession, wish: OptOut) -> None:
        """Send somebody no more letters of a kind."""
        await self._refuse(session, wish, "asked")

    async def _refuse(self, session: AsyncSession, wish: OptOut, reason: str) -> None:
        await session.execute(
            insert(self.tables.mail_opt_out)
            .values(
                organisation_id=wish.organisation_id,
                recipient=wish.recipient,
                kind=wish.kind,
                reason=reason,
            )
            .on_conflict_do_nothing()
        )


def transport_of(settings: ServiceSettings) -> Transport | None:
    """Return the way out that the settings name, or None where they name none."""
    if settings.mail_smtp_url is not None:
        return Smtp(smtp_server(settings.mail_smtp_url.get_secret_value()))
    return Folder(Path(settings.mail_folder)) if settings.mail_folder else None


def address_recipient(address: str, settings: ServiceSettings) -> str:
    """Return how an address is remembered where the address itself must not be."""
    return f"address:{_keyed(settings, 'address', address.casefold().encode()).hex()}"


def opt_out_token(wish: OptOut, settings: ServiceSettings) -> str:
    """Return what a link carries with which its reader opts out. It does not run out."""
    payload = f"{wish.organisation_id}|{wish.recipient}|{wish.kind}".encode()
    signature = _keyed(settings, "opt-out", payload)[:16]
    return base64.urlsafe_b64encode(signature + payload).rstrip(b"=").decode()


def read_opt_out(token: str, settings: ServiceSettings) -> OptOut | None:
    """Return what a link asks for, or None: it is not one of ours."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    signature, payload = raw[:16], raw[16:]
    if not hmac.compare_digest(signature, _keyed(settings, "opt-out", payload)[:16]):
        return None
    organisation_id, recipient, kind = payload.decode().split("|")
    return OptOut(UUID(organisation_id), recipient, kind)


def _keyed(settings: ServiceSettings, purpose: str, content: bytes) -> bytes:
    key = hmac.digest(settings.message_secret().encode(), purpose.encode(), hashlib.sha256)
    return hmac.digest(key, content, hashlib.sha256)


def _final(state: str, reason: str | None) -> dict[str, Any]:
    """Return the last state of a letter; a bare address goes with it."""
    return {"state": state, "reason": reason, "address": None}


def without(address: str, said: object) -> str:
    """Return a server's answer without the address in it: the log holds nobody's."""
    return re.sub(re.escape(address), "the address", str(said), flags=re.IGNORECASE)[:300]


def letter_tag(letter_id: UUID, address: str, settings: ServiceSettings) -> str:
    """Return what shows, in a letter's Message-ID, that it was written to an address."""
    return _keyed(settings, "letter", f"{letter_id}|{address.casefold()}".encode())[:8].hex()
