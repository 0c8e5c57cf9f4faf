"""One question to one miner over TCP, and its answer as bytes.

The client writes the whole request at once (the reference server reads only once), drains
without parsing, and stops at the NUL that ends an answer, because some firmware then leaves the
socket open.
"""

import asyncio
import errno
import math
import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from telemetry.devices.device import DEADLINES, Deadlines
from telemetry.domain.reading import Outcome

MAX_ANSWER_BYTES = 1024 * 1024
NUL_GRACE_S = 0.5
TICK_S = 0.05
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_TEXT = re.compile(rb'"[^"]*"')
_OURS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES}
    | {errno.EPERM, errno.EINVAL, errno.EAFNOSUPPORT}
)


@dataclass(slots=True)
class Answer:
    """What came back: `body` only with the outcome ok, without its NUL, not yet parsed.

    `sent` tells whether the request left us; a command that was sent may have been obeyed.
    """

    outcome: Outcome
    body: bytes | None
    elapsed_s: float
    sent: bool


async def ask(address: str, port: int, request: bytes, deadlines: Deadlines = DEADLINES) -> Answer:
    """Send a request and wait for the answer; every failure is an outcome, nothing is raised.

    Cancelling the caller's task closes the connection and passes the cancellation on.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    if not _is_literal(address):
        return Answer(Outcome.INCONCLUSIVE, None, 0.0, sent=False)
    exchange = _Exchange(loop, request, deadlines, started)
    try:
        await loop.create_connection(exchange.itself, address, port)
        await exchange.done
    except asyncio.CancelledError:
        exchange.stop()
        if not exchange.gave_up_connecting or _also_cancelled_by_others():
            raise
    except (OSError, OverflowError, ValueError) as error:
        exchange.outcome = _outcome_of(error)
    exchange.stop()
    return Answer(exchange.outcome, exchange.body, loop.time() - started, exchange.sent)


class _Exchange(asyncio.Protocol):
    """One connection from the first SYN to the last byte."""

    __slots__ = (
        "_chunks",
        "_deadlines",
        "_grace_ends_at",
        "_loop",
        "_request",
        "_size",
        "_started",
        "_task",
        "_transport",
        "_watch",
        "body",
        "done",
        "gave_up_connecting",
        "outcome",
        "sent",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, request: bytes, deadlines: Deadlines, started: float
    ) -> None:
        self._loop = loop
        self._request = request
        self._deadlines = deadlines
        self._started = started
        self._task = asyncio.current_task()
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self.done: asyncio.Future[None] = loop.create_future()
        self.outcome = Outcome.INCONCLUSIVE
        self.body: bytes | None = None
        self.sent = False
        self.gave_up_connecting = False
        self._grace_ends_at = math.inf
        self._watch = _watch_of(loop)
        self._watch.add(self)

    def itself(self) -> "_Exchange":
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's, so there is nothing to check by class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)
        self.sent = True

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > MAX_ANSWER_BYTES:
            self._finish(Outcome.TOO_LARGE)
        elif b"\0" in data:
            self._on_nul()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done.done():
            return
        body = b"".join(self._chunks)
        if exc is not None and not _looks_complete(body):
            self._finish(Outcome.READ_TIMEOUT if _is_timeout(exc) else Outcome.RESET)
        elif body.strip(b"\0 \r\n\t"):
            self._finish(Outcome.OK, body)
        else:
            self._finish(Outcome.TRUNCATED)

    def stop(self) -> None:
        """Let go of the socket and the watch; safe to call more than once."""
        self._watch.exchanges.discard(self)
        if self._transport is not None:
            self._transport.abort()

    def _on_nul(self) -> None:
        """End at the first NUL that stands outside a text; one inside it is part of the answer.

        A NUL that seems to stand inside a text may also end an answer that was cut there, so the
        rest has to come soon.
        """
        body = b"".join(self._chunks)
        self._chunks = [body]
        first = body.index(b"\0")
        if body[first - 1 :] == b"}\0" or _is_outside_text(body, first):  # mostly the former
            self._finish(Outcome.OK, body[:first])
        else:
            self._grace_ends_at = self._loop.time() + NUL_GRACE_S

    def _finish(self, outcome: Outcome, body: bytes | None = None) -> None:
        if self.done.done():
            return
        self.outcome = outcome
        self.body = body
        self._chunks = []
        self.done.set_result(None)

    def check(self, now: float) -> None:
        """End what has gone past the deadline of its stage."""
        waited_s, limits = now - self._started, self._deadlines
        if self._transport is None:
            if waited_s >= limits.connect_s and not self.gave_up_connecting:
                self.outcome = self._blame(Outcome.CONNECT_TIMEOUT, waited_s - limits.connect_s)
                self.gave_up_connecting = True
                if self._task is not None:
                    self._task.cancel()
        elif waited_s >= limits.whole_s:
            self._finish(self._blame(Outcome.READ_TIMEOUT, waited_s - limits.whole_s))
        elif waited_s >= limits.first_byte_s and not self._size:
            self._finish(self._blame(Outcome.READ_TIMEOUT, waited_s - limits.first_byte_s))
        elif now >= self._grace_ends_at:
            self._finish(Outcome.OK, b"".join(self._chunks))

    def _blame(self, outcome: Outcome, late_s: float) -> Outcome:
        return Outcome.INCONCLUSIVE if late_s > self._deadlines.own_lag_s else outcome


class _Watch:
    """Looks at all exchanges of a loop a few times a second; cheaper than a timer for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.exchanges: set[_Exchange] = set()
        self._is_awake = False

    def add(self, exchange: _Exchange) -> None:
        self.exchanges.add(exchange)
        if not self._is_awake:
            self._is_awake = True
            self.loop.call_later(TICK_S, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        for exchange in self.exchanges:
            exchange.check(now)
        self._is_awake = bool(self.exchanges)
        if self._is_awake:
            self.loop.call_later(TICK_S, self._look)


_watches: list[_Watch] = []
"""The watch of the loop that asked last. Another loop's goes on until its exchanges are done."""


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    if not _watches or _watches[0].loop is not loop:
        _watches[:] = [_Watch(loop)]
    return _watches[0]


def _also_cancelled_by_others() -> bool:
    """Take our own cancellation back, and tell whether somebody else's remains."""
    task = asyncio.current_task()
    return task is not None and task.uncancel() > 0


@lru_cache(maxsize=65_536)
def _is_literal(address: str) -> bool:
    for kind in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(kind, address)
        except (OSError, ValueError):
            continue
        return True
    return False


def _outcome_of(error: Exception) -> Outcome:
    """Name a failure to connect; unreachable networks are silence, our own limits say nothing."""
    if isinstance(error, ConnectionRefusedError):
        return Outcome.REFUSED
    if isinstance(error, ConnectionError):
        return Outcome.RESET
    if not isinstance(error, OSError) or error.errno in _OURS:
        return Outcome.INCONCLUSIVE
    return Outcome.CONNECT_TIMEOUT


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError)


def _is_outside_text(body: bytes, end: int) -> bool:
    """Whether the position is outside every JSON string of the body."""
    if body.find(b"\\", 0, end) < 0:
        return body.count(b'"', 0, end) % 2 == 0
    return _ESCAPE.sub(b"", body[:end]).count(b'"') % 2 == 0


def _looks_complete(body: bytes) -> bool:
    """Whether the body ends where its outermost bracket closes."""
    bare = _TEXT.sub(b"", _ESCAPE.sub(b"", body.rstrip(b"\0 \r\n\t")))
    return (
        bare.endswith((b"}", b"]"))
        and b'"' not in bare
        and bare.count(b"{") == bare.count(b"}")
        and bare.count(b"[") == bare.count(b"]")
    )
