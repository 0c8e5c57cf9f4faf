"""Starts, stops and shows everything on one machine: one command per make target."""

import json

import typer

from launcher import checks, infra, suite
from launcher.kafka import fetch_jars

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
infra_app = typer.Typer(no_args_is_help=True, help="PostgreSQL, Redis and Kafka for tests.")
app.add_typer(infra_app, name="infra")


@app.command()
def fetch() -> None:
    """Fetch Kafka's jars and check them against the committed checksums."""
    fetch_jars()


@app.command()
def check() -> None:
    """Run every check that needs no test."""
    raise typer.Exit(not checks.check())


@app.command("test")
def run_tests(part: str | None = None, keyword: str | None = None, *, long: bool = False) -> None:
    """Run the suite, or a part of it."""
    raise typer.Exit(not suite.run(part, keyword, long=long))


@infra_app.command("up")
def infra_up() -> None:
    """Start what does not run; prints the addresses."""
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
