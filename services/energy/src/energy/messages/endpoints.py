"""Webhooks as their owners keep them."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import webhooks
from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from common.messaging import WebhookColumns
from common.outbound import Unsafe, target_of
from common.pages import PageRequest, page_of, paged
from common.settings import ServiceSettings
from energy.db import AuditEvent
from energy.messages.models import MESSAGING, Webhook, WebhookDelivery
from energy.messages.schemas import (
    DeliveryView,
    NewWebhook,
    WebhookChange,
    WebhookView,
    WebhookWithSecret,
)

MOST = 20


class UnsafeUrl(Invalid):
    title: ClassVar[str] = "This address is not called"


class WebhookUnknown(NotFound):
    title: ClassVar[str] = "No such webhook"


class DeliveryUnknown(NotFound):
    title: ClassVar[str] = "No such delivery"


class TooManyWebhooks(Conflict):
    title: ClassVar[str] = "There are too many webhooks"


class WebhookNotActive(Conflict):
    title: ClassVar[str] = "The webhook is not active"


class StillQueued(Conflict):
    title: ClassVar[str] = "The delivery still waits"


async def create(
    session: AsyncSession, caller: Principal, settings: ServiceSettings, body: NewWebhook
) -> WebhookWithSecret:
    """Keep a new endpoint; the answer alone holds its secret.

    Raises:
        UnsafeUrl: strangers are not called there.
        TooManyWebhooks: there are 20.
    """
    _check(body.url, settings)
    if (await session.scalar(select(func.count()).select_from(Webhook)) or 0) >= MOST:
        raise TooManyWebhooks(f"At most {MOST} are kept; delete one first.")
    webhook = Webhook(
        id=new_id(),
        organisation_id=caller.organisation_id,
        client_id=caller.client_id,
        name=body.name,
        url=body.url,
        kinds=sorted(set(body.kinds)),
        salt=webhooks.new_salt(),
        state="active",
        created_by=caller.subject,
        created_at=now(),
    )
    session.add(webhook)
    await session.flush()
    await _audit(session, caller, "webhook.create", webhook)
    return _with_secret(webhook, settings)


async def list_webhooks(session: AsyncSession, page: PageRequest) -> dict[str, Any]:
    """Return the endpoints, oldest first."""
    rows, total = await paged(session, select(Webhook).order_by(Webhook.id), page)
    return page_of([view_of(row) for row in rows], total, page)


async def find(session: AsyncSession, webhook_id: UUID, *, lock: bool = False) -> WebhookColumns:
    """Return an endpoint of the caller's.

    Raises:
        WebhookUnknown: there is none.
    """
    found = await session.get(Webhook, webhook_id, with_for_update=lock or None)
    if found is None:
        raise WebhookUnknown("There is no webhook of this id.")
    return found


async def change(
    session: AsyncSession,
    caller: Principal,
    settings: ServiceSettings,
    webhook_id: UUID,
    body: WebhookChange,
) -> WebhookView:
    """Change an endpoint; one that is made active again begins with a clean slate."""
    webhook = await find(session, webhook_id, lock=True)
    if body.url is not None:
        _check(body.url, settings)
        webhook.url = body.url
    webhook.name = body.name if body.name is not None else webhook.name
    webhook.kinds = sorted(set(body.kinds)) if body.kinds is not None else webhook.kinds
    if body.state is not None:
        webhook.state = body.state
        webhook.failing_since = None
    await session.flush()
    await _audit(session, caller, "webhook.change", webhook)
    return view_of(webhook)


async def remove(session: AsyncSession, caller: Principal, webhook_id: UUID) -> None:
    """Forget an endpoint with its log; what waits for it is not sent."""
    webhook = await find(session, webhook_id, lock=True)
    await session.execute(delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id))
    await session.delete(webhook)
    await session.flush()
    await _audit(session, caller, "webhook.delete", webhook)


async def renew_secret(
    session: AsyncSession, caller: Principal, settings: ServiceSettings, webhook_id: UUID
) -> WebhookWithSecret:
    """Give an endpoint a new secret; for a day messages are signed with both."""
    webhook = await find(session, webhook_id, lock=True)
    webhooks.rotate(webhook, now())
    await session.flush()
    await _audit(session, caller, "webhook.secret", webhook)
    return _with_secret(webhook, settings)


async def send_test(session: AsyncSession, webhook_id: UUID) -> DeliveryView:
    """Send an endpoint a message that means nothing.

    Raises:
        WebhookNotActive: it is paused or disabled.
    """
    webhook = await find(session, webhook_id)
    if webhook.state != "active":
        raise WebhookNotActive("Make it active first.")
    mark = str(new_id())
    await webhooks.announce(
        session,
        MESSAGING,
        organisation_id=webhook.organisation_id,
        client_id=webhook.client_id,
        kind="test",
        facts={"message": "This is a test; nothing has happened."},
        dedupe_key=mark,
        only=webhook.id,
    )
    made = await session.scalar(
        select(WebhookDelivery).where(
            WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.dedupe_key == mark
        )
    )
    assert made is not None
    return delivery_of(made)


async def list_deliveries(
    session: AsyncSession, webhook_id: UUID, page: PageRequest
) -> dict[str, Any]:
    """Return what was sent to an endpoint, newest first."""
    await find(session, webhook_id)
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    rows, total = await paged(session, query.order_by(WebhookDelivery.id.desc()), page)
    return page_of([delivery_of(row) for row in rows], total, page)


async def send_again(session: AsyncSession, webhook_id: UUID, delivery_id: UUID) -> DeliveryView:
    """Send a message again, with the id that it had.

    Raises:
        DeliveryUnknown: there is none.
        StillQueued: it has not been given up.
        WebhookNotActive: its endpoint is off.
    """
    webhook = await find(session, webhook_id)
    delivery = await session.get(WebhookDelivery, delivery_id, with_for_update=True)
    if delivery is None or delivery.webhook_id != webhook_id:
        raise DeliveryUnknown("There is no delivery of this id to this webhook.")
    if delivery.state == "queued":
        raise StillQueued("It is sent by itself; wait for it.")
    if webhook.state != "active":
        raise WebhookNotActive("Make it active first.")
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id)
        .values(state="queued", attempts=0, next_attempt_at=now())
    )
    await session.refresh(delivery)
    return delivery_of(delivery)


def view_of(row: WebhookColumns) -> WebhookView:
    """Return an endpoint as it is shown."""
    return WebhookView.model_validate(row, from_attributes=True)


def delivery_of(row: Any) -> DeliveryView:
    """Return a delivery as it is shown."""
    shown = {name: getattr(row, name) for name in DeliveryView.model_fields}
    if row.state != "queued":
        shown["next_attempt_at"] = None
    return DeliveryView(**shown)


def _with_secret(row: WebhookColumns, settings: ServiceSettings) -> WebhookWithSecret:
    return WebhookWithSecret(
        **view_of(row).model_dump(),
        secret=webhooks.secret_of(settings, row.id, row.salt),
        previous_secret_until=row.previous_until,
    )


def _check(url: str, settings: ServiceSettings) -> None:
    try:
        target_of(url, loopback=settings.allow_simulated_miners)
    except Unsafe as error:
        raise UnsafeUrl(f"{str(error).capitalize()}.", field="url") from error


async def _audit(
    session: AsyncSession, caller: Principal, action: str, webhook: WebhookColumns
) -> None:
    await audit(
        session,
        AuditEvent,
        caller,
        action=action,
        object_type="webhook",
        object_id=webhook.id,
        detail={"name": webhook.name, "url": webhook.url, "state": webhook.state},
    )
