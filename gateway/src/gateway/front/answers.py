"""What every answer carries, and the answers that the front makes itself."""

from typing import Any

import orjson
from starlette.types import Send

from common.errors import CONTENT_TYPE, Problem

RawHeaders = list[tuple[bytes, bytes]]
API_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_SECURITY: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def security_headers(*, secure: bool) -> RawHeaders:
    """Return the headers that every answer carries, errors included."""
    return [*_SECURITY, _HSTS] if secure else list(_SECURITY)


async def send_whole(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """Send an answer in one piece."""
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_problem(
    send: Send, problem: Problem, request_id: str, headers: RawHeaders, *, close: bool
) -> None:
    """Send a problem document; `close` ends the connection, as its body was not read."""
    body: dict[str, Any] = problem.body(request_id)
    headers = [
        *headers,
        (b"content-security-policy", API_POLICY),
        (b"content-type", CONTENT_TYPE.encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers().items()),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send_whole(send, problem.status, headers, orjson.dumps(body, default=str))
