"""Sending what `common.webhooks` has written: a background task of the service.

What an endpoint answers is never read, kept or shown: of it only the status is of interest.
"""

import asyncio
import random
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select, update
from structlog import get_logger

from common import http, webhooks
from common.clock import now
from common.messaging import MessagingTables, WebhookColumns, WebhookDeliveryColumns
from common.outbound import Lookup, Unsafe, address_of, target_of
from common.runtime import Runtime

log = get_logger()
RETRY_AFTER = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200, 21600, 43200, 86400))
"""Pauses between attempts; after the last one the delivery has failed."""
DISABLED_AFTER = timedelta(days=3)
"""An endpoint that has answered nothing for so long, when a delivery to it fails for good."""
_LEASE = timedelta(minutes=2)
_BATCH = 20
_POLL_S = 2.0
_GONE = 410


@dataclass(frozen=True, slots=True)
class _Answer:
    """How an attempt ended: `error` None is a delivery."""

    status: int | None
    error: str | None
    gone: bool = False


class Courier:
    """Delivers the messages of one service."""

    def __init__(
        self,
        tables: MessagingTables,
        *,
        lookup: Lookup | None = None,
        trust: ssl.SSLContext | None = None,
        attempt_s: float = 10,
    ) -> None:
        """Take the tables; how names resolve and whom to trust, where it is not as usual.

        attempt_s: how long a whole attempt may take, however slowly an endpoint answers.
        """
        self._tables = tables
        self._attempt_s = attempt_s
        self._lookup = lookup
        self._trust = trust

    async def deliver(self, runtime: Runtime) -> None:
        """Send what waits, for ever."""
        while not runtime.stopping.is_set():
            if not await self.deliver_due(runtime):
                await asyncio.sleep(_POLL_S)

    async def deliver_due(self, runtime: Runtime, *, at: datetime | None = None) -> int:
        """Send a batch of what is due, side by side; return how many there were."""
        at = at or now()
        claimed = await self._claim(runtime, at)
        await asyncio.gather(*(self._one(runtime, one, at) for one in claimed))
        return len(claimed)

    async def _claim(self, runtime: Runtime, at: datetime) -> list[WebhookDeliveryColumns]:
        table = self._tables.webhook_delivery
        due = (
            select(table.id)
            .where(table.state == "queued", table.next_attempt_at <= at)
            .order_by(table.next_attempt_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        async with runtime.worker_session() as session:
            claimed = await session.scalars(
                update(table)
                .where(table.id.in_(due.scalar_subquery()))
                .values(next_attempt_at=at + _LEASE, attempts=table.attempts + 1)
                .returning(table)
            )
            return list(claimed)

    async def _one(self, runtime: Runtime, delivery: WebhookDeliveryColumns, at: datetime) -> None:
        async with runtime.worker_session() as session:
            webhook = await session.get(self._tables.webhook, delivery.webhook_id)
        if webhook is None or webhook.state != "active":
            answer = _Answer(None, "the endpoint is gone or switched off")
            outcome: dict[str, Any] = {"state": "discarded", "last_error": answer.error}
        else:
            answer = await self._attempt(runtime, webhook, delivery)
            outcome = _outcome(delivery, answer, at)
        async with runtime.worker_session() as session:
            table = self._tables.webhook_delivery
            await session.execute(update(table).where(table.id == delivery.id).values(**outcome))
            health = None if webhook is None else _health(webhook, answer, outcome, at)
            if health is not None:
                hooks = self._tables.webhook
                await session.execute(
                    update(hooks).where(hooks.id == delivery.webhook_id).values(**health)
                )

    async def _attempt(
        self, runtime: Runtime, webhook: WebhookColumns, delivery: WebhookDeliveryColumns
    ) -> _Answer:
        """Call an endpoint once: at the address that was judged, and nowhere else."""
        loopback = runtime.settings.allow_simulated_miners
        moment = now()
        signing = webhooks.secrets_of(runtime.settings, webhook, moment)
        try:
            async with asyncio.timeout(self._attempt_s):
                target = target_of(webhook.url, loopback=loopback)
                address = await address_of(target, loopback=loopback, lookup=self._lookup)
                headers = {
                    "Host": target.authority,
                    "Content-Type": "application/json",
                    "User-Agent": "Hashyard-Webhooks/1",
                    "Hashyard-Delivery": str(delivery.id),
                    "Hashyard-Kind": delivery.kind,
                    webhooks.HEADER: webhooks.signature_header(delivery.body, signing, moment),
                }
                extensions = {} if target.literal else {"sni_hostname": target.host}
                status = await self._post(target.at(address), delivery.body, headers, extensions)
        except Unsafe as error:
            return _Answer(None, str(error))
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            return _Answer(None, f"no answer: {type(error).__name__}")
        return _Answer(status, _fault(status), gone=status == _GONE)

    async def _post(
        self, url: str, body: str, headers: dict[str, str], extensions: dict[str, Any]
    ) -> int:
        """Return the status; a client for one call, as a connection belongs to one name."""
        trust = self._trust if self._trust is not None else _system_trust()
        async with (
            http.client("", timeout_s=self._attempt_s, verify=trust) as client,
            client.stream(
                "POST", url, content=body.encode(), headers=headers, extensions=extensions
            ) as answer,
        ):
            return answer.status_code


_TRUST: list[ssl.SSLContext] = []


def _system_trust() -> ssl.SSLContext:
    """Return whom this machine trusts; reading it for each call would cost more than the call."""
    if not _TRUST:
        _TRUST.append(ssl.create_default_context())
    return _TRUST[0]


def _fault(status: int) -> str | None:
    if httpx.codes.is_success(status):
        return None
    if httpx.codes.is_redirect(status):
        return "it redirects elsewhere; name the final address"
    return f"it answered {status}"


def _outcome(delivery: WebhookDeliveryColumns, answer: _Answer, at: datetime) -> dict[str, Any]:
    """Return what a delivery's row says after an attempt."""
    said: dict[str, Any] = {"last_status": answer.status, "last_error": answer.error}
    if answer.error is None:
        return said | {"state": "delivered", "delivered_at": at}
    if answer.gone or delivery.attempts > len(RETRY_AFTER):
        return said | {"state": "failed"}
    pause = RETRY_AFTER[delivery.attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311  (jitter)
    return said | {"next_attempt_at": at + pause}


def _health(
    webhook: WebhookColumns, answer: _Answer, outcome: dict[str, Any], at: datetime
) -> dict[str, Any] | None:
    """Return what changes of an endpoint after an attempt: None is nothing."""
    if outcome.get("state") == "discarded":
        return None
    if answer.error is None:
        return None if webhook.failing_since is None else {"failing_since": None}
    if answer.gone:
        return {"state": "disabled", "failing_since": webhook.failing_since or at}
    if webhook.failing_since is None:
        return {"failing_since": at}
    long_enough = at - webhook.failing_since >= DISABLED_AFTER
    return {"state": "disabled"} if long_enough and outcome.get("state") == "failed" else None
