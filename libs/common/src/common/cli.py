"""The command line of every service: `python -m <service> serve | migrate | revision`."""

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Generator, Sequence
from typing import Any
from uuid import UUID

import uvicorn
import uvloop
from starlette.types import ASGIApp

from common.app import Command, Service, service_app
from common.background import Role, running
from common.dead_letters import discard, open_letters, redrive
from common.log import configure
from common.ops import ops_app
from common.runtime import Runtime
from common.settings import ServiceSettings


def parser(service: Service) -> argparse.ArgumentParser:
    """Return the argument parser of a service."""
    made = argparse.ArgumentParser(prog=f"python -m {service.name}", description=service.title)
    commands = made.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run the service")
    serving.add_argument("--role", choices=["all", "api", "worker"], default="all")
    commands.add_parser("migrate", help="bring the schema to head")
    revision = commands.add_parser("revision", help="write a migration from the models")
    revision.add_argument("message")
    letters = commands.add_parser("dead-letters", help="events that could not be handled")
    letters.add_argument("action", choices=["list", "redrive", "discard"])
    letters.add_argument("ids", nargs="*", type=UUID, help="ids; none means all")
    for own in service.commands:
        own.arguments(commands.add_parser(own.name, help=own.told))
    return made


def main(service: Service, arguments: Sequence[str] | None = None) -> None:
    """Run a service's command line."""
    chosen = parser(service).parse_args(arguments)
    settings = service.settings()  # pyright: ignore[reportCallIssue]  (read from the environment)
    configure(service.name, settings.log_level)
    if chosen.command == "serve":
        gc.freeze()
        uvloop.run(serve(service, settings, chosen.role))
        return
    if chosen.command == "dead-letters":
        sys.exit(asyncio.run(dead_letters(service, settings, chosen.action, chosen.ids)))
    for own in service.commands:
        if chosen.command == own.name:
            sys.exit(asyncio.run(run_command(service, settings, own, chosen)))
    if settings.owner_database_url is None:
        sys.exit(f"{service.name.upper()}_OWNER_DATABASE_URL is not set")
    from common import migrations  # noqa: PLC0415  (Alembic costs half a second at import)

    dsn = settings.owner_database_url.get_secret_value()
    if chosen.command == "migrate":
        migrations.migrate(service.versions, service.metadata, dsn)
    else:
        migrations.revise(service.versions, service.metadata, dsn, chosen.message)


async def serve(service: Service, settings: ServiceSettings, role: Role) -> None:
    """Run one process of a service until SIGTERM or SIGINT."""
    if role == "worker":
        async with running(service.work(), settings, role) as runtime:
            await serve_all([ops_server(settings, lambda: runtime)])
        return
    app = service_app(service, settings, role=role)
    await serve_all(
        [
            ops_server(settings, lambda: getattr(app.state, "runtime", None)),
            server(app, settings.host, settings.port),
        ]
    )


async def run_command(
    service: Service, settings: ServiceSettings, command: Command, chosen: argparse.Namespace
) -> int:
    """Run a command of the service's own; return its exit status."""
    runtime = Runtime(service.name, settings)
    try:
        return await command.run(runtime, chosen)
    finally:
        await runtime.close()


async def dead_letters(
    service: Service, settings: ServiceSettings, action: str, ids: Sequence[UUID]
) -> int:
    """List, redrive or discard dead letters; return how many could not be redriven."""
    runtime = Runtime(service.name, settings)
    failed = 0
    try:
        for letter in await open_letters(runtime, ids):
            outcome = letter.error
            if action == "discard":
                await discard(runtime, letter)
                outcome = "discarded"
            elif action == "redrive":
                try:
                    await redrive(runtime, service.reactions, letter)
                    outcome = "redriven"
                except Exception as error:  # noqa: BLE001  (each letter for itself)
                    failed += 1
                    outcome = f"still failing: {error!r}"
            sys.stdout.write(
                f"{letter.id}  {letter.died_at:%F %T}  {letter.message.type}  {outcome}\n"
            )
    finally:
        await runtime.close()
    return min(failed, 1)


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve_all`, which may run several in one loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def server(app: ASGIApp, host: str, port: int, **options: Any) -> uvicorn.Server:
    """Return a server for an application."""
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # who is calling stands in the internal token only
            timeout_graceful_shutdown=20,
            **options,
        )
    )


def ops_server(settings: ServiceSettings, runtime: Any) -> uvicorn.Server:
    """Return the server for health and metrics."""
    return server(ops_app(runtime), settings.ops_host, settings.ops_port, lifespan="off")


async def serve_all(servers: Sequence[uvicorn.Server]) -> None:
    """Serve until a signal, or until one server ends by itself; then stop all."""

    def stop(*_: Any) -> None:
        for one in servers:
            one.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running_servers = [asyncio.create_task(one.serve()) for one in servers]
    await asyncio.wait(running_servers, return_when=asyncio.FIRST_COMPLETED)
    stop()
    await asyncio.gather(*running_servers)
    if not all(one.started for one in servers):
        sys.exit(1)
