"""The front: a plain ASGI application. FastAPI is met only behind it, for identity."""

import asyncio
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send
from structlog import get_logger

from common.errors import Forbidden, Problem, ServerFault, TooManyRequests
from common.runtime import Runtime
from gateway.front.answers import API_POLICY, RawHeaders, security_headers, send_problem
from gateway.front.body import ClientGone, read_body
from gateway.front.breaker import Breaker
from gateway.front.credentials import Caller, Verifier
from gateway.front.exchange import Exchange
from gateway.front.guard import Head, read_head
from gateway.front.limits import Limits, Quota
from gateway.front.metrics import observe
from gateway.front.options import Options
from gateway.front.pages import Pages
from gateway.front.proxy import ClientLeft, Proxy, Target
from gateway.front.table import ROUTES, Route, Table, check_media
from gateway.front.upstream import HttpUpstream
from gateway.gcra import Policy
from gateway.openapi import merge, read_contracts
from gateway.problems import SecondFactorRequired
from gateway.security import Security
from gateway.settings import Settings

log = get_logger()
_CLIENT_CLOSED = 499
_WRITES = frozenset({"POST", "PUT", "PATCH"})


class Front:
    """Guard, route table, credentials, limit, proxy; in this order, for every request."""

    def __init__(
        self,
        settings: Settings,
        identity: FastAPI,
        security: Security,
        routes: tuple[Route, ...] = ROUTES,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._security = security
        known = {"gateway": "", **settings.upstreams}
        self._table = Table([route for route in routes if route.service in known], known)
        self._hosts = settings.hosts()
        self._common = security_headers(secure=settings.secure)
        self._user = Quota("user", Policy(settings.user_rate_per_s, settings.user_burst))
        self._anonymous = Quota(
            "address", Policy(settings.anonymous_rate_per_s, settings.anonymous_burst)
        )
        document = merge(read_contracts(settings.contracts))
        self._pages = Pages(settings.public_url, document)
        self._options = Options(self._table, document, settings.cors_origins)
        self._tasks: list[asyncio.Task[None]] = []
        self._verifier: Verifier
        self._limits: Limits
        self._proxy: Proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (or take part in starting and stopping)."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        exchange = Exchange(scope, receive, send)
        route_name = "unmatched"
        try:
            exchange.head = read_head(scope, self._hosts)
            if self._options.origins:
                self._options.let_in(exchange)
            if exchange.head.method == "OPTIONS":
                await self._options.answer(exchange, self._common)
                return
            exchange.route = self._table.match(exchange.head)
            route_name = exchange.route.path
            await self._serve(exchange)
        except Problem as problem:
            await self._refuse(problem, exchange)
        except ClientLeft:
            exchange.status = _CLIENT_CLOSED
        except Exception:
            log.exception("request.failed", request_id=exchange.request_id, route=route_name)
            fault = ServerFault("An error was logged under this request's id.")
            await self._refuse(fault, exchange)
        finally:
            if not exchange.counted:
                seconds = time.perf_counter() - began
                observe(scope["method"], route_name, exchange.status, seconds)

    async def _serve(self, exchange: Exchange) -> None:
        head, route = exchange.head, exchange.route
        if head.has_body and head.method in _WRITES:
            check_media(route, head)
        address = self._address(exchange.scope, head)
        caller = self._verifier.at_hand(head) if route.access == "required" else None
        if caller is None:
            caller = await self._verifier.caller(head, route.access, address)
            if caller.owes_second_factor and route.access == "required" and not route.enrolment:
                raise SecondFactorRequired(
                    "Set one up at /api/me/second-factor, then refresh the session."
                )
        quota = self._anonymous if caller.principal.kind == "anonymous" else self._user
        left = self._limits.spend(caller.limit_name, quota.policy)
        if left is None:
            left = await self._admit(exchange, caller, quota)
        exchange.extra += quota.fields(left)
        if route.scope is not None or route.only_api_keys:
            _check_route(route, caller)
        if route.service != "gateway":
            await self._proxy.pass_on(exchange, caller)
        elif route.page:
            await self._pages.serve(exchange, self._common)
        else:
            await self._locally(exchange, caller, address)

    async def _admit(self, exchange: Exchange, caller: Caller, quota: Quota) -> int:
        try:
            return await self._limits.admit(caller.limit_name, quota.policy)
        except TooManyRequests:
            exchange.extra += quota.fields(0)
            raise

    async def _locally(self, exchange: Exchange, caller: Caller, address: str) -> None:
        """Hand the request to the identity application, with the caller we verified."""
        body = await self._whole_body(exchange)
        principal = replace(caller.principal, request_id=exchange.request_id)
        scope = dict(exchange.scope)
        scope["method"] = exchange.head.method
        scope["client"] = (address, 0)
        scope["state"] = scope["state"] | {"principal": principal, "login": caller.login}

        async def once() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = _api(message["headers"], exchange.request_id)
                headers = [*self._common, *exchange.extra, *own]
                message = {**message, "headers": headers}
            await exchange.send(message)

        exchange.counted = True
        await self._identity(scope, once, dressed)

    async def _whole_body(self, exchange: Exchange) -> bytes:
        try:
            body = await read_body(
                exchange.head,
                exchange.receive,
                exchange.route.body_cap_bytes,
                self._settings.body_timeout_s,
            )
            if body is None or isinstance(body, bytes):
                return body or b""
            return b"".join([chunk async for chunk in body])
        except ClientGone as error:
            raise ClientLeft from error

    async def _refuse(self, problem: Problem, exchange: Exchange) -> None:
        if problem.status >= 500:  # noqa: PLR2004  (server errors)
            log.warning(
                "request.refused",
                request_id=exchange.request_id,
                code=problem.code(),
                detail=problem.detail,
                cause=repr(problem.__cause__)[:300],
            )
        if exchange.started:
            exchange.abort()
            return
        has_body = any(
            name in (b"content-length", b"transfer-encoding") and value != b"0"
            for name, value in exchange.scope["headers"]
        )
        headers = [*self._common, *exchange.extra]
        await send_problem(exchange.send, problem, exchange.request_id, headers, close=has_body)

    def _address(self, scope: Scope, head: Head) -> str:
        """Return the client's address: the peer, unless the peer is a proxy of ours."""
        peer: str = scope["client"][0] if scope["client"] else "0.0.0.0"  # noqa: S104  (nobody)
        proxies = self._settings.trusted_proxies
        if not proxies:
            return peer
        hops = [
            peer,
            *reversed(head.fields.get(b"x-forwarded-for", b"").decode("latin-1").split(",")),
        ]
        for hop in hops:
            address = _parsed(hop)
            if address is None:
                return peer
            if not any(address in network for network in proxies):
                return str(address)
        return peer

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def between(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._start(cast("Runtime", self._identity.state.runtime))
            elif message["type"].startswith("lifespan.shutdown"):
                await self._stop()
            await send(message)

        async def before() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._stop()
            return message

        await self._identity(scope, before, between)

    async def _start(self, runtime: Runtime) -> None:
        settings = self._settings
        self._verifier = Verifier(self._security, runtime)
        self._limits = Limits(runtime.redis, settings.replicas, prefix=settings.kafka_topic_prefix)
        self._upstreams = [
            Target(
                name,
                HttpUpstream(url),
                settings.upstream_keys[name].get_secret_value(),
                Breaker(name, settings.upstream_in_flight),
            )
            for name, url in settings.upstreams.items()
        ]
        self._proxy = Proxy(
            {target.name: target for target in self._upstreams},
            self._common,
            body_timeout_s=settings.body_timeout_s,
            streams_per_user=settings.streams_per_user,
        )
        self._tasks = [asyncio.create_task(self._verifier.keep_listening(), name="revocations")]

    async def _stop(self) -> None:
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._limits.close()
        for target in self._upstreams:
            target.upstream.close()


def _check_route(route: Route, caller: Caller) -> None:
    principal = caller.principal
    if route.only_api_keys and principal.kind != "api_key":
        raise Forbidden("This path is for API keys.")
    if route.scope is not None and route.scope not in principal.scopes:
        raise Forbidden(f"This needs the permission {route.scope}.", required_scopes=[route.scope])


def _api(headers: RawHeaders, request_id: str) -> RawHeaders:
    kept = [(name, value) for name, value in headers if name != b"cache-control"]
    return [
        *kept,
        (b"cache-control", b"no-store"),
        (b"content-security-policy", API_POLICY),
        (b"x-request-id", request_id.encode()),
    ]


def _parsed(hop: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(hop.strip())
    except ValueError:
        return None
