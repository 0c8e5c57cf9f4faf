"""JSON bodies read strictly: no duplicate keys, no NaN, money from its text."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

_LONGEST_INTEGER = 40


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
    """
    return json.loads(
        body.decode("utf-8"),
        object_pairs_hook=_refuse_duplicates,
        parse_constant=_refuse_constant,
        parse_float=Decimal,
        parse_int=_integer,
    )


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """Return the parsed body."""
        if not hasattr(self, "_json"):
            body = await self.body()
            if b"\\u0000" in body or b"\x00" in body:
                raise HTTPException(422, "Text must not hold the character U+0000.")
            try:
                self._json = loads(body)
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

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
