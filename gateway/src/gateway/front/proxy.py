"""One request's way to a service and back."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Scope

from common.auth import HEADER, Principal
from common.clock import now
from common.errors import TooManyRequests
from gateway.front.answers import API_POLICY, RawHeaders
from gateway.front.body import ClientGone, read_body
from gateway.front.breaker import Breaker
from gateway.front.credentials import Caller
from gateway.front.exchange import Exchange
from gateway.front.guard import Head
from gateway.front.metrics import shed, upstream_seconds
from gateway.front.passes import Pass
from gateway.front.upstream import Reply, Upstream
from gateway.front.wire import Headers, Unreachable
from gateway.problems import UpstreamTimeout, UpstreamUnreachable

_BODY_FACTOR = 4
"""A whole answer may take this many times the route's time-out; a trickle ends there."""
_HEADER = HEADER.lower().encode()
_PASSED_ON = frozenset(
    {
        b"accept",
        b"accept-language",
        b"accept-encoding",
        b"content-type",
        b"if-match",
        b"if-none-match",
        b"idempotency-key",
        b"last-event-id",
        b"prefer",
    }
)
"""What a service gets to see of the client's headers. All else stays outside, above all what
could claim an identity."""
_KEPT_BACK = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"server", b"date", b"set-cookie",
        b"x-request-id", b"content-security-policy", b"strict-transport-security",
        b"x-content-type-options", b"referrer-policy", b"cross-origin-resource-policy",
    }
)  # fmt: skip


@dataclass(slots=True)
class Target:
    """A service as the proxy sees it."""

    name: str
    upstream: Upstream
    key: str
    breaker: Breaker
    seconds: Any = field(init=False)

    def __post_init__(self) -> None:
        self.seconds = upstream_seconds.labels(self.name)


class ClientLeft(Exception):
    """The client has closed its connection; nobody waits for the answer."""


class Proxy:
    """Passes requests to services, with the caller in a token that lives for seconds."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        common: RawHeaders,
        *,
        body_timeout_s: float,
        streams_per_user: int,
    ) -> None:
        self._targets = targets
        self._common = [
            *common,
            (b"content-security-policy", API_POLICY),
        ]
        self._body_timeout_s = body_timeout_s
        self._streams_per_user = streams_per_user
        self._streams: dict[Any, int] = {}

    async def pass_on(self, exchange: Exchange, caller: Caller) -> None:
        """Send the request to its service and the answer to the client.

        Raises:
            Problem: the answer has not begun, or has to be broken off.
            ClientLeft: the client did not wait.
        """
        route = exchange.route
        target = self._targets[route.service]
        body = await self._body(exchange) if exchange.head.has_body else None
        granted = caller.passes.get(target.name)
        if granted is None:
            granted = Pass(caller.principal, audience=target.name, key=target.key)
            caller.passes[target.name] = granted
        token = granted.token(exchange.request_id, route.timeout_s + 5)
        headers = _outgoing(exchange.head, token, body)
        target.breaker.enter()
        watch = _Watch(exchange.scope, route.timeout_s)
        try:
            reply = await self._ask(target, exchange, headers, body)
            try:
                await self._answer(reply, exchange, caller.principal, watch)
            finally:
                reply.close()
        except asyncio.CancelledError:
            if not watch.is_mine():
                raise
            if watch.expired:
                target.breaker.failed()
                raise UpstreamTimeout(f"The {target.name} service took too long.") from None
            raise ClientLeft from None
        finally:
            watch.end()
            target.breaker.leave()

    async def _body(self, exchange: Exchange) -> bytes | AsyncIterator[bytes] | None:
        try:
            return await read_body(
                exchange.head,
                exchange.receive,
                exchange.route.body_cap_bytes,
                self._body_timeout_s,
            )
        except ClientGone as error:
            raise ClientLeft from error

    async def _ask(
        self,
        target: Target,
        exchange: Exchange,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Reply:
        head = exchange.head
        began = time.perf_counter()
        try:
            reply = await target.upstream.send(
                head.method, exchange.route.target(head), headers, body
            )
        except ClientGone as error:
            raise ClientLeft from error
        except Unreachable as error:
            target.breaker.failed()
            raise UpstreamUnreachable(
                f"The {target.name} service does not answer; try again.", retry_after_s=2
            ) from error
        target.breaker.succeeded()
        target.seconds.observe(time.perf_counter() - began)
        return reply

    async def _answer(
        self, reply: Reply, exchange: Exchange, principal: Principal, watch: "_Watch"
    ) -> None:
        common = [*self._common, *exchange.extra]
        headers = _incoming(reply, common, exchange.request_id)
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        if reply.body is not None:
            await exchange.send_whole(start, reply.body)
            return
        try:
            if exchange.head.only_head:
                await exchange.send_whole(start, b"")
            elif _is_stream(reply):
                watch.extend(max(1.0, (principal.expires_at - now()).total_seconds()))
                await self._stream(reply, start, exchange, principal, watch)
            else:
                watch.extend(exchange.route.timeout_s * _BODY_FACTOR)
                await _relay(reply, start, exchange)
        except Unreachable as error:
            raise UpstreamUnreachable(
                f"The {exchange.route.service} service broke off its answer.", retry_after_s=2
            ) from error

    async def _stream(
        self,
        reply: Reply,
        start: Message,
        exchange: Exchange,
        principal: Principal,
        watch: "_Watch",
    ) -> None:
        if not exchange.route.stream:
            raise UpstreamUnreachable("The answer is a stream, which this route does not allow.")
        subject = principal.subject
        held = self._streams.get(subject, 0)
        if held >= self._streams_per_user:
            shed.labels("streams").inc()
            raise TooManyRequests(f"At most {self._streams_per_user} streams.", retry_after_s=10)
        self._streams[subject] = held + 1
        watch.end_when_draining(exchange.scope)
        try:
            await _relay(reply, start, exchange)
        except asyncio.CancelledError:
            if not watch.expired or not watch.is_mine():
                raise
            # The credentials or this server have ended; the client comes again.
            await exchange.send({"type": "http.response.body", "body": b""})
        finally:
            self._streams[subject] -= 1
            if not self._streams[subject]:
                del self._streams[subject]


async def _relay(reply: Reply, start: Message, exchange: Exchange) -> None:
    await exchange.send(start)
    async for chunk in reply.chunks():
        await exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b""})


def _outgoing(head: Head, token: bytes, body: bytes | AsyncIterator[bytes] | None) -> Headers:
    headers = [(name, value) for name, value in head.fields.items() if name in _PASSED_ON]
    headers.append((_HEADER, token))
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
    elif body is not None and head.chunked:
        headers.append((b"transfer-encoding", b"chunked"))
    elif body is not None:
        headers.append((b"content-length", str(head.content_length).encode()))
    elif head.method != "GET":
        headers.append((b"content-length", b"0"))
    return headers


def _incoming(reply: Reply, common: RawHeaders, request_id: str) -> RawHeaders:
    """Return the answer's headers: the service's own, less what is not its to say."""
    headers = common
    cached = False
    for pair in reply.headers:
        name = pair[0]
        if name in _KEPT_BACK:
            continue
        cached = cached or name in (b"cache-control", b"etag")
        headers.append(pair)
    if not cached:
        headers.append((b"cache-control", b"no-store"))
    headers.append((b"x-request-id", request_id.encode()))
    return headers


def _is_stream(reply: Reply) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in reply.headers
    )


class _Watch:
    """Cancels the request when its time is over, or when the server says that the client left.

    `asyncio.timeout` would do the first for six times the price, on every request.
    """

    __slots__ = ("_arm", "_drain", "_loop", "_lost", "_task", "_timer", "expired")

    def __init__(self, scope: Scope, timeout_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._lost = self.expired = False
        self._timer = self._loop.call_later(timeout_s, self._expire)
        self._arm = scope.get("extensions", {}).get("hashyard.disconnect")
        if self._arm is not None:
            self._arm(self._lose)
        self._drain = None

    def extend(self, seconds: float) -> None:
        """Grant a new time from now."""
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._expire)

    def end_when_draining(self, scope: Scope) -> None:
        """Let the server's stopping be the end of the time, for what has no end of its own."""
        self._drain = scope.get("extensions", {}).get("hashyard.drain")
        if self._drain is not None:
            self._drain(self._expire)

    def is_mine(self) -> bool:
        """Return whether a cancellation came from here; then it is taken back."""
        if self._lost or self.expired:
            self._task.uncancel()
            return True
        return False

    def end(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._arm is not None:
            self._arm(None)
        if self._drain is not None:
            self._drain(None)

    def _expire(self) -> None:
        if not self._lost:
            self.expired = True
            self._task.cancel()

    def _lose(self) -> None:
        if not self.expired:
            self._lost = True
            self._task.cancel()
