"""HTTP of letters and webhooks."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from common.auth import Anyone
from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from common.runtime import RuntimeDep
from energy.auth import CostsReader, CostsWriter
from energy.messages import endpoints, log
from energy.messages.endpoints import (
    DeliveryUnknown,
    StillQueued,
    TooManyWebhooks,
    UnsafeUrl,
    WebhookNotActive,
    WebhookUnknown,
)
from energy.messages.log import LinkNotValid, NobodyWithMail
from energy.messages.schemas import (
    DeliveryView,
    Kind,
    MessageView,
    NewWebhook,
    PreferenceChange,
    Preferences,
    WebhookChange,
    WebhookView,
    WebhookWithSecret,
)

router = APIRouter(prefix="/api/electricity", tags=["messages"])
Token = Annotated[str, Query(max_length=500, description="From the link in a letter")]
State = Literal["queued", "sent", "bounced", "failed", "suppressed"]


@router.get("/messages", response_model=Page[MessageView])
async def list_messages(
    session: Session,
    _: CostsReader,
    page: PageQuery,
    kind: Kind | None = None,
    state: State | None = None,
) -> object:
    """List the letters that were written, newest first: the send log."""
    return await log.list_messages(session, page, kind, state)


@router.get("/messages/preferences", responses=problems(NobodyWithMail))
async def show_preferences(
    session: Session, caller: CostsReader, runtime: RuntimeDep
) -> Preferences:
    """Return which letters the caller gets."""
    return await log.preferences(session, caller, runtime.settings)


@router.patch("/messages/preferences", responses=problems(NobodyWithMail))
async def change_preferences(
    body: PreferenceChange, session: Session, caller: CostsReader, runtime: RuntimeDep
) -> Preferences:
    """Say which letters the caller gets."""
    return await log.change_preferences(session, caller, runtime.settings, body)


@router.get("/messages/opt-out", response_class=HTMLResponse, responses=problems(LinkNotValid))
async def ask_opt_out(token: Token, _: Anyone, runtime: RuntimeDep) -> HTMLResponse:
    """Ask the reader of a letter whether to send no more of its kind; changes nothing by itself."""
    return HTMLResponse(log.question(token, runtime.settings))


@router.post("/messages/opt-out", response_class=HTMLResponse, responses=problems(LinkNotValid))
async def opt_out(token: Token, _: Anyone, runtime: RuntimeDep) -> HTMLResponse:
    """Send no more letters of this kind to this reader (RFC 8058: one click is enough)."""
    return HTMLResponse(await log.opt_out(token, runtime))


@router.post("/webhooks", status_code=201, responses=problems(UnsafeUrl, TooManyWebhooks))
async def create_webhook(
    body: NewWebhook, session: Session, caller: CostsWriter, runtime: RuntimeDep
) -> WebhookWithSecret:
    """Keep an endpoint that is told what happens. Its secret is in this answer and no other."""
    return await endpoints.create(session, caller, runtime.settings, body)


@router.get("/webhooks", response_model=Page[WebhookView])
async def list_webhooks(session: Session, _: CostsWriter, page: PageQuery) -> object:
    """List the endpoints."""
    return await endpoints.list_webhooks(session, page)


@router.get("/webhooks/{webhook_id}", responses=problems(WebhookUnknown))
async def get_webhook(webhook_id: UUID, session: Session, _: CostsWriter) -> WebhookView:
    """Return an endpoint."""
    return endpoints.view_of(await endpoints.find(session, webhook_id))


@router.patch("/webhooks/{webhook_id}", responses=problems(WebhookUnknown, UnsafeUrl))
async def change_webhook(
    webhook_id: UUID,
    body: WebhookChange,
    session: Session,
    caller: CostsWriter,
    runtime: RuntimeDep,
) -> WebhookView:
    """Change an endpoint, pause it, or make it active again."""
    return await endpoints.change(session, caller, runtime.settings, webhook_id, body)


@router.delete("/webhooks/{webhook_id}", status_code=204, responses=problems(WebhookUnknown))
async def delete_webhook(webhook_id: UUID, session: Session, caller: CostsWriter) -> None:
    """Forget an endpoint and its log."""
    await endpoints.remove(session, caller, webhook_id)


@router.post("/webhooks/{webhook_id}/secret", responses=problems(WebhookUnknown))
async def renew_webhook_secret(
    webhook_id: UUID, session: Session, caller: CostsWriter, runtime: RuntimeDep
) -> WebhookWithSecret:
    """Give an endpoint a new secret; the one before is good for another day."""
    return await endpoints.renew_secret(session, caller, runtime.settings, webhook_id)


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=202,
    responses=problems(WebhookUnknown, WebhookNotActive),
)
async def try_webhook(webhook_id: UUID, session: Session, _: CostsWriter) -> DeliveryView:
    """Send an endpoint a test message."""
    return await endpoints.send_test(session, webhook_id)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    response_model=Page[DeliveryView],
    responses=problems(WebhookUnknown),
)
async def list_deliveries(
    webhook_id: UUID, session: Session, _: CostsWriter, page: PageQuery
) -> object:
    """List what was sent to an endpoint, newest first."""
    return await endpoints.list_deliveries(session, webhook_id, page)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
    status_code=202,
    responses=problems(WebhookUnknown, DeliveryUnknown, StillQueued, WebhookNotActive),
)
async def retry_delivery(
    webhook_id: UUID, delivery_id: UUID, session: Session, _: CostsWriter
) -> DeliveryView:
    """Send a message again that was delivered, discarded or given up."""
    return await endpoints.send_again(session, webhook_id, delivery_id)
