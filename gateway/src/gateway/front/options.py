"""OPTIONS, and the pages of other origins that a setting lets in (none by default)."""

import re
from collections.abc import Mapping
from typing import Any

from common.errors import NotFound
from gateway.front.answers import API_POLICY, RawHeaders
from gateway.front.exchange import Exchange
from gateway.front.table import Table, allowed

_SENT = b"accept, authorization, content-type, idempotency-key, if-match, if-none-match, \
last-event-id, prefer"
_SHOWN = b"content-disposition, etag, idempotent-replayed, location, ratelimit, ratelimit-policy, \
retry-after, x-request-id"
_KEPT_S = b"600"
_PARAMETER = re.compile(r"\\\{\w+\\\}")


class Options:
    """Says what may be done with a path, and to whom else's scripts the answers are shown.

    A script of a listed origin sends a bearer token. Cookies are never for other origins, so that
    Access-Control-Allow-Credentials is not among the headers.
    """

    def __init__(self, table: Table, document: Mapping[str, Any], origins: tuple[str, ...]) -> None:
        self._table = table
        self._operations = [
            (_pattern(path), frozenset(method.upper() for method in item))
            for path, item in document["paths"].items()
        ]
        self.origins = frozenset(origin.encode() for origin in origins)

    def let_in(self, exchange: Exchange) -> None:
        """Allow the answer to be read by a script of a listed origin."""
        exchange.extra.append((b"vary", b"origin"))
        origin = exchange.head.fields.get(b"origin")
        if origin in self.origins:
            exchange.extra += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _SHOWN),
            ]

    async def answer(self, exchange: Exchange, common: RawHeaders) -> None:
        """Answer OPTIONS.

        Raises:
            NotFound: no line of the table names this path.
        """
        served = ", ".join(allowed(self._methods(exchange.head.path))).encode()
        headers: RawHeaders = [
            *common,
            *exchange.extra,
            (b"allow", served),
            (b"content-security-policy", API_POLICY),
            (b"cache-control", b"no-store"),
            (b"x-request-id", exchange.request_id.encode()),
        ]
        fields = exchange.head.fields
        if b"access-control-request-method" in fields and fields.get(b"origin") in self.origins:
            headers += [
                (b"access-control-allow-methods", served),
                (b"access-control-allow-headers", _SENT),
                (b"access-control-max-age", _KEPT_S),
            ]
        await exchange.send({"type": "http.response.start", "status": 204, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b""})

    def _methods(self, path: bytes) -> frozenset[str]:
        """Return the methods of the documented operations, or those of the table's line."""
        routed = self._table.methods(path)
        if not routed:
            raise NotFound("There is nothing at this path.")
        documented = frozenset[str]().union(
            *(methods for pattern, methods in self._operations if pattern.fullmatch(path))
        )
        return documented & routed or routed


def _pattern(path: str) -> re.Pattern[bytes]:
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(path)).encode())
