"""The send log, and what people want to be sent."""

from html import escape
from typing import Any, ClassVar, cast

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.errors import Invalid, NotFound
from common.mail import OptOut, address_recipient, read_opt_out
from common.messaging import MailColumns
from common.pages import PageRequest, page_of, paged
from common.runtime import Runtime
from common.settings import ServiceSettings
from energy.messages.models import Mail, MailOptOut, Person
from energy.messages.post import KINDS, POST
from energy.messages.schemas import (
    Kind,
    KindPreference,
    MessageView,
    PreferenceChange,
    Preferences,
)

_ANY = "*"


class NobodyWithMail(NotFound):
    title: ClassVar[str] = "The caller gets no letters"


class LinkNotValid(Invalid):
    title: ClassVar[str] = "The link is not valid"


async def list_messages(
    session: AsyncSession, page: PageRequest, kind: str | None, state: str | None
) -> dict[str, Any]:
    """Return letters, newest first."""
    query = select(Mail).order_by(Mail.id.desc())
    if kind is not None:
        query = query.where(Mail.kind == kind)
    if state is not None:
        query = query.where(Mail.state == state)
    rows, total = await paged(session, query, page)
    return page_of([_view(row) for row in rows], total, page)


def _view(row: MailColumns) -> MessageView:
    shown = {name: getattr(row, name) for name in MessageView.model_fields}
    if row.state != "queued":
        shown["next_attempt_at"] = None
    return MessageView(**shown)


async def preferences(
    session: AsyncSession, caller: Principal, settings: ServiceSettings
) -> Preferences:
    """Return which letters a caller gets.

    Raises:
        NobodyWithMail: it is no person whom we could write to.
    """
    address = await _address(session, caller)
    recipients = {f"user:{caller.subject}", address_recipient(address, settings)}
    refused = {
        row.kind
        for row in await session.scalars(
            select(MailOptOut).where(MailOptOut.recipient.in_(recipients))
        )
    }
    return Preferences(
        kinds=[
            KindPreference(kind=cast("Kind", kind), about=about, wanted=kind not in refused)
            for kind, about in KINDS.items()
        ],
        bounced=_ANY in refused,
    )


async def change_preferences(
    session: AsyncSession, caller: Principal, settings: ServiceSettings, body: PreferenceChange
) -> Preferences:
    """Write down what a caller wants to be sent."""
    address = await _address(session, caller)
    mine = f"user:{caller.subject}"
    if body.unwanted is not None:
        await session.execute(delete(MailOptOut).where(MailOptOut.recipient == mine))
        for kind in set(body.unwanted):
            await POST.opt_out(session, OptOut(caller.organisation_id, mine, kind))
    if body.bounced is not None:
        bounced = address_recipient(address, settings)
        await session.execute(delete(MailOptOut).where(MailOptOut.recipient == bounced))
    return await preferences(session, caller, settings)


async def _address(session: AsyncSession, caller: Principal) -> str:
    person = await session.get(Person, caller.subject) if caller.kind == "user" else None
    if person is None or not person.active:
        raise NobodyWithMail("Letters go to users; a new one is known here a moment later.")
    return person.email


def question(token: str, settings: ServiceSettings) -> str:
    """Return the page behind the link in a letter.

    Raises:
        LinkNotValid: it is none of ours.
    """
    about = KINDS.get(_wish(token, settings).kind, "this")
    form = (
        f'<form method="post" action="?token={escape(token)}">'
        "<button>Send me no more of these</button></form>"
    )
    return _page("No more letters?", f"<p>About {escape(about)}.</p>{form}")


async def opt_out(token: str, runtime: Runtime) -> str:
    """Send no more letters of the kind that a link names to its reader; return the page after it.

    Raises:
        LinkNotValid: it is none of ours.
    """
    wish = _wish(token, runtime.settings)
    # Whoever clicks is nobody to us: the organisation is the link's, which we signed.
    async with runtime.tenant_session(wish.organisation_id) as session:
        await POST.opt_out(session, wish)
    about = KINDS.get(wish.kind, "this")
    return _page(
        "No more letters",
        f"<p>You get no more letters about {escape(about)}. You can change this in your "
        "preferences.</p>",
    )


def _wish(token: str, settings: ServiceSettings) -> OptOut:
    wish = read_opt_out(token, settings)
    if wish is None:
        raise LinkNotValid("Use the whole link from the letter.", field="token")
    return wish


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title></head><body><main><h1>{escape(title)}</h1>{content}"
        "</main></body></html>"
    )
