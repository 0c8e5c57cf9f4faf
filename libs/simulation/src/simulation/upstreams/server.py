"""All providers behind one HTTP port, and the ways each can be told to fail."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from aiohttp import web

from simulation.upstreams import (
    ankr,
    binance,
    blockchain,
    bybit,
    coingecko,
    deribit,
    mempool,
    okx,
)
from simulation.upstreams.asking import Ask, Handler, Refusal, Stall, World, dump
from simulation.upstreams.chain import Chain
from simulation.upstreams.faults import Fault
from simulation.upstreams.prices import PricePath
from simulation.upstreams.spoiling import refuse_or_break, spoil

PROVIDERS: dict[str, tuple[Stall, Mapping[str, Handler]]] = {
    "coingecko": (coingecko.STALL, coingecko.ROUTES),
    "blockchain": (blockchain.STALL, blockchain.ROUTES),
    "mempool": (mempool.STALL, mempool.ROUTES),
    "ankr": (ankr.STALL, ankr.ROUTES),
    "binance": (binance.STALL, binance.ROUTES),
    "okx": (okx.STALL, okx.ROUTES),
    "deribit": (deribit.STALL, deribit.ROUTES),
    "bybit": (bybit.STALL, bybit.ROUTES),
}
Now = Callable[[], datetime]
SIMULATED = {"X-Simulated": "true"}


class Upstreams:
    """The served providers: where they are, how they fail, how often they were asked."""

    def __init__(self, world: World, now: Now, *, slow_s: float) -> None:
        self.world = world
        self.now = now
        self.slow_s = slow_s
        self.port = 0
        self.faults: dict[str, Fault] = {}
        self.asked: Counter[tuple[str, str]] = Counter()

    @property
    def calls(self) -> Counter[str]:
        """How often each provider was asked, whatever it answered."""
        counts = Counter[str]()
        for (provider, _), times in self.asked.items():
            counts[provider] += times
        return counts

    def calls_of(self, provider: str, path: str) -> int:
        """Return how often one path below a provider was asked."""
        return self.asked[provider, path]

    def url(self, provider: str) -> str:
        """Return the base address of a provider, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}/{_known(provider)}"

    def fault(self, provider: str, fault: Fault | None) -> None:
        """Let a provider fail from now on; with None it is well again."""
        self.faults.pop(_known(provider), None)
        if fault is not None:
            self.faults[provider] = fault

    def forget_calls(self) -> None:
        self.asked.clear()


UPSTREAMS = web.AppKey("upstreams", Upstreams)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def serve(
    *,
    seed: int = 7,
    now: Now = _wall_clock,
    host: str = "127.0.0.1",
    port: int = 0,
    slow_s: float = 30.0,
) -> AsyncGenerator[Upstreams]:
    """Serve every provider while the block runs; port 0 takes any free one.

    `slow_s` is how long the fault slow lets a caller wait.
    """
    world = World(seed=abs(seed), prices=PricePath(abs(seed)), chain=Chain(abs(seed)))
    upstreams = Upstreams(world, now, slow_s=slow_s)
    runner = web.AppRunner(_app(upstreams), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        upstreams.port = runner.addresses[0][1]
        yield upstreams
    finally:
        await runner.cleanup()


def _app(upstreams: Upstreams) -> web.Application:
    app = web.Application(middlewares=[_misbehave])
    app[UPSTREAMS] = upstreams
    app.on_response_prepare.append(_mark_simulated)
    for provider, (stall, routes) in PROVIDERS.items():
        for route, handler in routes.items():
            method, _, path = route.partition(" ")
            app.router.add_route(method, f"/{provider}{path}", _answering(provider, stall, handler))
    app.router.add_get("/control/status", show_status)
    app.router.add_post("/control/fault", set_fault)
    app.router.add_post("/control/reset", reset)
    return app


async def show_status(request: web.Request) -> web.Response:
    """Answer each provider's address, fault and number of calls."""
    upstreams = request.app[UPSTREAMS]
    providers = {
        provider: {
            "url": upstreams.url(provider),
            "fault": upstreams.faults.get(provider),
            "calls": upstreams.calls[provider],
        }
        for provider in PROVIDERS
    }
    return _json({"now": upstreams.now().isoformat(), "providers": providers})


async def set_fault(request: web.Request) -> web.Response:
    """Let a provider fail, `{provider, fault}`; fault null makes it well again."""
    try:
        body = cast("dict[str, Any]", orjson.loads(await request.read()))
        wanted = body.get("fault")
        request.app[UPSTREAMS].fault(body["provider"], None if wanted is None else Fault(wanted))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        known = f"{', '.join(PROVIDERS)}; {', '.join(Fault)}"
        return _json({"error": f"{error}. Known are {known}."}, status=400)
    return await show_status(request)


async def reset(request: web.Request) -> web.Response:
    """Make every provider well again and begin counting calls anew."""
    upstreams = request.app[UPSTREAMS]
    upstreams.faults.clear()
    upstreams.forget_calls()
    return await show_status(request)


def _answering(provider: str, stall: Stall, handler: Handler) -> Callable[[web.Request], Any]:
    """Return a handler of the web framework around a provider's plain one."""

    async def answer(request: web.Request) -> web.Response:
        upstreams = request.app[UPSTREAMS]
        ask = Ask(
            world=upstreams.world,
            stall=stall,
            fault=upstreams.faults.get(provider),
            now_s=upstreams.now().timestamp(),
            query=request.query,
            path=request.match_info,
            body=await _body(request),
        )
        try:
            return _written(handler(ask))
        except Refusal as refusal:
            return _written(refusal.document, status=refusal.status)

    return answer


@web.middleware
async def _misbehave(request: web.Request, handler: Any) -> web.StreamResponse:
    """Count the call, and let the provider's fault have its way with it."""
    provider, _, path = request.path.removeprefix("/").partition("/")
    if provider not in PROVIDERS:
        return await handler(request)
    upstreams = request.app[UPSTREAMS]
    upstreams.asked[provider, f"/{path}"] += 1
    fault = upstreams.faults.get(provider)
    if fault is Fault.SLOW:
        await asyncio.sleep(upstreams.slow_s)
    instead = await refuse_or_break(request, provider, fault, SIMULATED)
    if instead is not None:
        return instead
    try:
        response = await handler(request)
    except web.HTTPException as refused:
        return _json({"error": refused.reason}, status=refused.status)
    return spoil(response, fault)


async def _mark_simulated(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers.update(SIMULATED)


async def _body(request: web.Request) -> object:
    if not request.can_read_body:
        return None
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        return None


def _written(document: object, *, status: int = 200) -> web.Response:
    if isinstance(document, str):
        return web.Response(text=document, content_type="text/plain", status=status)
    return web.Response(body=dump(document), content_type="application/json", status=status)


def _json(document: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json", status=status)


def _known(provider: str) -> str:
    if provider not in PROVIDERS:
        raise ValueError(f"No provider {provider!r}")
    return provider
