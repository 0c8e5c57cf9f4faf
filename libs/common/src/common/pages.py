"""Lists: numbered pages where a person reads, opaque cursors where a machine does."""

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import BadRequest

T = TypeVar("T")
PAGE_SIZE = 20
MAX_PAGE_SIZE = 200


class Page(BaseModel, Generic[T]):
    """One numbered page. A page beyond the last is empty."""

    items: list[T]
    total: int
    page: int
    pages: int
    page_size: int


class CursorPage(BaseModel, Generic[T]):
    """One step through a list. `next_cursor` is null at the end."""

    items: list[T]
    next_cursor: str | None


class PageRequest(BaseModel):
    """Which page is asked for."""

    page: int
    page_size: int


def _page_query(
    page: Annotated[int, Query(ge=1, le=1_000_000, description="Page number, from 1")] = 1,
    page_size: Annotated[
        int, Query(ge=1, le=MAX_PAGE_SIZE, description="Rows per page, at most 200")
    ] = PAGE_SIZE,
) -> PageRequest:
    return PageRequest(page=page, page_size=page_size)


PageQuery = Annotated[PageRequest, Depends(_page_query)]


async def paged(
    session: AsyncSession, query: Select[T], wanted: PageRequest
) -> tuple[list[T], int]:
    """Return one page of an ordered query's rows, and how many rows there are in all."""
    total = await session.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    rows = await session.scalars(
        query.offset((wanted.page - 1) * wanted.page_size).limit(wanted.page_size)
    )
    return list(rows), total or 0


def page_of(items: list[Any], total: int, wanted: PageRequest) -> dict[str, Any]:
    """Return the members of a `Page` for these items."""
    return {
        "items": items,
        "total": total,
        "page": wanted.page,
        "pages": -(-total // wanted.page_size),
        "page_size": wanted.page_size,
    }


def encode_cursor(position: list[Any], key: str) -> str:
    """Return an opaque, signed cursor for a position in an ordered list."""
    payload = orjson.dumps(position, default=str)
    signature = hmac.digest(key.encode(), payload, hashlib.sha256)[:12]
    return base64.urlsafe_b64encode(signature + payload).rstrip(b"=").decode()


def decode_cursor(cursor: str, key: str) -> list[Any]:
    """Return the position of a cursor.

    Raises:
        BadRequest: the cursor is not one of ours.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError) as error:
        raise BadRequest("The cursor is not valid; start again without it.") from error
    signature, payload = raw[:12], raw[12:]
    if not hmac.compare_digest(signature, hmac.digest(key.encode(), payload, hashlib.sha256)[:12]):
        raise BadRequest("The cursor is not valid; start again without it.")
    position: list[Any] = orjson.loads(payload)
    return position
