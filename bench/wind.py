"""Curtailed wind: one day from Elexon to every summary, a year from kept answers, days flat.

1. One busy day of some 4,300 stack rows: fetched from the simulated Elexon at 50 ms a call, with
   3 miner models, all summaries, verified. The original needs 2 to 5 minutes for such a day. Beside
   it the physical limit: its 98 calls, eight at a time, of 50 ms each.
2. A year from answers that are kept already: `python -m energy wind calculate --from … --to …`, a
   process of its own whose memory is measured. Every day is that busy day once more, re-dated,
   which no real year comes near.
3. The cost of one more such day where nothing is, and behind 3,650 days of history in the same
   tables, laid by SQL; each of them is a tenth of a busy day. `--flat` measures this alone, behind
   whole busy days (some 30 million rows: minutes to lay, and gigabytes of disk).

With fewer `--days` than a year, what the command takes for a single day is counted as its start,
and the rest is scaled to 365 days; the table then says so.

The machine is shared: a calibration loop tells how fast it was meanwhile.

    .venv/bin/python bench/wind.py [--json FILE] [--rounds 5] [--days 365]
        [--flat] [--ballast-days 3650] [--ballast-part 10]
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text

from common import migrations, postgres
from common.auth import PLATFORM_ORGANISATION
from common.bootstrap import bootstrap_sql
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from energy.facts.models import MinerModel, NetworkEpoch
from energy.main import SERVICE
from energy.settings import Settings
from energy.wind.answers import read_stack
from energy.wind.days import apply_day
from energy.wind.elexon import Told
from energy.wind.fetching import SIDES, keep_answers, stamp_of
from energy.wind.miners import Miner, miners_named
from energy.wind.orders import Order
from energy.wind.processing import carry_out
from energy.wind.sums import roll_up
from simulation.elexon.days import Britain
from simulation.elexon.settlement import Run
from simulation.elexon.stack import Side, stack

INFRA = Path(".local/test/infra.json")
BUSY = date(2025, 3, 4)
FIRST = date(2024, 4, 1)
NAMES = ["S19J_PRO", "M20S", "S9"]
MODELS = (("S19J_PRO", 100.0, 3050.0), ("M20S", 68.0, 3360.0), ("S9", 13.5, 1323.0))
DELAY_MS = 50
PARALLEL = 8
MOST_DAY_S, MOST_YEAR_S, MOST_MB, MOST_TIMES = 3.0, 180.0, 300.0, 1.5
ORIGINAL_S = (120.0, 300.0)
YEAR_DAYS = 365
USUAL_PART = 10


@dataclass(frozen=True, slots=True)
class World:
    """What a run needs: the service's runtime, and how a process of it is started."""

    runtime: Runtime
    environment: dict[str, str]
    port: int


def calibration() -> float:
    """Return the milliseconds of a fixed piece of work, about 100 on a free core of ours."""
    began = time.perf_counter()
    total = Decimal()
    for number in range(400_000):
        total += Decimal(number)
    return (time.perf_counter() - began) * 1000


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def elexon(port: int) -> Generator[None]:
    """Run the simulated Elexon as a process of its own."""
    arguments = ["--port", str(port), "--delay-ms", str(DELAY_MS), "--seed", "7"]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulation", "elexon", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def world() -> Generator[World]:
    """Make a database of this run's own on the test infrastructure."""
    places: dict[str, str] = json.loads(INFRA.read_text())
    name = f"bench_wind_{os.getpid()}"
    base = places["postgres_dsn"].rpartition("/")[0]

    async def run(dsn: str, *statements: str) -> None:
        connection = await postgres.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run(places["postgres_dsn"], f"CREATE DATABASE {name}"))
    port = free_port()
    host = base.rpartition("@")[2]
    roles = {"": "app", "WORKER_": "worker", "OWNER_": "owner"}
    environment = {
        f"ENERGY_{kind}DATABASE_URL": f"postgresql+asyncpg://energy_{role}@{host}/{name}"
        for kind, role in roles.items()
    } | {
        "ENERGY_INTERNAL_KEY": secrets.token_hex(32),
        "ENERGY_PORT": "1",
        "ENERGY_OPS_PORT": "2",
        "ENERGY_ELEXON_URL": f"http://127.0.0.1:{port}/bmrs/api/v1",
        "ENERGY_WIND_RATE_PER_S": "1000",
        "ENERGY_WIND_PARALLEL": str(PARALLEL),
        "ENERGY_WIND_BATCH_PERIODS": "50",
        "ENVIRONMENT": "test",
        "LOG_LEVEL": "ERROR",
        "KAFKA_BOOTSTRAP": places["kafka_bootstrap"],
        "REDIS_URL": places["redis_url"],
    }
    try:
        asyncio.run(run(f"{base}/{name}", *bootstrap_sql(["energy"], {})))
        os.environ.update(environment)
        settings = Settings()  # pyright: ignore[reportCallIssue]  (read from the environment)
        owner = environment["ENERGY_OWNER_DATABASE_URL"]
        migrations.migrate(SERVICE.versions, SERVICE.metadata, owner)
        with elexon(port):
            yield World(Runtime("energy", settings), environment, port)
    finally:
        asyncio.run(run(places["postgres_dsn"], f"DROP DATABASE {name} WITH (FORCE)"))


async def tell_facts(runtime: Runtime) -> None:
    """Tell what the calculator would: three models, and an epoch every two weeks."""
    begin = datetime(2013, 1, 1, tzinfo=UTC)
    epochs = [
        {
            "height": 201_600 + 2016 * n,
            "next_height": 201_600 + 2016 * (n + 1),
            "started_at": begin + timedelta(days=14 * n),
            "difficulty": Decimal(108105433845147),
            "subsidy_btc": Decimal("3.125"),
            "simulated": True,
            "version": 1,
            "organisation_id": PLATFORM_ORGANISATION,
        }
        for n in range(360)
    ]
    models: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "organisation_id": PLATFORM_ORGANISATION,
            "name": name,
            "manufacturer": "",
            "aliases": [],
            "hashrate_ths": hashrate,
            "power_w": power,
            "removed": False,
            "version": 1,
        }
        for name, hashrate, power in MODELS
    ]
    async with runtime.worker_session() as session:
        await session.execute(insert(NetworkEpoch), epochs)
        await session.execute(insert(MinerModel), models)


async def one_day(runtime: Runtime, rounds: int) -> dict[str, Any]:
    """Measure a day from the first call to the verified report, each time from nothing."""
    order = Order(kind="reingest", first=BUSY, last=BUSY, outputs=False)
    whole = Order(kind="reingest", first=BUSY, last=BUSY, outputs=True)
    seconds: list[float] = []
    report: dict[str, Any] = {}
    for number in range(rounds + 1):
        await forget(runtime)
        began = time.perf_counter()
        report = await carry_out(runtime, order, "command")
        if number:  # the first also takes the register of units
            seconds.append(time.perf_counter() - began)
        assert report["complete"], report
    began = time.perf_counter()
    await carry_out(runtime, order, "command")
    again = time.perf_counter() - began
    await forget(runtime)
    began = time.perf_counter()
    await carry_out(runtime, whole, "command")
    with_outputs = time.perf_counter() - began
    async with runtime.worker_session() as session:
        rows = await session.scalar(text("SELECT sum(rows) FROM energy.settlement_periods"))
    limit = (2 * 48 + 2) / PARALLEL * DELAY_MS / 1000
    middle = statistics.median(seconds)
    return {
        "stack_rows": rows,
        "records": report["records"],
        "calculations": sum(model["rows"] for model in report["models"].values()),
        "seconds": middle,
        "fastest_s": min(seconds),
        "again_s": again,
        "with_notifications_and_meters_s": with_outputs,
        "limit_s": limit,
        "times_limit": middle / limit,
        "times_original": ORIGINAL_S[0] / middle,
        "most_s": MOST_DAY_S,
        "holds": middle <= MOST_DAY_S,
    }


async def forget(runtime: Runtime) -> None:
    """Forget all days; the register of units stays."""
    tables = await _tables(runtime)
    async with runtime.worker_session() as session:
        for table in tables:
            await session.execute(text(f"DELETE FROM energy.{table}"))


async def _tables(runtime: Runtime) -> list[str]:
    query = text(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'energy' "
        "AND column_name IN ('settlement_date', 'summary_date', 'year_month', 'year') "
        "GROUP BY 1"
    )
    async with runtime.worker_session() as session:
        return list(await session.scalars(query))


def busy_bodies() -> dict[tuple[str, int], bytes]:
    """Return the stacks of the busy day as they go over the wire."""
    britain = Britain(7)
    return {
        (f"stack/{side}", period): orjson.dumps(
            {"data": stack(britain, BUSY, period, Side(side), Run.RF)}
        )
        for side in SIDES
        for period in range(1, 49)
    }


async def keep_days(runtime: Runtime, days: list[date], part: int = 1) -> None:
    """Keep answers of days, all of them the busy day re-dated; `part`: only every nth row of it."""
    bodies = busy_bodies()
    if part > 1:
        bodies = {
            place: orjson.dumps({"data": orjson.loads(body)["data"][::part]})
            for place, body in bodies.items()
        }
    read = {place: read_stack(body, BUSY, place[1]) for place, body in bodies.items()}
    for day in days:
        old, new = BUSY.isoformat().encode(), day.isoformat().encode()
        given = [
            (
                dataset,
                period,
                Told(body.replace(old, new), read[dataset, period], now(), simulated=True),
                stamp_of(read[dataset, period]),
            )
            for (dataset, period), body in bodies.items()
        ]
        async with runtime.worker_session() as session:
            await keep_answers(session, day, given)


def usual_days(first: date, count: int) -> list[date]:
    """Return days from a first one on, without those of the clock change."""
    days: list[date] = []
    while len(days) < count:
        if not (first.month in (3, 10) and first.day >= 25 and first.isoweekday() == 7):
            days.append(first)
        first += timedelta(days=1)
    return days


def a_year(place: World, days: int) -> dict[str, Any]:
    """Measure the command over kept answers, and the most memory that it took."""
    kept = usual_days(FIRST, days)
    asyncio.run(_clean(place.runtime))
    asyncio.run(_keep(place.runtime, kept))
    start, _ = _calculate(place, kept[0], kept[0]) if days != YEAR_DAYS else (0.0, 0.0)
    seconds, megabytes = _calculate(place, kept[0], kept[-1])
    scaled = start + (seconds - start) * YEAR_DAYS / days
    return {
        "days": days,
        "seconds": seconds,
        "seconds_of_365_days": scaled,
        "scaled": days != YEAR_DAYS,
        "days_per_s": days / seconds,
        "megabytes": megabytes,
        "most_s": MOST_YEAR_S,
        "most_mb": MOST_MB,
        "holds": scaled <= MOST_YEAR_S and megabytes <= MOST_MB,
    }


def _calculate(place: World, first: date, last: date) -> tuple[float, float]:
    """Run the command; return its seconds, and the most megabytes that it held."""
    command = ["-m", "energy", "wind", "calculate", "--from", str(first), "--to", str(last)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **place.environment},
        stdout=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - began, usage.ru_maxrss / 1024


async def _clean(runtime: Runtime) -> None:
    tables = await _tables(runtime)
    async with runtime.worker_session() as session:
        for table in tables:
            await session.execute(text(f"DELETE FROM energy.{table}"))
    await runtime.worker_engine.dispose()


async def _keep(runtime: Runtime, days: list[date]) -> None:
    await keep_days(runtime, days)
    await runtime.worker_engine.dispose()


async def flatness(
    runtime: Runtime, rounds: int, ballast_days: int, part: int, console: Console
) -> dict[str, Any]:
    """Measure one more day at the beginning of history, and at its end."""
    await forget(runtime)
    miners = await miners_named(runtime, NAMES, NAMES)
    early = await _days_of(runtime, usual_days(date(2014, 1, 1), rounds), miners)
    ballast = usual_days(date(2014, 2, 1), ballast_days)
    await keep_days(runtime, ballast[:1], part)
    await apply_day(runtime, ballast[0], miners)
    began = time.perf_counter()
    await lay_history(runtime, ballast[0], ballast[1:], console)
    laid = time.perf_counter() - began
    late = await _days_of(runtime, usual_days(ballast[-1] + timedelta(days=1), rounds), miners)
    return {
        "day_1_s": early,
        f"day_{ballast_days}_s": late,
        "ballast_days": ballast_days,
        "ballast_part": part,
        "ballast_laid_s": laid,
        "times": late / early,
        "most_times": MOST_TIMES,
        "holds": late / early <= MOST_TIMES,
    }


async def lay_history(runtime: Runtime, model: date, days: list[date], console: Console) -> None:
    """Lay days that are all like one, by SQL in every table that the day is in."""
    copying = [await _copying(runtime, table, day) for table, day in await _tables_by_day(runtime)]
    for number in range(0, len(days), 50):
        some = days[number : number + 50]
        async with runtime.worker_session() as session:
            for statement in copying:
                await session.execute(text(statement), {"model": model, "days": some})
            for day in {(day.year, day.month): day for day in some}.values():
                await roll_up(session, day)
        console.print(f"  {number + len(some)} of {len(days)} days of history", end="\r")
    # What autovacuum would have done in the ten years.
    owner = await postgres.connect(
        os.environ["ENERGY_OWNER_DATABASE_URL"].replace("postgresql+asyncpg", "postgresql")
    )
    await owner.execute("ANALYZE")
    await owner.close()


async def _tables_by_day(runtime: Runtime) -> list[tuple[str, str]]:
    """Return the tables that have days, each with the column that says which."""
    query = text(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'energy' AND column_name IN ('settlement_date', 'summary_date')"
    )
    async with runtime.worker_session() as session:
        return [(table, day) for table, day in await session.execute(query)]


async def _copying(runtime: Runtime, table: str, day: str) -> str:
    """Return the statement that copies a day's rows of a table to other days."""
    query = text(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'energy' "
        "AND table_name = :table AND is_identity = 'NO'"
    )
    async with runtime.worker_session() as session:
        columns = list(await session.scalars(query, {"table": table}))
    moved = {
        day: "d.day",
        "starts_at": "x.starts_at + (d.day - x.settlement_date) * interval '1 d'",
    }
    values = ", ".join(moved.get(name, f"x.{name}") for name in columns)
    return (
        f"INSERT INTO energy.{table} ({', '.join(columns)}) SELECT {values} FROM energy.{table} x "
        f"CROSS JOIN unnest(CAST(:days AS date[])) d (day) WHERE x.{day} = :model"
    )


async def _days_of(runtime: Runtime, days: list[date], miners: list[Miner]) -> float:
    await keep_days(runtime, days)
    seconds: list[float] = []
    for day in days:
        began = time.perf_counter()
        await apply_day(runtime, day, miners)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def show(console: Console, title: str, result: dict[str, Any]) -> None:
    """Print a result as a table."""
    table = Table(title=title)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in result.items():
        told = f"{value:,.3f}" if isinstance(value, float) else str(value)
        table.add_row(name.replace("_", " "), told)
    console.print(table)


async def _in_one_loop(place: World, given: argparse.Namespace, console: Console) -> dict[str, Any]:
    await tell_facts(place.runtime)
    results: dict[str, Any] = {}
    if not given.flat:
        results["day"] = await one_day(place.runtime, given.rounds)
        show(console, "one day, from Elexon to the verified report", results["day"])
    part = given.ballast_part or (1 if given.flat else USUAL_PART)
    flat = await flatness(place.runtime, given.rounds, given.ballast_days, part, console)
    show(console, "one more day, at the beginning and at the end of history", flat)
    await place.runtime.close()
    return results | {"flat": flat}


def main() -> None:
    """Measure, print, and write JSON; exit 1 when a limit does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--days", type=int, default=YEAR_DAYS)
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--ballast-days", type=int, default=3650)
    parser.add_argument("--ballast-part", type=int)
    given = parser.parse_args()
    console = Console()
    before = calibration()
    with world() as place:
        results = asyncio.run(_in_one_loop(place, given, console))
        if not given.flat:
            settings = Settings()  # pyright: ignore[reportCallIssue]  (read from the environment)
            year_place = World(Runtime("energy", settings), place.environment, place.port)
            results["year"] = a_year(year_place, given.days)
            show(console, "a year from kept answers, by the command", results["year"])
    results["calibration_ms"] = {"before": before, "after": calibration()}
    console.print(f"calibration loop: {before:.0f} ms before, {calibration():.0f} ms after")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    if not all(results[name]["holds"] for name in ("day", "flat", "year") if name in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
