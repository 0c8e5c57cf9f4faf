"""uvicorn's HTTP protocol with what it leaves out: a deadline and limits for request heads.

uvicorn's only timer is for idle connections and is reset by every byte, so a head that drips in
would stay open for ever. What its parser refuses is answered as a problem document here.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from common.errors import CONTENT_TYPE, BadRequest, Problem
from common.ids import new_id
from gateway.front.guard import MAX_HEADER_BYTES, MAX_URL_BYTES, UNDERSTOOD
from gateway.problems import HeadersTooLarge, RequestTimeout, UriTooLong, WrongMethod

_MAX_HEAD_BYTES = MAX_URL_BYTES + 2 * MAX_HEADER_BYTES


class FrontProtocol(HttpToolsProtocol):
    """One connection from a client."""

    header_timeout_s: ClassVar[float] = 5.0
    hosts: ClassVar[frozenset[bytes]] = frozenset()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._refusal: Problem | None = None
        self._on_lost: Callable[[], None] | None = None
        self._on_drain: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the clock: who connects must send a whole head soon."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request in progress that nobody waits for it."""
        self._disarm()
        super().connection_lost(exc)
        if self._on_lost is not None:
            self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and keep an eye on how much head there is and how long it takes."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._answer(HeadersTooLarge("The request's head is too large."))
        elif self._head_bytes and self._head_timer is None:
            self._arm()

    def shutdown(self) -> None:
        """End a stream too when the server stops: it would go on for as long as it may."""
        super().shutdown()
        if self._on_drain is not None:
            self._on_drain()

    def on_message_begin(self) -> None:
        """Start a request: its scope knows how to hear of, and to make, a broken connection."""
        super().on_message_begin()
        self._in_head = True
        scope: dict[str, Any] = self.scope  # pyright: ignore[reportAssignmentType]  (a TypedDict)
        scope["extensions"] = {
            "hashyard.disconnect": self._watch,
            "hashyard.drain": self._watch_drain,
            "hashyard.abort": self._abort,
        }

    def on_url(self, url: bytes) -> None:
        """Collect the address, up to its limit."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(UriTooLong(f"An address has at most {MAX_URL_BYTES} bytes."))

    def on_headers_complete(self) -> None:
        """Check what the scope will not show any more: the target's form."""
        self._in_head = False
        self._head_bytes = 0
        self._disarm()
        assert self.parser is not None  # it is calling
        method = self.parser.get_method().decode("ascii", "replace")
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse(BadRequest("Only HTTP/1.1 is spoken here."))
        if method not in UNDERSTOOD:
            self._refuse(WrongMethod(f"{method} is not served here.", allowed=sorted(UNDERSTOOD)))
        if not self.url.startswith(b"/") and not self._is_ours(self.url):
            self._refuse(BadRequest("The request's target must be a path."))
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (uvicorn's text, in no format)
        """Answer what the parser, or a callback above, has refused."""
        error = sys.exc_info()[1]
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            problem: Problem = WrongMethod("There is no such method.", allowed=sorted(UNDERSTOOD))
        elif isinstance(error, httptools.HttpParserInvalidURLError):
            problem = BadRequest("The request's target is not valid.")
        else:
            problem = self._refusal or BadRequest("These bytes are not a valid HTTP/1.1 request.")
        self._answer(problem)

    def _answer(self, problem: Problem) -> None:
        """Answer and close. An answer still on its way to the client must not be mixed up."""
        self._disarm()
        cycle = cast("RequestResponseCycle | None", self.cycle)  # uvicorn omits the None
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body or self.pipeline:
                cycle.keep_alive = False
                self.flow.pause_reading()
                return
            cycle.disconnected = True  # its body cannot be read: this is its answer
            cycle.message_event.set()
        body = orjson.dumps(problem.body(str(new_id())))
        lines = [
            STATUS_LINE[problem.status],
            f"content-type: {CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\n".encode(),
            b"x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n",
            *(f"{name.lower()}: {value}\r\n".encode() for name, value in problem.headers().items()),
            b"\r\n",
            b"" if self._only_head() else body,
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()

    def _only_head(self) -> bool:
        return self.parser is not None and self.parser.get_method() == b"HEAD"

    def _refuse(self, problem: Problem) -> None:
        self._refusal = problem
        raise problem  # httptools turns it into an HttpParserCallbackError

    def _is_ours(self, target: bytes) -> bool:
        try:
            parts = urlsplit(target)
        except ValueError:
            return False
        return parts.scheme == b"http" and parts.netloc.lower() in self.hosts

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._too_late)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._head_bytes:
            self._answer(RequestTimeout("The request's head came too slowly."))
        else:
            self.transport.close()

    def _watch(self, on_lost: Callable[[], None] | None) -> None:
        self._on_lost = on_lost

    def _watch_drain(self, on_drain: Callable[[], None] | None) -> None:
        self._on_drain = on_drain

    def _abort(self) -> None:
        self.transport.abort()


def protocol_for(header_timeout_s: float, hosts: frozenset[bytes]) -> type[FrontProtocol]:
    """Return the protocol class with its limits (uvicorn takes a class, not an instance)."""
    return type(
        "ConfiguredFrontProtocol",
        (FrontProtocol,),
        {"header_timeout_s": header_timeout_s, "hosts": hosts},
    )
