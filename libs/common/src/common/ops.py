"""Health and metrics, on a port of their own that is never routed to the public."""

import asyncio
from collections.abc import Callable

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.runtime import Runtime


def ops_app(runtime: Callable[[], Runtime | None]) -> Starlette:
    """Return the operations application.

    `/health/live` says that the loop turns, `/health/startup` and `/health/ready` that the schema
    is at head and the process is not stopping. A dependency that all replicas share never makes
    one unready: it shows as `degraded`.
    """

    async def live(_: Request) -> Response:
        await asyncio.sleep(0)
        return _json({"status": "live"})

    async def ready(_: Request) -> Response:
        current = runtime()
        if current is None:
            return _json({"status": "starting"}, 503)
        if current.stopping.is_set():
            return _json({"status": "stopping"}, 503)
        if current.ready:
            return _json({"status": "waiting", "for": current.ready}, 503)
        return _json({"status": "ready", "degraded": current.degraded})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/health/startup", ready),
            Route("/metrics", metrics),
        ]
    )


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
