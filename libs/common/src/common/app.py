"""The frame of every service: HTTP behind the internal token, one application per member."""

import argparse
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog import get_logger

from common import auth, errors, metrics
from common.background import Background, Role, Work, running
from common.consumer import Reactions
from common.events import Event
from common.runtime import Runtime
from common.settings import ServiceSettings, package_root
from common.strict_json import StrictRoute
from common.trace import correlation_id

log = get_logger()


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of a service's own on its command line."""

    name: str
    told: str
    """What its help says."""
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Runtime, argparse.Namespace], Awaitable[int]]
    """Does it, and returns the exit status."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What makes up a service. One per member, in its main.py."""

    name: str
    package_file: str
    """`__file__` of the member's main.py: migrations/ is found from it."""
    title: str
    settings: type[ServiceSettings]
    metadata: MetaData
    routers: Sequence[APIRouter] = ()
    events: Sequence[type[Event]] = ()
    reactions: Sequence[Reactions] = ()
    background: Sequence[Background] = ()
    setup: Callable[[Runtime], Awaitable[None]] | None = None
    """Runs once at start, before the first request."""
    commands: Sequence[Command] = ()
    """`python -m <service> <command>`, beside those that every service has."""

    @property
    def versions(self) -> Path:
        """The folder of the migrations."""
        return package_root(self.package_file) / "migrations" / "versions"

    def work(self) -> Work:
        """Return the part of this service that runs without HTTP."""
        return Work(
            name=self.name,
            versions=self.versions,
            published=frozenset(event.topic() for event in self.events),
            reactions=self.reactions,
            background=self.background,
            setup=self.setup,
        )


class State(TypedDict):
    """What a request finds in `request.state`."""

    runtime: Runtime


def service_app(
    service: Service, settings: ServiceSettings | None = None, *, role: Role = "api"
) -> FastAPI:
    """Return the service's application. With role `all` it also does the background work."""
    settings = settings or service.settings()  # pyright: ignore[reportCallIssue]  (from the environment)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        async with running(service.work(), settings, role) as runtime:
            app.state.runtime = runtime
            yield {"runtime": runtime}

    app = FastAPI(
        title=service.title,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: f"{service.name}_{route.name}",
        separate_input_output_schemas=False,
    )
    errors.install_handlers(app)
    _install_database_handlers(app)
    for router in service.routers:
        for route in router.routes:
            if type(route) is APIRoute:
                route.__class__ = StrictRoute
        app.include_router(router)
    _complete_openapi(app)
    app.add_middleware(_Edge, service=service.name, key=settings.internal_key.get_secret_value())
    return app


def _complete_openapi(app: FastAPI) -> None:
    """Put the problem document, to which routes refer by name, among the schemas."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "ProblemDocument" not in schemas:
            schema = errors.ProblemDocument.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            schemas.update(schema.pop("$defs", {}))
            schemas["ProblemDocument"] = schema
        for schema in schemas.values():
            _drop_placeholders(schema)
        _declare_invalid(document)
        return document

    app.openapi = openapi


def _declare_invalid(document: dict[str, Any]) -> None:
    """Say what a 422 looks like here: a problem, not FastAPI's own form."""
    problem = errors.problems(errors.Invalid)[422]
    for operations in document["paths"].values():
        for operation in operations.values():
            declared = operation.get("responses", {}).get("422")
            if declared is not None and errors.CONTENT_TYPE not in declared.get("content", {}):
                operation["responses"]["422"] = problem
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _drop_placeholders(schema: dict[str, Any]) -> None:
    """Leave out defaults that are no valid values: in a PATCH they only mark what was not sent."""
    for field in schema.get("properties", {}).values():
        default = field.get("default")
        empty = default in ("", []) and (field.get("minLength") or field.get("minItems"))
        low = field.get("minimum", field.get("exclusiveMinimum"))
        if empty or (isinstance(default, int | float) and low is not None and default <= low):
            field.pop("default")


def _install_database_handlers(app: FastAPI) -> None:
    async def on_integrity(request: Request, error: Exception) -> Response:
        log.info("database.integrity", error=str(getattr(error, "orig", error))[:300])
        problem = errors.Conflict("It conflicts with what is already stored; read it again.")
        return errors.problem_response(problem, errors.request_id_of(request))

    async def on_database(request: Request, error: Exception) -> Response:
        code = getattr(getattr(error, "orig", None), "sqlstate", None)
        if code is None or code[:2] in ("08", "40", "53", "57"):
            # the server is away, full or stopping, or two transactions got in each other's way
            log.warning("database.away", error=str(error)[:300])
            problem: errors.Problem = errors.Unavailable(
                "The database is not available at the moment; try again.", retry_after_s=2
            )
        elif code == "42501":
            problem = errors.NotFound("No such object.")
        elif code[:2] == "22":
            problem = errors.Invalid("A value is outside what can be stored.")
        else:
            log.error("database.error", exc_info=error)
            problem = errors.ServerFault("An error was logged under this request's id.")
        return errors.problem_response(problem, errors.request_id_of(request))

    app.add_exception_handler(IntegrityError, on_integrity)
    for kind in (DBAPIError, PoolTimeoutError, ConnectionError):
        app.add_exception_handler(kind, on_database)


class _Edge:
    """First and last on every request: token, request id, log context, metrics, no bare 500."""

    def __init__(self, app: ASGIApp, service: str, key: str) -> None:
        self._app = app
        self._service = service
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        started = False

        async def observe(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
            await send(message)

        state = scope.setdefault("state", {})
        try:
            principal = self._principal(scope)
            state["principal"], state["request_id"] = principal, principal.request_id
            correlation_id.set(principal.request_id)
            structlog.contextvars.bind_contextvars(request_id=principal.request_id)
            await self._app(scope, receive, observe)
        except errors.Problem as problem:
            response = errors.problem_response(problem, state.get("request_id", ""))
            await response(scope, receive, observe)
        except Exception:
            log.exception("request.failed", path=scope["path"])
            if started:
                raise
            fault = errors.ServerFault("An error was logged under this request's id.")
            await errors.problem_response(fault, state.get("request_id", ""))(
                scope, receive, observe
            )
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.request_duration.labels(scope["method"], route, status).observe(
                time.perf_counter() - began
            )

    def _principal(self, scope: Scope) -> auth.Principal:
        if "principal" in scope["state"]:  # the gateway's own routes: already checked
            return scope["state"]["principal"]
        wanted = auth.HEADER.lower().encode()
        token = next((value for name, value in scope["headers"] if name == wanted), b"")
        return auth.verify(token.decode("latin-1"), audience=self._service, key=self._key)
