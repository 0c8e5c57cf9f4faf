"""Tells a past from the command line: whom to tell it, and how far it has come."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulation.backfill import Backfilled, backfill
from simulation.gateway import Gateway
from simulation.inventory import Unit


class BadAccount(Exception):
    """It does not say where to send the past; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where to send it and as whom; what is empty is not given."""

    gateway: str
    email: str
    password: str
    site_id: str


def account(given: Account, demo: Path | None) -> Account:
    """Return the account to use: what is given, the rest from the file of a local installation.

    Raises:
        BadAccount: something is missing, or the file is not one of ours.
    """
    if demo is not None:
        given = _completed(given, demo)
    for name, value in (
        ("gateway", given.gateway),
        ("email", given.email),
        ("password", given.password),
        ("site", given.site_id),
    ):
        if not value:
            raise BadAccount(f"--{name} is missing; or give --demo .local/demo.json.")
    return given


def tell(fleet: Sequence[Unit], account: Account, *, days: int) -> None:
    """Send the past with a progress bar, and print what became of it."""
    console = Console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    ) as bar:
        task = bar.add_task(f"{days} days", total=None)

        def advanced(sent: int, total: int) -> None:
            bar.update(task, completed=sent, total=total)

        async def send() -> Backfilled:
            async with Gateway(account.gateway, account.email, account.password) as gateway:
                return await backfill(
                    gateway,
                    account.site_id,
                    fleet,
                    days=days,
                    until=datetime.now(UTC),
                    advanced=advanced,
                )

        done = asyncio.run(send())
    console.print(
        f"{done.miners} machines: {done.stored} half-hours stored ({done.rows} rows), "
        f"{done.known} known before, {done.measured} left as telemetry saw them itself."
    )
    if done.missing:
        console.print(f"{done.missing} of the fleet's machines are not registered at the site.")


def _completed(given: Account, demo: Path) -> Account:
    try:
        found: dict[str, Any] = orjson.loads(demo.read_bytes())
        owner = found["users"]["owner"]
        return replace(
            given,
            gateway=given.gateway or str(found["gateway_url"]),
            email=given.email or str(owner["email"]),
            password=given.password or str(owner["password"]),
            site_id=given.site_id or str(found["site_id"]),
        )
    except OSError as error:
        raise BadAccount(f"{demo} cannot be read: {error.strerror}.") from error
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadAccount(f"{demo} is not the demo.json of an installation.") from error
