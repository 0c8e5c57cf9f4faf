"""The simulated Elexon Insights API on one HTTP port, and its control."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

import orjson
from aiohttp import web

from simulation.elexon import asking
from simulation.elexon.asking import Ask, Edit, Refusal, State
from simulation.elexon.days import Britain
from simulation.elexon.faults import Fault, FaultRule, Resource, Row, spoiled, wrapped
from simulation.elexon.settlement import Run
from simulation.upstreams.asking import dump
from simulation.upstreams.faults import Fault as WholeFault
from simulation.upstreams.spoiling import refuse_or_break, spoil

BASE = "/bmrs/api/v1"
SIMULATED = {"X-Simulated": "true"}
SHARED = {fault.value for fault in Fault} & {fault.value for fault in WholeFault} - {"status_429"}
Rows = Callable[[Ask], list[Row]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path: what it is, who answers it, and the envelope that its rows come in."""

    resource: Resource
    rows: Rows
    bare: bool = False
    dataset: str | None = None


ROUTES = {
    "/balancing/settlement/stack/all/{side}/{day}/{period}": Route(
        Resource.STACK, asking.stack_rows, dataset="ISPSTACK"
    ),
    "/reference/bmunits/all": Route(Resource.UNITS, asking.unit_rows, bare=True),
    "/balancing/physical/all": Route(Resource.PHYSICAL, asking.physical_rows, dataset="PN"),
    "/datasets/PN/stream": Route(Resource.PHYSICAL, asking.physical_stream, bare=True),
    "/datasets/B1610": Route(Resource.METERED, asking.metered_rows),
    "/datasets/B1610/stream": Route(Resource.METERED, asking.metered_stream, bare=True),
    "/generation/actual/per-type/wind-and-solar": Route(
        Resource.BY_TYPE, asking.type_rows, dataset="AGWS"
    ),
    "/datasets/AGWS": Route(Resource.BY_TYPE, asking.agws_rows),
    "/datasets/AGWS/stream": Route(Resource.BY_TYPE, asking.agws_rows, bare=True),
    "/datasets/FUELHH": Route(Resource.BY_FUEL, asking.fuel_rows),
    "/datasets/FUELHH/stream": Route(Resource.BY_FUEL, asking.fuel_rows, bare=True),
    "/balancing/settlement/system-prices/{day}": Route(
        Resource.PRICES, asking.price_rows, dataset="DISEBSP"
    ),
}


class Elexon:
    """The served provider: where it is, how it fails, what it was asked."""

    def __init__(
        self, state: State, *, delay_s: float, slow_s: float, limit_per_s: int | None
    ) -> None:
        self.state = state
        self.delay_s = delay_s
        self.slow_s = slow_s
        self.limit_per_s = limit_per_s
        self.port = 0
        self.rules: list[FaultRule] = []
        self.calls: Counter[Resource] = Counter()
        self.paths: Counter[str] = Counter()
        self.open_now = 0
        self.most_open = 0
        self._recent: deque[float] = deque()

    @property
    def britain(self) -> Britain:
        return self.state.britain

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}{BASE}"

    def fault(
        self,
        fault: Fault,
        resource: Resource | None = None,
        *,
        day: date | None = None,
        period: int | None = None,
        side: str | None = None,
        times: int | None = None,
        retry_after_s: float = 1.0,
    ) -> None:
        """Let the named calls fail from now on, or so many times; the latest rule goes first."""
        rule = FaultRule(fault, resource, day, period, side, times, retry_after_s)
        self.rules.insert(0, rule)

    def heal(self) -> None:
        """Forget all faults."""
        self.rules.clear()

    def edit(self, edit: Edit) -> None:
        """Change the stacks of a day from now on."""
        self.state.edits.append(edit)

    def set_run(self, run: Run | None, day: date | None = None) -> None:
        """Serve this run's figures, of one day or of all; None goes by age again."""
        if day is None:
            self.state.run = run
        elif run is None:
            self.state.runs.pop(day, None)
        else:
            self.state.runs[day] = run

    def forget_calls(self) -> None:
        self.calls.clear()
        self.paths.clear()
        self.most_open = self.open_now

    def reset(self) -> None:
        """Be as new: no faults, no changes, no run by name, nothing counted."""
        self.heal()
        self.state.edits.clear()
        self.state.runs.clear()
        self.state.run = None
        self.forget_calls()

    def befalling(self, ask: Ask) -> FaultRule | None:
        """Return the first rule about a call, and count it."""
        for rule in self.rules:
            if rule.befalls(ask.resource, ask.day, ask.period, ask.side):
                rule.happen()
                return rule
        return None

    def is_over_limit(self) -> bool:
        """Count a call, and say whether this second has had too many."""
        if self.limit_per_s is None:
            return False
        now_s = time.monotonic()
        while self._recent and self._recent[0] <= now_s - 1.0:
            self._recent.popleft()
        if len(self._recent) >= self.limit_per_s:
            return True
        self._recent.append(now_s)
        return False


ELEXON = web.AppKey("elexon", Elexon)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def serve(
    *,
    seed: int = 7,
    now: Callable[[], datetime] = _wall_clock,
    host: str = "127.0.0.1",
    port: int = 0,
    delay_s: float = 0.0,
    slow_s: float = 30.0,
    limit_per_s: int | None = None,
) -> AsyncGenerator[Elexon]:
    """Serve the API while the block runs; port 0 takes any free one.

    `delay_s` is waited before every answer, `slow_s` when the fault slow befalls a call;
    more than `limit_per_s` calls within a second are refused with 429.
    """
    state = State(Britain(seed), now)
    elexon = Elexon(state, delay_s=delay_s, slow_s=slow_s, limit_per_s=limit_per_s)
    runner = web.AppRunner(_app(elexon), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        elexon.port = runner.addresses[0][1]
        yield elexon
    finally:
        await runner.cleanup()


def _app(elexon: Elexon) -> web.Application:
    app = web.Application()
    app[ELEXON] = elexon
    app.on_response_prepare.append(_mark_simulated)
    for path, route in ROUTES.items():
        app.router.add_get(BASE + path, _answering(route))
    app.router.add_get("/control/status", show_status)
    app.router.add_post("/control/fault", set_fault)
    app.router.add_post("/control/edit", set_edit)
    app.router.add_post("/control/run", set_run)
    app.router.add_post("/control/reset", reset)
    return app


def _answering(route: Route) -> Callable[[web.Request], Any]:
    """Return a handler of the web framework around a plain one that returns rows."""

    async def answer(request: web.Request) -> web.StreamResponse:
        elexon = request.app[ELEXON]
        elexon.calls[route.resource] += 1
        elexon.paths[request.path.removeprefix(BASE)] += 1
        elexon.open_now += 1
        elexon.most_open = max(elexon.most_open, elexon.open_now)
        try:
            if elexon.delay_s:
                await asyncio.sleep(elexon.delay_s)
            return await _answer(elexon, route, request)
        except Refusal as refusal:
            return _json(refusal.document, status=refusal.status)
        finally:
            elexon.open_now -= 1

    return answer


async def _answer(elexon: Elexon, route: Route, request: web.Request) -> web.StreamResponse:
    ask = _ask(elexon.state, route.resource, request)
    rule = elexon.befalling(ask)
    fault = None if rule is None else rule.fault
    if elexon.is_over_limit() or (rule is not None and fault is Fault.STATUS_429):
        return _resting(429, 1.0 if rule is None else rule.retry_after_s)
    if rule is not None and fault is Fault.STATUS_503:
        return _resting(503, rule.retry_after_s)
    if fault is Fault.MISSING:
        raise asking.missing()
    if fault is Fault.SLOW:
        await asyncio.sleep(elexon.slow_s)
    whole = WholeFault(fault.value) if fault is not None and fault.value in SHARED else None
    instead = await refuse_or_break(request, "elexon", whole, SIMULATED)
    if instead is not None:
        return instead
    rows = spoiled(route.rows(ask), fault)
    document = wrapped(rows, fault, bare=route.bare, dataset=route.dataset)
    body = dump(document) if fault in (Fault.NAN, Fault.HUGE_NUMBER) else orjson.dumps(document)
    return spoil(web.Response(body=body, content_type="application/json"), whole)


def _ask(state: State, resource: Resource, request: web.Request) -> Ask:
    path, query = request.match_info, request.query
    day = path.get("day", query.get("settlementDate"))
    period = path.get("period", query.get("settlementPeriod"))
    return Ask(
        resource=resource,
        state=state,
        query=query,
        units=frozenset(query.getall("bmUnit", [])),
        day=None if day is None else asking.read_day(day, "settlementDate"),
        period=None if period is None else asking.read_period(period),
        side=path.get("side"),
    )


async def show_status(request: web.Request) -> web.Response:
    """Answer the address, the clock, the faults and the number of calls."""
    elexon = request.app[ELEXON]
    return _json(
        {
            "url": elexon.url,
            "now": elexon.state.now().isoformat(),
            "calls": {resource.value: times for resource, times in elexon.calls.items()},
            "most_open": elexon.most_open,
            "faults": [rule.fault for rule in elexon.rules if rule.times != 0],
            "edits": len(elexon.state.edits),
            "run": elexon.state.run,
        }
    )


async def set_fault(request: web.Request) -> web.Response:
    """Let calls fail: `{fault, resource?, day?, period?, side?, times?, retry_after_s?}`.

    With fault null, all faults are forgotten.
    """

    def apply(elexon: Elexon, body: Mapping[str, Any]) -> None:
        if body["fault"] is None:
            elexon.heal()
            return
        resource = body.get("resource")
        elexon.fault(
            Fault(body["fault"]),
            None if resource is None else Resource(resource),
            day=_day_or_none(body.get("day")),
            period=body.get("period"),
            side=body.get("side"),
            times=body.get("times"),
            retry_after_s=float(body.get("retry_after_s", 1.0)),
        )

    return await _controlled(request, apply)


async def set_edit(request: web.Request) -> web.Response:
    """Change a day's stacks: `{day, period?, side?, unit?, scale? | add?: {fields of a row}}`."""

    def apply(elexon: Elexon, body: Mapping[str, Any]) -> None:
        day = date.fromisoformat(body["day"])
        rest = {name: body.get(name) for name in ("period", "side", "unit", "scale", "add")}
        elexon.edit(Edit(day, **cast("dict[str, Any]", rest)))

    return await _controlled(request, apply)


async def set_run(request: web.Request) -> web.Response:
    """Serve a settlement run's figures: `{run | null, day?}`."""

    def apply(elexon: Elexon, body: Mapping[str, Any]) -> None:
        run = body["run"]
        elexon.set_run(None if run is None else Run(run), _day_or_none(body.get("day")))

    return await _controlled(request, apply)


async def reset(request: web.Request) -> web.Response:
    """Make the provider as new."""
    request.app[ELEXON].reset()
    return await show_status(request)


async def _controlled(
    request: web.Request, apply: Callable[[Elexon, Mapping[str, Any]], None]
) -> web.Response:
    try:
        apply(request.app[ELEXON], cast("dict[str, Any]", orjson.loads(await request.read())))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        known = f"faults {', '.join(Fault)}; resources {', '.join(Resource)}; runs {', '.join(Run)}"
        return _json({"error": f"{error}. Known are {known}."}, status=400)
    return await show_status(request)


async def _mark_simulated(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers.update(SIMULATED)


def _day_or_none(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _resting(status: int, retry_after_s: float) -> web.Response:
    retry = {"Retry-After": f"{retry_after_s:g}"}
    document = {"statusCode": status, "message": "Not now (simulated)."}
    return web.Response(
        body=orjson.dumps(document), status=status, content_type="application/json", headers=retry
    )


def _json(document: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json", status=status)
