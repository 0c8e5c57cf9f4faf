"""JSON bodies read strictly: no duplicate keys, no NaN, whole characters, money from its text."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, cast

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from common.errors import Invalid
from common.strict_query import query_check

_LONGEST_INTEGER = 40
_LARGE = 200_000
"""Bytes from which on a body is parsed on another thread."""
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "an object names a member twice"
        raise json.JSONDecodeError(msg, "", 0)
    return members


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise json.JSONDecodeError(msg, "", 0)


def _integer(text: str) -> int | Decimal:
    # A 4,000-digit integer would cost quadratic time; as a decimal, the field's limits refuse it.
    return int(text) if len(text) <= _LONGEST_INTEGER else Decimal(text)


def loads(body: bytes) -> Any:
    """Parse a body; fractions come as Decimal, so that money never passes through a binary float.

    Raises:
        JSONDecodeError: it is not strictly JSON.
        UnicodeDecodeError: it is not UTF-8.
        Invalid: a text holds U+0000, or half of a surrogate pair.
    """
    try:
        parsed = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
            parse_float=Decimal,
            parse_int=_integer,
        )
    except InvalidOperation:  # an exponent of twenty digits
        msg = "a number has too large an exponent"
        raise json.JSONDecodeError(msg, "", 0) from None
    if _SUSPECT.search(body):
        for field, text in _texts(parsed):
            _check_text(field, text)
    return parsed


def _check_text(field: str, text: str) -> None:
    if "\0" in text:
        raise Invalid("Text must not hold the character U+0000.", field=field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Half a pair is a string to Python, but nothing that can be written anywhere.
        raise Invalid("Text must not hold half a character.", field=field) from error


def _texts(value: Any, field: str = "body") -> Iterator[tuple[str, str]]:
    """Yield every text with the member that holds it; a member's name is its holder's text."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            yield from _texts(member, field)
    elif isinstance(value, dict):
        for name, member in cast("dict[str, Any]", value).items():
            yield field, name
            yield from _texts(member, name)


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """Return the parsed body."""
        if not hasattr(self, "_json"):
            body = await self.body()
            if b"\x00" in body:
                raise HTTPException(422, "Text must not hold the character U+0000.")
            try:
                # A year of readings takes a third of a second: others are answered meanwhile.
                large = len(body) > _LARGE
                self._json = await asyncio.to_thread(loads, body) if large else loads(body)
            except UnicodeDecodeError as error:
                raise HTTPException(400, "The body is not UTF-8.") from error
            except RecursionError as error:
                raise HTTPException(400, "The body is nested too deeply.") from error
        return self._json


class StrictRoute(APIRoute):
    """The route class of every service."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler so that it sees the strict request."""
        handler = super().get_route_handler()
        check = query_check(self.dependant)

        async def strict(request: Request) -> Response:
            seen = StrictRequest(request.scope, request.receive)
            if check is not None:
                check(seen)
            return await handler(seen)

        return strict
