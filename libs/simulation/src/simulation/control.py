"""The control port: what tests, benches and people ask of the simulated world.

It listens on 127.0.0.1 only, and is no part of any miner.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import orjson
from aiohttp import web

from simulation.faults import FAULT_KINDS, FaultKind
from simulation.fleet import Fleet, SimulatedMiner
from simulation.models import FAMILIES, Family

FLEET = web.AppKey("fleet", Fleet)


class BadOrder(ValueError):
    """The order cannot be followed as written; the message says why."""


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """Which fault, on which miners, for how long."""

    kind: FaultKind
    share: float | None
    number: int | None
    miners: list[int] | None
    family: Family | None
    duration_s: float | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        kind, family, miners = body.get("kind"), body.get("family"), body.get("miners")
        if kind not in FAULT_KINDS:
            raise BadOrder(f"Unknown fault {kind!r}; known are {', '.join(FAULT_KINDS)}.")
        if family is not None and family not in FAMILIES:
            raise BadOrder(f"Unknown family {family!r}; known are {', '.join(FAMILIES)}.")
        if miners is not None and not _all_whole(miners):
            raise BadOrder("miners must be a list of indices.")
        number = _number(body, "number")
        return cls(
            kind=kind,
            share=_number(body, "share"),
            number=None if number is None else int(number),
            miners=cast("list[int] | None", miners),
            family=family,
            duration_s=_number(body, "duration_s"),
        )


@asynccontextmanager
async def control_port(fleet: Fleet, port: int) -> AsyncGenerator[None]:
    """Serve the control API while the block runs."""
    app = web.Application(middlewares=[_explain])
    app[FLEET] = fleet
    app.add_routes(
        [
            web.get("/status", status),
            web.get("/miners", list_miners),
            web.get("/miners/{which}", show_miner),
            web.post("/faults", set_faults),
            web.delete("/faults", clear_faults),
            web.post("/outage", start_outage),
            web.post("/counters/reset", reset_counters),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


async def status(request: web.Request) -> web.Response:
    """Answer the fleet's totals: true watts, states, faults, traffic."""
    return _json(request.app[FLEET].totals())


async def list_miners(request: web.Request) -> web.Response:
    """Answer the truth about every miner, or about those of one family or state."""
    fleet = request.app[FLEET]
    now = fleet.clock()
    rows = [miner.truth(now) for miner in fleet.miners]
    wanted = {key: request.query[key] for key in ("family", "state") if key in request.query}
    rows = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return _json({"now": now, "miners": rows})


async def show_miner(request: web.Request) -> web.Response:
    """Answer the truth about one miner, named by index, address or serial number."""
    fleet, which = request.app[FLEET], request.match_info["which"]
    for miner in fleet.miners:
        if which in (str(miner.unit.index), miner.address, miner.unit.serial_number):
            return _json(miner.truth(fleet.clock()))
    raise web.HTTPNotFound(text=f"No miner {which!r} in this fleet.")


async def set_faults(request: web.Request) -> web.Response:
    """Set one fault on the chosen miners and answer which they are."""
    fleet, order = request.app[FLEET], FaultOrder.read(await _body(request))
    chosen = fleet.select(
        share=order.share, number=order.number, miners=order.miners, family=order.family
    )
    await fleet.set_fault(order.kind, chosen, duration_s=order.duration_s)
    return _affected(order.kind, chosen)


async def clear_faults(request: web.Request) -> web.Response:
    """Clear every fault, or one kind."""
    fleet, kind = request.app[FLEET], request.query.get("kind")
    if kind is not None and kind not in FAULT_KINDS:
        raise BadOrder(f"Unknown fault {kind!r}.")
    await fleet.clear_faults(kind)
    return _json({"faults": fleet.totals()["faults"]})


async def start_outage(request: web.Request) -> web.Response:
    """Cut the whole fleet off the network, for some seconds or until cleared."""
    fleet = request.app[FLEET]
    await fleet.outage(duration_s=_number(await _body(request), "duration_s"))
    return _affected("drop", fleet.miners)


async def reset_counters(request: web.Request) -> web.Response:
    """Begin counting connections anew."""
    request.app[FLEET].reset_counters()
    return _json({})


@web.middleware
async def _explain(request: web.Request, handler: Any) -> web.StreamResponse:
    """Turn a bad order into 400 with its reason, as JSON like everything else."""
    try:
        return await handler(request)
    except BadOrder as bad:
        return _json({"error": str(bad)}, status=400)
    except web.HTTPException as refused:
        return _json({"error": refused.text or refused.reason}, status=refused.status)


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        loaded: object = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise BadOrder("The body is not JSON.") from error
    if not isinstance(loaded, dict):
        raise BadOrder("The body must be an object.")
    return cast("dict[str, Any]", loaded)


def _number(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadOrder(f"{name} must be a number of zero or more.")
    return float(value)


def _all_whole(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(each, int) for each in cast("list[object]", value))


def _affected(kind: str, chosen: list[SimulatedMiner]) -> web.Response:
    miners = [{"index": miner.unit.index, "address": miner.address} for miner in chosen]
    return _json({"kind": kind, "affected": len(miners), "miners": miners})


def _json(document: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json", status=status)
