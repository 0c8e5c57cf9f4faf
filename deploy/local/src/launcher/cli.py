"""Starts, stops and shows everything on one machine: one command per make target."""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from launcher import (
    benches,
    checks,
    console,
    contracts,
    deployments,
    fresh,
    infra,
    reload,
    suite,
    walk,
)
from launcher.api import RefusedError
from launcher.energy import seed_energy
from launcher.installation import SERVICES, load
from launcher.kafka import TamperedJarsError, fetch_jars
from launcher.paths import LOCAL, ROOT
from launcher.ports import PortTakenError
from launcher.processes import NotReadyError
from launcher.programs import service_program
from launcher.seed import DemoNotSeededError
from launcher.stack import Stack, StackError
from launcher.supervisor import Supervisor
from launcher.treasury import seed_treasury

_LEAST_PASSWORD = 12

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
infra_app = typer.Typer(no_args_is_help=True, help="PostgreSQL, Redis and Kafka for tests.")
app.add_typer(infra_app, name="infra")


@contextmanager
def _said_plainly() -> Generator[None]:
    """Turn the errors that a person can do something about into a sentence and exit code 1."""
    try:
        yield
    except (
        PortTakenError,
        NotReadyError,
        StackError,
        DemoNotSeededError,
        TamperedJarsError,
        fresh.NotPossibleError,
        walk.WalkError,
        RefusedError,
        httpx.TransportError,
        deployments.NotInstalledError,
        LookupError,
    ) as error:
        print(f"\n{error}", file=sys.stderr)
        raise typer.Exit(1) from error


@app.command()
def up(fleet: Annotated[int, typer.Option(min=1, max=12_000)] = 300) -> None:
    """Start everything and a simulated fleet; say so when it runs already."""
    if 0 < len(os.environ.get("DEMO_PASSWORD", "")) < _LEAST_PASSWORD:
        print(f"DEMO_PASSWORD needs at least {_LEAST_PASSWORD} characters.", file=sys.stderr)
        raise typer.Exit(1)
    stack = Stack(LOCAL, fleet=fleet)
    with _said_plainly():
        if stack.is_up:
            print("Hashyard is up already.")
            if stack.installation.fleet < fleet:
                print(f"`make down && make up FLEET={fleet}` lets the fleet grow.")
            stack.start()
        else:
            stack.start(console.Steps().show)
        seed_treasury(stack.installation)
        with console.step("A month of power bills, a week of wind"):
            seed_energy(stack.installation)
        console.farewell(stack.demo, machines=stack.installation.fleet, directory=LOCAL)


@app.command()
def down() -> None:
    """Stop everything; data stays."""
    stack = Stack(LOCAL)
    was_up = stack.is_up
    stack.stop()
    print(
        "Stopped. Data stays in .local; `make up` goes on with it." if was_up else "Nothing runs."
    )


@app.command()
def status() -> None:
    """Show what runs; exit code 1 when not all of it is ready."""
    stack = Stack(LOCAL)
    if not stack.is_up:
        message = stack.status().message
        print(f"Nothing runs. {message}".strip())
        raise typer.Exit(1)
    print(stack.installation.gateway_url)
    raise typer.Exit(not console.status_table(stack.installation, stack.status()))


@app.command()
def logs(program: Annotated[str | None, typer.Argument()] = None) -> None:
    """Follow one program's log, or all."""
    files = sorted((LOCAL / "log").glob(f"{program or '*'}.log"))
    if not files:
        print(f"There is no log of {program or 'anything'} in {LOCAL / 'log'}.", file=sys.stderr)
        raise typer.Exit(1)
    command = ["tail", "-n", "100", "-F", *map(str, files)]
    os.execvp(command[0], command)  # noqa: S606  (become the program that follows files best)


@app.command()
def run(service: str) -> None:
    """Run one service in the foreground, reloading, beside the running system."""
    if service not in SERVICES:
        print(f"There is no service {service!r}: {', '.join(SERVICES)}.", file=sys.stderr)
        raise typer.Exit(1)
    stack = Stack(LOCAL)
    if not stack.is_up:
        print("Nothing runs; `make up` first.", file=sys.stderr)
        raise typer.Exit(1)
    with _said_plainly(), stack.held(service):
        reload.run(service_program(stack.installation, service))


@app.command("walk")
def walk_main_job() -> None:
    """Play the main job against the running system."""
    with _said_plainly():
        walk.walk(LOCAL / "demo.json", console.console)


@app.command(hidden=True)
def supervise(directory: Path) -> None:
    """Be the background process of an installation."""
    installation = load(directory)
    if installation is None:
        raise typer.Exit(1)
    raise typer.Exit(Supervisor(installation).run())


@app.command()
def fetch() -> None:
    """Fetch Kafka's jars and check them against the committed checksums."""
    with _said_plainly():
        fetch_jars()


@app.command()
def check() -> None:
    """Run every check that needs no test."""
    raise typer.Exit(not checks.check())


@app.command("contracts")
def write_contracts(*, check: bool = False) -> None:
    """Write contracts/ from the live code, or say which files are not up to date."""
    if check:
        files = contracts.stale(contracts.contracts())
        for path in files:
            print(f"{path.relative_to(ROOT)} is not up to date")
        if files:
            print("Run `make contracts` and commit what it writes.")
        raise typer.Exit(bool(files))
    for path in contracts.write():
        print(path.relative_to(ROOT))


@app.command("test")
def run_tests(part: str | None = None, keyword: str | None = None, *, long: bool = False) -> None:
    """Run the suite, or a part of it."""
    with _said_plainly():
        passed = suite.run(part, keyword, long=long)
    raise typer.Exit(not passed)


@app.command()
def bench(name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Measure one published figure, or all."""
    with _said_plainly():
        passed = benches.run(name)
    raise typer.Exit(not passed)


@app.command("check-deploy")
def check_deploy() -> None:
    """Render and validate what Compose and Kubernetes are given."""
    with _said_plainly():
        passed = deployments.check()
    raise typer.Exit(not passed)


@app.command("test-fresh")
def run_fresh(
    who: Annotated[str | None, typer.Argument()] = None, command: str = ".ci/run"
) -> None:
    """Run .ci/run in a bare Debian chroot, as `root`, as `sudo` user, or as both."""
    with _said_plainly():
        passed = fresh.run(who, command)
    raise typer.Exit(not passed)


@infra_app.command("up")
def infra_up() -> None:
    """Start what does not run; prints the addresses."""
    with _said_plainly():
        started = infra.up()
    print("Started." if started else "Runs already.")
    print(infra.ADDRESSES.read_text(), end="")


@infra_app.command("down")
def infra_down() -> None:
    """Stop all three and throw their data away."""
    infra.down()


@infra_app.command("status")
def infra_status() -> None:
    """Print each server's process number, null for one that does not run."""
    print(json.dumps(infra.status()))
