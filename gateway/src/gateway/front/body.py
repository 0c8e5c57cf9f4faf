"""Reading what a client sends: small bodies whole, large ones as they come, never too much."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Message, Receive

from common.errors import TooLarge
from gateway.front.guard import Head
from gateway.front.wire import WHOLE_BYTES
from gateway.problems import RequestTimeout


class ClientGone(Exception):
    """The client closed the connection."""


async def read_body(
    head: Head, receive: Receive, cap_bytes: int, timeout_s: float
) -> bytes | AsyncGenerator[bytes] | None:
    """Return the body: nothing, bytes, or a stream of them.

    Raises:
        TooLarge: it is larger than the route takes.
        RequestTimeout: it came too slowly.
        ClientGone: the rest will not come.
    """
    if not head.has_body:
        return None
    if head.content_length > cap_bytes:
        raise too_large(cap_bytes)
    incoming = _chunks(receive, cap_bytes, timeout_s)
    if head.chunked or head.content_length > WHOLE_BYTES:
        return incoming
    return b"".join([chunk async for chunk in incoming])


def too_large(cap_bytes: int) -> TooLarge:
    """Return the problem of a body over the cap."""
    return TooLarge(f"The body has more than {cap_bytes} bytes.", maximum_bytes=cap_bytes)


async def _chunks(receive: Receive, cap_bytes: int, timeout_s: float) -> AsyncGenerator[bytes]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    size = 0
    more = True
    while more:
        message = await _receive(receive, deadline)
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size > cap_bytes:
            raise too_large(cap_bytes)
        if chunk:
            deadline = max(deadline, loop.time() + timeout_s * min(1.0, len(chunk) / WHOLE_BYTES))
            yield chunk


async def _receive(receive: Receive, deadline: float) -> Message:
    try:
        async with asyncio.timeout_at(deadline):
            return await receive()
    except TimeoutError as error:
        raise RequestTimeout("The body came too slowly.") from error
