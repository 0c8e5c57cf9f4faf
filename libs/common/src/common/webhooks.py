"""Webhooks: an organisation's own endpoints are told what happens, signed, and again if need be.

A message is a row per endpoint in the transaction of what it tells of. The signature is
`Hashyard-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`; a receiver checks it
with `verify` and ignores what is older than five minutes. Delivery is at least once: the id in
`Hashyard-Delivery` stays the same over all attempts.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.messaging import MessagingTables, WebhookColumns
from common.settings import ServiceSettings

HEADER = "Hashyard-Signature"
TOLERANCE = timedelta(minutes=5)
OLD_SECRET_FOR = timedelta(hours=24)
"""How long after a change of its secret an endpoint is sent both signatures."""


class BadSignature(ValueError):
    """A message that is not from where it says, or not from now."""


def sign(body: str, secret: str, at: datetime) -> str:
    """Return the `v1` of a signature."""
    signed = f"{int(at.timestamp())}.{body}".encode()
    return hmac.digest(secret.encode(), signed, hashlib.sha256).hex()


def signature_header(body: str, secrets_: list[str], at: datetime) -> str:
    """Return the signature header, with one `v1` for each secret."""
    parts = [f"v1={sign(body, secret, at)}" for secret in secrets_]
    return ",".join([f"t={int(at.timestamp())}", *parts])


def verify(body: bytes, header: str, secret: str, *, at: datetime | None = None) -> None:
    """Check a message that was received, for whoever receives one.

    Raises:
        BadSignature: it is forged, changed, or more than five minutes old.
    """
    named = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in named if name.strip() == "t"]
    signatures = [value for name, _, value in named if name.strip() == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or len(times[0]) > 12:  # noqa: PLR2004  (seconds)
        msg = "the signature has no time"
        raise BadSignature(msg)
    if abs((at or now()).timestamp() - int(times[0])) > TOLERANCE.total_seconds():
        msg = "the message is not from now"
        raise BadSignature(msg)
    expected = hmac.digest(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hex()
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures):
        msg = "the signature does not fit"
        raise BadSignature(msg)


def new_salt() -> str:
    """Return what makes a secret unlike the one before it."""
    return secrets.token_hex(16)


def secret_of(settings: ServiceSettings, webhook_id: UUID, salt: str) -> str:
    """Return an endpoint's secret. It is stored nowhere: it follows from the installation's key."""
    key = hmac.digest(settings.message_secret().encode(), b"webhook", hashlib.sha256)
    made = hmac.digest(key, f"{webhook_id}.{salt}".encode(), hashlib.sha256)
    return "whsec_" + base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def secrets_of(settings: ServiceSettings, webhook: WebhookColumns, at: datetime) -> list[str]:
    """Return the secrets with which a message to an endpoint is signed now."""
    salts = [webhook.salt]
    if webhook.previous_salt and webhook.previous_until and at < webhook.previous_until:
        salts.append(webhook.previous_salt)
    return [secret_of(settings, webhook.id, salt) for salt in salts]


def rotate(webhook: WebhookColumns, at: datetime) -> None:
    """Give an endpoint a new secret; the one before goes on for a day."""
    webhook.previous_salt, webhook.previous_until = webhook.salt, at + OLD_SECRET_FOR
    webhook.salt = new_salt()


async def announce(
    session: AsyncSession,
    tables: MessagingTables,
    *,
    organisation_id: UUID,
    kind: str,
    facts: Mapping[str, Any],
    client_id: UUID | None = None,
    dedupe_key: str | None = None,
    only: UUID | None = None,
) -> int:
    """Write a message to each endpoint that wants it, in the session's transaction.

    An organisation's own endpoints hear everything, a client's only what has its `client_id`.
    only: write to this endpoint alone, whatever it wants to hear of. Returns how many there are.
    """
    hook = tables.webhook
    theirs = or_(hook.client_id.is_(None), hook.client_id == client_id)
    query = select(hook).where(
        hook.organisation_id == organisation_id, hook.state == "active", theirs
    )
    if only is not None:
        query = query.where(hook.id == only)
    found = list(await session.scalars(query))
    wanting = [one for one in found if only is not None or not one.kinds or kind in one.kinds]
    for webhook in wanting:
        row = _delivery(webhook, kind, facts) | {"dedupe_key": dedupe_key}
        await session.execute(insert(tables.webhook_delivery).values(row).on_conflict_do_nothing())
    return len(wanting)


def _delivery(webhook: WebhookColumns, kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    delivery_id = new_id()
    body = {
        "id": str(delivery_id),
        "kind": kind,
        "at": now().isoformat(),
        "organisation_id": str(webhook.organisation_id),
        "data": dict(facts),
    }
    return {
        "id": delivery_id,
        "organisation_id": webhook.organisation_id,
        "client_id": webhook.client_id,
        "webhook_id": webhook.id,
        "kind": kind,
        "body": orjson.dumps(body, default=str).decode(),
        "state": "queued",
        "attempts": 0,
    }
