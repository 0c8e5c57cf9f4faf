"""How a letter leaves: by SMTP, or into a folder where an installation has no server."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

_TIMEOUT_S = 20
_PERMANENT = 500
_LONGEST_ADDRESS = 254
# Narrower than RFC 5322 on purpose: what it leaves out is hardly ever an address.
_MAILBOX = re.compile(
    r"""(?:(?P<name>[^<>@,;:"()\[\]\\]*?)\ ?<(?=.*>$)|(?!.*>))"""
    r"""(?P<spec>[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"""
    r"""@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>?\Z"""
)
_OPTIONAL = "starttls=optional"


class Bounced(Exception):
    """The server says that there is no such mailbox, and that it will not change its mind."""


class NotAccepted(Exception):
    """The letter did not leave. `lasting`: the server will not take this letter later either."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Transport(Protocol):
    """A way out for letters."""

    name: str

    async def send(self, letter: EmailMessage) -> None:
        """Let a letter go.

        Raises:
            Bounced: nobody is there.
            NotAccepted: it did not leave.
        """
        ...


def mailbox(text: str) -> Address:
    """Return the one mailbox that a text names: `Name <local@domain>` or `local@domain`.

    Raises:
        ValueError: it names none, or several, or could smuggle in a header.
    """
    found = _MAILBOX.match(text) if text.isascii() and text.isprintable() else None
    if found is None or len(found["spec"]) > _LONGEST_ADDRESS:
        msg = "not one mail address"
        raise ValueError(msg)
    return Address(display_name=found["name"] or "", addr_spec=found["spec"])


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where letters are handed in, and how."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool
    """From the first byte; otherwise STARTTLS."""
    plain_allowed: bool
    """STARTTLS may be missing: the server is on this machine, or the URL says that it may."""


def smtp_server(url: str) -> SmtpServer:
    """Return the server that a URL names.

    Raises:
        ValueError: it names none.
    """
    parts = urlsplit(url)
    rest = parts.path not in ("", "/") or parts.query not in ("", _OPTIONAL) or parts.fragment
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or rest:
        msg = f"must be smtp://[user:password@]host[:port][?{_OPTIONAL}], or smtps://"
        raise ValueError(msg)
    tls = parts.scheme == "smtps"
    return SmtpServer(
        host=parts.hostname,
        port=parts.port or (465 if tls else 587),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
        plain_allowed=parts.query == _OPTIONAL or _on_this_machine(parts.hostname),
    )


def _on_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Smtp:
    """Hands letters to a server. Beyond this machine never without TLS."""

    name = "smtp"

    def __init__(self, server: SmtpServer, *, trust: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._trust = trust

    async def send(self, letter: EmailMessage) -> None:
        """Hand a letter in."""
        server = self._server
        try:
            await aiosmtplib.send(
                letter,
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.tls,
                # None: where it is offered; True: nothing leaves without.
                start_tls=None if server.tls or server.plain_allowed else True,
                tls_context=self._trust,
                timeout=_TIMEOUT_S,
            )
        except SMTPRecipientsRefused as error:
            raise _refusal(error.recipients[0]) from error
        except SMTPRecipientRefused as error:
            raise _refusal(error) from error
        except SMTPDataError as error:
            raise NotAccepted(_said(error), lasting=error.code >= _PERMANENT) from error
        except SMTPResponseException as error:
            # The greeting, the log-in, the sender: a matter of settings, which can be mended.
            raise NotAccepted(_said(error)) from error
        except (SMTPException, OSError, ValueError) as error:
            raise NotAccepted(f"{type(error).__name__}: {error}"[:300]) from error


class Folder:
    """Lays letters down as files, for an installation without a server."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, letter: EmailMessage) -> None:
        """Write a letter to `<its id>.eml`; whoever looks never sees half of one."""
        name = str(letter["Message-ID"]).strip("<>").partition(".")[0]
        try:
            await asyncio.to_thread(self._write, name, letter.as_bytes())
        except OSError as error:
            raise NotAccepted(f"the folder cannot be written: {error}"[:300]) from error

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._folder / f".{name}.part"
        part.write_bytes(content)
        part.replace(self._folder / f"{name}.eml")


def _refusal(error: SMTPRecipientRefused) -> Exception:
    said = _said(error)
    return Bounced(said) if error.code >= _PERMANENT else NotAccepted(said)


def _said(error: SMTPResponseException) -> str:
    """Return what a server answered, as a log can hold it."""
    said = "".join(c if c.isprintable() else " " for c in f"{error.code} {error.message}")
    return said[:300]
