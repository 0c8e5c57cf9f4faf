"""Both providers behind one HTTP port. Every true answer carries `X-Simulated: true`."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from simulation.grid import carbon, currencies
from simulation.grid.faults import GridFault, cut, instead

PROVIDERS = ("carbon", "ecb")
SIMULATED = {"X-Simulated": "true"}


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Grid:
    """The served providers: where they are, how they fail, how often they were asked."""

    def __init__(self, *, seed: int, now: Callable[[], datetime], slow_s: float) -> None:
        self.seed, self.now, self.slow_s = seed, now, slow_s
        self.port = 0
        self.faults: dict[str, GridFault] = {}
        self.calls = Counter[str]()

    def url(self, provider: str) -> str:
        """Return the base address of a provider, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}/{_known(provider)}"

    def fault(self, provider: str, fault: GridFault | None) -> None:
        """Let a provider fail from now on; with None it is well again."""
        self.faults.pop(_known(provider), None)
        if fault is not None:
            self.faults[provider] = fault


GRID = web.AppKey("grid", Grid)


@asynccontextmanager
async def serve(
    *,
    seed: int = 7,
    now: Callable[[], datetime] = _wall_clock,
    host: str = "127.0.0.1",
    port: int = 0,
    slow_s: float = 30.0,
) -> AsyncGenerator[Grid]:
    """Serve both providers while the block runs; port 0 takes a free one.

    `slow_s` is how long the fault slow lets a caller wait.
    """
    grid = Grid(seed=seed, now=now, slow_s=slow_s)
    runner = web.AppRunner(_app(grid), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        grid.port = runner.addresses[0][1]
        yield grid
    finally:
        await runner.cleanup()


def _app(grid: Grid) -> web.Application:
    app = web.Application(middlewares=[_misbehave])
    app[GRID] = grid
    app.add_routes(
        [
            web.get("/carbon/intensity/{first}/{last}", national),
            web.get("/carbon/regional/intensity/{first}/{last}/regionid/{region}", regional),
            web.get("/ecb/service/data/EXR/{key}", reference_rates),
            web.get("/control/status", show_status),
            web.post("/control/fault", set_fault),
        ]
    )
    return app


async def national(request: web.Request) -> web.Response:
    """Answer the country's half-hours, forecast and actual."""
    return _carbon(request, 0)


async def regional(request: web.Request) -> web.Response:
    """Answer a region's half-hours: forecasts only."""
    text = request.match_info["region"]
    region = int(text) if text.isascii() and text.isdigit() else 0
    if region not in carbon.REGIONS:
        return _json({"error": {"code": "400 Bad Request", "message": "regionid 1-17"}}, 400)
    return _carbon(request, region)


def _carbon(request: web.Request, region: int) -> web.Response:
    grid = request.app[GRID]
    fault = grid.faults.get("carbon")
    span = request.match_info["first"], request.match_info["last"]
    try:
        rows = carbon.rows(grid.seed, region, span, grid.now(), fault)
    except carbon.BadQuestion as refusal:
        return _json({"error": {"code": "400 Bad Request", "message": str(refusal)}}, 400)
    about = {"regionid": region, "shortname": f"Region {region} (simulated)", "data": rows}
    body = _written({"data": about if region else rows})
    return _answer(cut(body, fault), "application/json")


async def reference_rates(request: web.Request) -> web.Response:
    """Answer the reference rates of a span of days as CSV."""
    grid = request.app[GRID]
    fault = grid.faults.get("ecb")
    if request.match_info["key"] != "D..EUR.SP00.A" or request.query.get("format") != "csvdata":
        return _json({"error": "Ask for D..EUR.SP00.A with format=csvdata."}, 404)
    try:
        span = request.query.get("startPeriod"), request.query.get("endPeriod")
        text = currencies.sheet(grid.seed, *span, grid.now(), fault)
    except ValueError:
        return _json({"error": "A day is written 2026-11-21."}, 400)
    return _answer(cut(text.encode(), fault), "text/csv")


async def show_status(request: web.Request) -> web.Response:
    """Answer each provider's address, fault and number of calls."""
    grid = request.app[GRID]
    providers = {
        name: {"url": grid.url(name), "fault": grid.faults.get(name), "calls": grid.calls[name]}
        for name in PROVIDERS
    }
    return _json({"now": grid.now().isoformat(), "providers": providers})


async def set_fault(request: web.Request) -> web.Response:
    """Let a provider fail, `{provider, fault}`; fault null makes it well again."""
    try:
        body = orjson.loads(await request.read())
        wanted = body.get("fault")
        request.app[GRID].fault(body["provider"], None if wanted is None else GridFault(wanted))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        known = f"{', '.join(PROVIDERS)}; {', '.join(GridFault)}"
        return _json({"error": f"{error}. Known are {known}."}, 400)
    return await show_status(request)


@web.middleware
async def _misbehave(request: web.Request, handler: Any) -> web.StreamResponse:
    """Count the call, and let the provider's fault have its way with it."""
    provider = request.path.split("/")[1]
    if provider in PROVIDERS:
        grid = request.app[GRID]
        grid.calls[provider] += 1
        fault = grid.faults.get(provider)
        if fault is GridFault.SLOW:
            await asyncio.sleep(grid.slow_s)
        spoiled = instead(request, fault)
        if spoiled is not None:
            return spoiled
    return await handler(request)


def _known(provider: str) -> str:
    if provider not in PROVIDERS:
        msg = f"there is no provider {provider}; there are {', '.join(PROVIDERS)}"
        raise KeyError(msg)
    return provider


def _written(document: object) -> bytes:
    """Return JSON; a number beyond 64 bits, which a fault tells, is more than orjson writes."""
    return json.dumps(document).encode()


def _answer(body: bytes, kind: str) -> web.Response:
    return web.Response(body=body, content_type=kind, headers=SIMULATED)


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        content_type="application/json",
        headers=SIMULATED,
    )
