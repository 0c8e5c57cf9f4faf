"""The command line: one command per make target."""

import json

import typer

from launcher import infra

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
infra_app = typer.Typer(no_args_is_help=True, help="PostgreSQL, Redis and Kafka for tests.")
app.add_typer(infra_app, name="infra")


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
