"""A user's history: kept, shown, compared, shared by link, deleted."""

import hashlib
import math
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar, cast
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from calculator.history.models import HistoryEntry
from calculator.history.schemas import (
    Comparison,
    Difference,
    HistoryDetail,
    HistoryItem,
    Kind,
    SharedCalculation,
    ShareLink,
)
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, NotFound
from common.pages import PageRequest, page_of, paged
from common.runtime import Runtime

_TOKEN_BYTES = 24
_PRIVATE = ("rate_id", "rate_name", "rate_version", "site_id", "batch_id", "downloads", "tariffs")
"""What only its owner can look up, and nobody else needs to see."""
_PLACES = 12


class CalculationNotFound(NotFound):
    title: ClassVar[str] = "No such calculation"


class NotComparable(Conflict):
    title: ClassVar[str] = "Only calculations of one kind can be compared"


def mine(caller: Principal) -> Select[HistoryEntry]:
    """Select what a caller may see: the own calculations."""
    return select(HistoryEntry).where(HistoryEntry.created_by == caller.subject)


async def keep(
    session: AsyncSession,
    caller: Principal,
    kind: Kind,
    title: str,
    *,
    summary: Mapping[str, Any],
    request: BaseModel | Mapping[str, Any],
    result: BaseModel | Mapping[str, Any],
) -> HistoryEntry | None:
    """Keep a user's calculation; what nobody or a program asks for is not kept."""
    if caller.kind != "user":
        return None
    entry = HistoryEntry(
        organisation_id=caller.organisation_id,
        client_id=caller.client_id,
        created_by=caller.subject,
        kind=kind,
        title=title,
        summary=dict(summary),
        request=_plain(request),
        result=_plain(result),
    )
    session.add(entry)
    await session.flush()
    return entry


async def keep_apart(
    runtime: Runtime, caller: Principal, kind: Kind, title: str, **kept: Any
) -> UUID | None:
    """Keep a user's calculation in a transaction of its own, and return its id; see `keep`.

    A public route has no session: most of its callers have no history.
    """
    if caller.kind != "user":
        return None
    async with runtime.tenant_session(caller.organisation_id, caller.client_id) as session:
        entry = await keep(session, caller, kind, title, **kept)
    return None if entry is None else entry.id


def _plain(document: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(document, BaseModel):
        return document.model_dump(mode="json", exclude_unset=True, exclude={"id"})
    return dict(document)


async def list_entries(
    session: AsyncSession, caller: Principal, wanted: PageRequest, kind: Kind | None
) -> dict[str, Any]:
    """Return a page of the caller's history, newest first."""
    query = mine(caller).order_by(HistoryEntry.id.desc())
    if kind is not None:
        query = query.where(HistoryEntry.kind == kind)
    light = load_only(
        HistoryEntry.kind,
        HistoryEntry.title,
        HistoryEntry.summary,
        HistoryEntry.shared_at,
        HistoryEntry.created_at,
    )
    entries, total = await paged(session, query.options(light), wanted)
    return page_of([item_of(entry) for entry in entries], total, wanted)


async def entry_of(session: AsyncSession, caller: Principal, entry_id: UUID) -> HistoryEntry:
    """Return one of the caller's calculations.

    Raises:
        CalculationNotFound: there is none, or it is somebody else's.
    """
    entry = await session.scalar(mine(caller).where(HistoryEntry.id == entry_id))
    if entry is None:
        raise CalculationNotFound(f"There is no calculation {entry_id} in your history.")
    return entry


async def remove(session: AsyncSession, caller: Principal, entry_id: UUID) -> None:
    """Delete a calculation; its link ends with it."""
    await entry_of(session, caller, entry_id)
    await session.execute(delete(HistoryEntry).where(HistoryEntry.id == entry_id))


async def share(session: AsyncSession, caller: Principal, entry_id: UUID) -> ShareLink:
    """Make a link that shows a calculation to whoever has it; an earlier link ends."""
    entry = await entry_of(session, caller, entry_id)
    token, at = secrets.token_urlsafe(_TOKEN_BYTES), now()
    entry.share_sha256, entry.shared_at = _digest(token), at
    await session.flush()
    return ShareLink(token=token, path=f"/api/calculator/shared/{token}", shared_at=at)


async def unshare(session: AsyncSession, caller: Principal, entry_id: UUID) -> None:
    """End the link of a calculation."""
    entry = await entry_of(session, caller, entry_id)
    entry.share_sha256 = entry.shared_at = None
    await session.flush()


async def shared(runtime: Runtime, token: str) -> SharedCalculation:
    """Return the calculation that a link shows.

    The caller has no tenant: the secret in the link is what admits to this one row.

    Raises:
        CalculationNotFound: the link was never made, or was ended.
    """
    async with runtime.worker_session() as session:
        entry = await session.scalar(
            select(HistoryEntry).where(HistoryEntry.share_sha256 == _digest(token))
        )
    if entry is None:
        raise CalculationNotFound("This link shows nothing, or no longer.")
    return SharedCalculation(
        kind=cast("Kind", entry.kind),
        title=entry.title,
        request=_public(entry.request),
        result=_public(entry.result),
        created_at=entry.created_at,
    )


def _public(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without what is private, in its inputs too."""
    shown = {name: value for name, value in document.items() if name not in _PRIVATE}
    if isinstance(inputs := shown.get("inputs"), dict):
        shown["inputs"] = _public(cast("dict[str, Any]", inputs))
    return shown


async def compare(
    session: AsyncSession, caller: Principal, first_id: UUID, second_id: UUID
) -> Comparison:
    """Put two calculations side by side.

    Raises:
        CalculationNotFound: one of them is not in the caller's history.
        NotComparable: they are of different kinds.
    """
    first = await entry_of(session, caller, first_id)
    second = await entry_of(session, caller, second_id)
    if first.kind != second.kind:
        raise NotComparable(f"One is a {first.kind}, the other a {second.kind}.", field="second")
    return compared(first, second)


def compared(first: HistoryEntry, second: HistoryEntry) -> Comparison:
    """Return the differences of two calculations, number by number."""
    inputs = _differences(_inputs(first), _inputs(second))
    return Comparison(
        first=item_of(first),
        second=item_of(second),
        inputs={name: one for name, one in inputs.items() if one.first != one.second},
        figures=_differences(_figures(first), _figures(second)),
    )


def item_of(entry: HistoryEntry) -> HistoryItem:
    """Return a calculation as a list shows it."""
    return HistoryItem(
        id=entry.id,
        kind=cast("Kind", entry.kind),
        title=entry.title,
        summary=entry.summary,
        shared=entry.shared_at is not None,
        created_at=entry.created_at,
    )


def detail_of(entry: HistoryEntry) -> HistoryDetail:
    """Return a calculation whole."""
    item = item_of(entry).model_dump()
    return HistoryDetail(**item, request=entry.request, result=entry.result)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _inputs(entry: HistoryEntry) -> dict[str, float]:
    inputs: dict[str, Any] = entry.result.get("inputs", {})
    return _numbers({name: one["value"] for name, one in inputs.items()})


def _figures(entry: HistoryEntry) -> dict[str, float]:
    """Return the numbers of a result by their path; a projection's months by their place."""
    return _numbers({name: one for name, one in entry.result.items() if name != "inputs"})


def _numbers(document: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in document.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= _numbers(cast("dict[str, Any]", value), f"{path}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[path] = float(value)
    return found


def _differences(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, Difference]:
    return {name: _difference(first.get(name), second.get(name)) for name in {**first, **second}}


def _difference(first: float | None, second: float | None) -> Difference:
    if first is None or second is None:
        return Difference(first=first, second=second, difference=None, difference_percent=None)
    change = second - first
    percent = change / abs(first) * 100 if first else math.nan
    return Difference(
        first=first,
        second=second,
        difference=round(change, _PLACES),
        difference_percent=round(percent, 6) if math.isfinite(percent) else None,
    )
