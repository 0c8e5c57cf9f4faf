"""One request's way to a service and back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from multidict import CIMultiDict
from starlette.types import Message, Scope

from common.auth import HEADER, Principal, mint
from common.clock import now
from common.errors import TooManyRequests
from gateway.front.answers import API_POLICY, RawHeaders
from gateway.front.body import WHOLE_BYTES, ClientGone, read_body
from gateway.front.breaker import Breaker
from gateway.front.exchange import Exchange
from gateway.front.guard import Head
from gateway.front.metrics import shed, upstream_seconds
from gateway.front.problems import UpstreamTimeout, UpstreamUnreachable
from gateway.front.table import Route
from gateway.front.upstream import Reply, Unreachable, Upstream

_BODY_FACTOR = 4
"""A whole answer may take this many times the route's time-out; a trickle ends there."""
_PASSED_ON = (
    (b"accept", "Accept"),
    (b"accept-language", "Accept-Language"),
    (b"accept-encoding", "Accept-Encoding"),
    (b"content-type", "Content-Type"),
    (b"if-match", "If-Match"),
    (b"if-none-match", "If-None-Match"),
    (b"idempotency-key", "Idempotency-Key"),
    (b"last-event-id", "Last-Event-ID"),
    (b"prefer", "Prefer"),
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
        self._common = common
        self._targets = targets
        self._body_timeout_s = body_timeout_s
        self._streams_per_user = streams_per_user
        self._streams: dict[Any, int] = {}
        self._seconds = {name: upstream_seconds.labels(name) for name in targets}

    async def pass_on(self, exchange: Exchange, principal: Principal) -> None:
        """Send the request to its service and the answer to the client.

        Raises:
            Problem: the answer has not begun, or has to be broken off.
            ClientLeft: the client did not wait.
        """
        route = exchange.route
        target = self._targets[route.service]
        body = await self._body(exchange)
        named = replace(principal, request_id=exchange.request_id)
        token = mint(named, audience=target.name, key=target.key, ttl_s=route.timeout_s + 5)
        headers = _outgoing(exchange.head, token, body)
        target.breaker.enter()
        watch = _cancel_when_gone(exchange.scope)
        try:
            async with asyncio.timeout(route.timeout_s) as deadline:
                reply = await self._ask(target, exchange, headers, body)
                deadline.reschedule(_body_deadline(route, reply))
                await self._answer(reply, exchange, principal)
        except TimeoutError as error:
            target.breaker.failed()
            raise UpstreamTimeout(f"The {target.name} service took too long.") from error
        except asyncio.CancelledError:
            if watch is not None and watch.gone():
                raise ClientLeft from None
            raise
        finally:
            target.breaker.leave()
            if watch is not None:
                watch.disarm()

    async def _body(self, exchange: Exchange) -> bytes | AsyncIterator[bytes] | None:
        if not exchange.head.has_body:
            return None
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
        headers: "CIMultiDict[str]",
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
        self._seconds[target.name].observe(time.perf_counter() - began)
        return reply

    async def _answer(self, reply: Reply, exchange: Exchange, principal: Principal) -> None:
        headers = _incoming(reply, self._common, exchange.request_id)
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        try:
            if reply.length is not None and reply.length <= WHOLE_BYTES:
                body = await reply.read()
                await exchange.send(start)
                await exchange.send({"type": "http.response.body", "body": body})
            elif _is_stream(reply):
                await self._stream(reply, start, exchange, principal)
            else:
                await _relay(reply, start, exchange)
        except Unreachable as error:
            raise UpstreamUnreachable(
                f"The {exchange.route.service} service broke off its answer.", retry_after_s=2
            ) from error
        finally:
            reply.close()

    async def _stream(
        self, reply: Reply, start: Message, exchange: Exchange, principal: Principal
    ) -> None:
        if not exchange.route.stream:
            raise UpstreamUnreachable("The answer is a stream, which this route does not allow.")
        subject = principal.subject
        held = self._streams.get(subject, 0)
        if held >= self._streams_per_user:
            shed.labels("streams").inc()
            raise TooManyRequests(f"At most {self._streams_per_user} streams.", retry_after_s=10)
        self._streams[subject] = held + 1
        left_s = max(1.0, (principal.expires_at - now()).total_seconds())
        try:
            async with asyncio.timeout(left_s):
                await _relay(reply, start, exchange)
        except TimeoutError:  # the credentials have ended; the client comes again with new ones
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


def _outgoing(
    head: Head, token: str, body: bytes | AsyncIterator[bytes] | None
) -> "CIMultiDict[str]":
    fields = head.fields
    headers: CIMultiDict[str] = CIMultiDict()
    for name, shown in _PASSED_ON:
        value = fields.get(name)
        if value is not None:
            headers[shown] = value.decode("latin-1")
    headers[HEADER] = token
    if body is not None and not isinstance(body, bytes) and not head.chunked:
        headers["Content-Length"] = str(head.content_length)
    return headers


def _incoming(reply: Reply, common: RawHeaders, request_id: str) -> RawHeaders:
    """Return the answer's headers: the service's own, less what is not its to say."""
    headers: RawHeaders = list(common)
    cached = False
    for name, value in reply.headers:
        lowered = name.lower()
        if lowered in _KEPT_BACK:
            continue
        cached = cached or lowered in (b"cache-control", b"etag")
        headers.append((lowered, value))
    if not cached:
        headers.append((b"cache-control", b"no-store"))
    headers.append((b"content-security-policy", API_POLICY))
    headers.append((b"x-request-id", request_id.encode()))
    return headers


def _is_stream(reply: Reply) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in reply.headers
    )


def _body_deadline(route: Route, reply: Reply) -> float | None:
    """Return until when the body may last; a stream lasts as long as its caller's credentials."""
    if reply.length is None and _is_stream(reply):
        return None
    return asyncio.get_running_loop().time() + route.timeout_s * _BODY_FACTOR


class _Watch:
    """Cancels the request's task when the server says that the client's connection is lost."""

    def __init__(self, arm: Callable[[Callable[[], None] | None], None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._arm = arm
        self._lost = False
        arm(self._cancel)

    def _cancel(self) -> None:
        self._lost = True
        self._task.cancel()

    def gone(self) -> bool:
        """Return whether the cancellation came from here, and take it back."""
        if self._lost:
            self._task.uncancel()
        return self._lost

    def disarm(self) -> None:
        """Stop watching."""
        self._arm(None)


def _cancel_when_gone(scope: Scope) -> _Watch | None:
    arm = scope.get("extensions", {}).get("hashyard.disconnect")
    return None if arm is None else _Watch(arm)
