"""Sends a fleet's told past to the running system, some half-hours at a time.

What the system knows already it leaves as it is, so a broken run is simply started again.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import Any

from simulation.gateway import Gateway, GatewayRefused
from simulation.history import HalfHour, history
from simulation.inventory import Unit

ROWS_PER_REQUEST = 9_000  # a third of a megabyte, and about a second of work
MAX_HALF_HOURS = 48  # what one request takes
AT_ONCE = 3


@dataclass(slots=True)
class Backfilled:
    """What became of it, in half-hours of the site."""

    miners: int
    missing: int  # of the fleet, not registered at the site
    stored: int = 0
    known: int = 0
    measured: int = 0
    rows: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        self.stored += answer["half_hours_stored"]
        self.known += answer["half_hours_known"]
        self.measured += answer["half_hours_measured"]
        self.rows += answer["rows_stored"]


Advanced = Callable[[int, int], None]


async def backfill(
    gateway: Gateway,
    site_id: str,
    fleet: Sequence[Unit],
    *,
    days: int,
    until: datetime,
    advanced: Advanced,
) -> Backfilled:
    """Send the days before `until`; calls `advanced(rows sent, rows in all)` as it goes.

    Raises:
        GatewayRefused: something was refused; what had been sent is stored.
    """
    ids = {miner["serial_number"]: miner["id"] async for miner in gateway.miners(site_id)}
    present = [unit for unit in fleet if unit.serial_number in ids]
    if not present:
        raise GatewayRefused(
            f"None of the fleet's {len(fleet)} machines is registered at site {site_id}. "
            "Are --seed, --mix and --site those of the registered fleet?"
        )
    done = Backfilled(miners=len(present), missing=len(fleet) - len(present))
    miner_ids = [ids[unit.serial_number] for unit in present]
    total = len(present) * days * 48
    chunks = _chunks(history(present, days, until=until), len(present))

    async def send_chunks() -> None:
        for half_hours in chunks:  # shared: whoever is free takes the next
            order = {"site_id": site_id, "miner_ids": miner_ids, "half_hours": half_hours}
            done.add(await gateway.call("POST", "/api/telemetry/history", order))
            nonlocal sent
            sent += len(half_hours) * len(present)
            advanced(sent, total)

    sent = 0
    advanced(0, total)
    try:
        async with asyncio.TaskGroup() as senders:
            for _ in range(AT_ONCE):
                senders.create_task(send_chunks())
    except ExceptionGroup as failed:
        refusals, others = failed.split(GatewayRefused)
        if others is not None or refusals is None:
            raise
        raise refusals.exceptions[0] from None  # several senders meet the same refusal
    return done


def _chunks(rows: Iterable[HalfHour], machines: int) -> Iterator[list[dict[str, Any]]]:
    """Cut the past into requests; the rows of one start come together."""
    size = max(1, min(MAX_HALF_HOURS, ROWS_PER_REQUEST // machines))
    columns = (_columns(at, list(of_it)) for at, of_it in groupby(rows, lambda row: row.starts_at))
    while chunk := list(islice(columns, size)):
        yield chunk


def _columns(starts_at: datetime, rows: Sequence[HalfHour]) -> dict[str, Any]:
    return {
        "starts_at": starts_at.isoformat(),
        "kwh": [_rounded(row.kwh) for row in rows],
        "th_h": [_rounded(row.th_h) for row in rows],
        "state": [row.state for row in rows],
        "coverage": [row.coverage for row in rows],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
