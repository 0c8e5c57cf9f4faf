"""The page at `/`, the merged document, and what each problem type means."""

import re
from typing import Any

import orjson

from common.errors import NotFound
from gateway.front.answers import API_POLICY, RawHeaders, send_whole
from gateway.front.exchange import Exchange
from gateway.front.landing import STYLE_POLICY, landing_page, problem_page

_HTML = b"text/html; charset=utf-8"
_PROBLEM = re.compile(rb"/problems/([a-z0-9-]{1,60})")


class Pages:
    """Answers made once, at start, and kept."""

    def __init__(self, public_url: str, document: dict[str, Any]) -> None:
        self._document = orjson.dumps(document)
        self._landing = landing_page(public_url, document).encode()

    async def serve(self, exchange: Exchange, common: RawHeaders) -> None:
        """Send a page.

        Raises:
            NotFound: there is none at this path.
        """
        body, kind, policy = self._page(exchange.head.path)
        headers: RawHeaders = [
            *common,
            *exchange.extra,
            (b"content-type", kind),
            (b"content-security-policy", policy),
            (b"cache-control", b"no-cache"),
            (b"x-request-id", exchange.request_id.encode()),
        ]
        await send_whole(exchange.send, 200, headers, body)

    def _page(self, path: bytes) -> tuple[bytes, bytes, bytes]:
        if path == b"/":
            return self._landing, _HTML, STYLE_POLICY
        if path == b"/api/openapi.json":
            return self._document, b"application/json", API_POLICY
        found = _PROBLEM.fullmatch(path)
        if found is None:
            raise NotFound("There is nothing at this path.")
        return problem_page(found[1].decode()).encode(), _HTML, STYLE_POLICY
