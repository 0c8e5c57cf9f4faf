"""One HTTP/1.1 connection to a service.

Own code, because the client library is what a proxied request costs most: a kept connection and
httptools do the same in a quarter of the time. It speaks only what our services speak: no TLS, no
redirects, no upgrades, bodies with a length or in chunks. Whatever else comes is refused, and a
connection on which anything went wrong is never used again.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import httptools

Headers = list[tuple[bytes, bytes]]
WHOLE_BYTES = 65_536
_MAX_HEAD_BYTES = 65_536
_PAUSE_BYTES = 262_144
_INTERIM = 200
_SWITCHING = 101


class Unreachable(Exception):
    """The service could not be reached, or answered something that is not the HTTP we speak."""


class Stale(Unreachable):
    """A kept connection was closed by the service before it saw our request."""


class Connection(asyncio.Protocol):
    """Sends one request at a time and reads its answer."""

    def __init__(self) -> None:
        self.made_at = time.monotonic()
        self.idle_since = 0.0
        self.closed = False
        self.used = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._writable: asyncio.Future[None] | None = None
        self._head: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.complete = False
        self.reusable = True
        self._length: int | None = None
        self._chunked = False
        self._head_bytes = 0
        self._in_head = True
        self._interim = False
        self._streaming = False
        self._received = False
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._more: asyncio.Future[None] | None = None
        self._error: Unreachable | None = None

    async def ask(self, head: bytes, body: bytes | AsyncIterator[bytes] | None) -> None:
        """Send a request and wait for its answer: the whole of a small one, else the head.

        Raises:
            Unreachable: there is no (sensible) answer.
        """
        self._reset()
        if self.closed:
            raise Stale("closed while idle")
        self._head = self._loop.create_future()
        if body is None:
            self._transport.write(head)
        elif isinstance(body, bytes):
            self._transport.write(head + body)
        else:
            await self._send_stream(head, body)
        await self._head

    async def _send_stream(self, head: bytes, body: AsyncIterator[bytes]) -> None:
        """Send a body as it comes; `head` has said whether by length or in chunks."""
        chunked = b"\r\ntransfer-encoding: chunked\r\n" in head
        self._transport.write(head)
        async for chunk in body:
            if self._head is None or self._head.done():  # answered before the end: it had enough
                self.reusable = False
                return
            if self._writable is not None:
                await self._writable
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    def whole(self) -> bytes | None:
        """Return the body if all of it is here."""
        return b"".join(self._chunks) if self.complete else None

    async def next_chunk(self) -> bytes:
        """Return more of the body, or nothing at its end.

        Raises:
            Unreachable: the service broke off.
        """
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            self._more = self._loop.create_future()
            await self._more
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        self._read_on()
        return chunk

    def _read_on(self) -> None:
        if self._paused and not self.closed:
            self._transport.resume_reading()
        self._paused = False

    def abort(self) -> None:
        """Break the connection."""
        self.closed = True
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._head is None or self.complete:
            self._fail("bytes that nobody asked for")
            return
        self._received = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"no sensible HTTP: {error!r}")
            return
        if self._in_head:  # still: a chunk that ends the head may go on with a large body
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._fail("too many header bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.closed = True
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if not self.complete:
            kind = Stale if self.used and not self._received else Unreachable
            self._give_up(kind(f"the connection was lost: {exc or 'closed by the service'}"))

    def pause_writing(self) -> None:
        """The service reads more slowly than the client writes."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Refuse an answer to a question that was not asked."""
        if self.complete:
            msg = "more than one answer"
            raise ValueError(msg)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; two readings of where the body ends are refused."""
        name = name.lower()
        if name == b"content-length":
            if self._length is not None or not value.isdigit():
                msg = "two lengths"
                raise ValueError(msg)
            self._length = int(value)
        elif name == b"transfer-encoding":
            if self._chunked or value.lower() != b"chunked":
                msg = "an unknown transfer coding"
                raise ValueError(msg)
            self._chunked = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Judge the head; give it to whoever waits, unless the small body is as good as here."""
        self.status = self._parser.get_status_code()
        self._interim = self.status < _INTERIM
        if self._interim:
            return
        self._in_head = False
        bodiless = self.status in (204, 304)
        if self._length is not None and self._chunked:
            msg = "a length and chunks"
            raise ValueError(msg)
        if self._length is None and not self._chunked and not bodiless:
            msg = "a body without an end"
            raise ValueError(msg)
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self._streaming = self._chunked or (self._length or 0) > WHOLE_BYTES
        if self._streaming:
            self._wake_head()

    def on_body(self, body: bytes) -> None:
        """Keep some of the body until somebody takes it; not too much."""
        self._chunks.append(body)
        if not self._streaming:
            return
        self._held += len(body)
        if self._held > _PAUSE_BYTES and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._wake_more()

    def on_message_complete(self) -> None:
        """The answer is whole; an interim one is followed by the real one."""
        if self._interim:
            if self.status == _SWITCHING:
                msg = "an upgrade that nobody asked for"
                raise ValueError(msg)
            self.headers = []
            return
        self.complete = True
        self._read_on()  # the next answer comes on this connection, whoever takes this one's body
        self._wake_head()
        self._wake_more()

    def _fail(self, reason: str) -> None:
        self.abort()
        self._give_up(Unreachable(reason))

    def _give_up(self, error: Unreachable) -> None:
        self.reusable = False
        self._error = error
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
            self._head.exception()  # seen, should the one who waited have been cancelled
        self._wake_more()

    def _wake_head(self) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def _wake_more(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
