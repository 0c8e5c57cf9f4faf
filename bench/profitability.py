"""Profitability: a million rows in numpy, 10,000 over HTTP, and one calculation at 200 a second.

1. Rows a second of the domain function over 1,000,000 rows of their own (eleven figures each),
   beside the same formulas in a plain Python loop, and the original's 6,900 calculations a second.
2. A batch of 10,000 machines through HTTP, kept in the history: JSON columns, JSON rows, and CSV.
3. p95 of `POST /api/calculator/calculate` (model and market from warm caches) beside that of a
   trivial route of the same application, both at 200 requests a second on a fixed schedule,
   in turns.

The service runs as a process of its own on the test infrastructure and simulated providers.

    .venv/bin/python bench/profitability.py [--json FILE] [--rounds 5] [--seconds 4]
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
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from calculator.domain.profitability import Profitability, Scenarios, profitability
from common import auth, postgres
from common.bootstrap import bootstrap_sql
from common.clock import now
from common.ids import new_id

INFRA = Path(".local/test/infra.json")
KEY = secrets.token_hex(32)
ROWS = 1_000_000
LOOP_ROWS = 50_000
ORIGINAL_PER_S = 6_900
LEAST_PER_S = 2_000_000
BATCH_ROWS = 10_000
MOST_BATCH_S = 1.0
RATE_PER_S = 200
CONNECTIONS = 32
MOST_TIMES_TRIVIAL = 3.0
MODELS = ("S19 Pro", "S21", "S9", "M30S++", "A1366", "S21 XP Hyd", "T21", "M60S")

SERVER = """
import sys, uvicorn
from calculator.main import SERVICE
from common.app import service_app
from common.auth import Anyone
from common.settings import ServiceSettings
app = service_app(SERVICE, role="api")
@app.get("/api/calculator/trivial")
async def trivial(_: Anyone) -> dict:
    return {"fine": True}
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
            log_level="warning")
"""


def scenarios(length: int) -> Scenarios:
    """Return rows that all differ."""
    random = np.random.default_rng(7)
    ranges = {
        "hashrate_ths": (10, 600),
        "power_w": (800, 7_000),
        "electricity_usd_per_kwh": (0, 0.2),
        "btc_price_usd": (20_000, 250_000),
        "difficulty": (5e13, 3e14),
        "reward_btc": (3.125, 3.4),
        "pool_fee": (0, 0.04),
        "uptime": (0.8, 1),
        "stale": (0, 0.01),
        "other_opex_usd_per_day": (0, 1),
        "capex_usd": (100, 9_000),
    }
    return Scenarios(**{name: random.uniform(*ends, length) for name, ends in ranges.items()})


def loop(rows: list[tuple[float, ...]]) -> list[dict[str, float | None]]:
    """Calculate the same figures row by row, as one writes it without numpy."""
    found: list[dict[str, float | None]] = []
    for terahash, watts, tariff, price, difficulty, reward, fee, uptime, stale, opex, capex in rows:
        btc = terahash * 1e12 * 86_400 / (difficulty * 2**32) * reward
        btc *= (1 - fee) * (1 - stale) * uptime
        revenue = btc * price
        energy = watts * 0.024 * uptime
        electricity = energy * tariff
        cost = electricity + opex
        profit = revenue - cost
        found.append(
            {
                "btc_per_day": btc,
                "revenue_usd_per_day": revenue,
                "energy_kwh_per_day": energy,
                "electricity_usd_per_day": electricity,
                "cost_usd_per_day": cost,
                "profit_usd_per_day": profit,
                "margin_percent": profit / revenue * 100 if revenue else None,
                "break_even_usd_per_kwh": (revenue - opex) / energy if energy else None,
                "break_even_btc_price_usd": cost / btc if btc else None,
                "roi_percent_per_year": profit * 36_500 / capex if capex else None,
                "break_even_days": capex / profit if profit > 0 else None,
            }
        )
    return found


def domain(rounds: int) -> dict[str, Any]:
    """Return rows a second of the domain function and of the loop, medians of some rounds."""
    rows = scenarios(ROWS)
    columns = [getattr(rows, field.name)[:LOOP_ROWS].tolist() for field in fields(Scenarios)]
    tuples = list(zip(*columns, strict=True))
    checked = profitability(rows.part(0, LOOP_ROWS))
    looped = loop(tuples)
    for field in fields(Profitability):
        column = getattr(checked, field.name)
        theirs = np.array([row[field.name] for row in looped], dtype=np.float64)
        np.testing.assert_allclose(column, theirs, rtol=1e-9)
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        profitability(rows)
        ours.append(ROWS / (time.perf_counter() - began))
        began = time.perf_counter()
        loop(tuples)
        plain.append(LOOP_ROWS / (time.perf_counter() - began))
    per_s, loop_per_s = statistics.median(ours), statistics.median(plain)
    return {
        "rows_per_s": per_s,
        "loop_rows_per_s": loop_per_s,
        "times_loop": per_s / loop_per_s,
        "times_original": per_s / ORIGINAL_PER_S,
        "least_rows_per_s": LEAST_PER_S,
        "holds": per_s >= LEAST_PER_S,
    }


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def program(*command: str, env: dict[str, str]) -> Generator[None]:
    """Run a program for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **env}, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def database() -> Generator[dict[str, str]]:
    """Make a database of this run's own on the test infrastructure; give the settings for it."""
    places: dict[str, str] = json.loads(INFRA.read_text())
    name = f"bench_profitability_{os.getpid()}"
    base = places["postgres_dsn"].rpartition("/")[0]

    async def run(dsn: str, *statements: str) -> None:
        connection = await postgres.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run(places["postgres_dsn"], f"CREATE DATABASE {name}"))
    try:
        asyncio.run(run(f"{base}/{name}", *bootstrap_sql(["calculator"], {})))
        host = base.rpartition("@")[2]
        roles = {"": "app", "WORKER_": "worker", "OWNER_": "owner"}
        yield {
            f"CALCULATOR_{kind}DATABASE_URL": f"postgresql+asyncpg://calculator_{role}@{host}/{name}"
            for kind, role in roles.items()
        } | {
            "KAFKA_BOOTSTRAP": places["kafka_bootstrap"],
            "REDIS_URL": f"{places['redis_url']}/{os.getpid() % 900 + 50}",
        }
    finally:
        asyncio.run(run(places["postgres_dsn"], f"DROP DATABASE {name} WITH (FORCE)"))


def headers(kind: auth.Kind) -> dict[str, str]:
    """Return what the gateway would send with a request of somebody."""
    known = kind == "user"
    principal = auth.Principal(
        subject=new_id(),
        kind=kind,
        organisation_id=new_id() if known else auth.PLATFORM_ORGANISATION,
        client_id=None,
        role="Owner" if known else "",
        scopes=frozenset({"calculations:run", "calculations:read"}) if known else frozenset(),
        request_id="bench",
        expires_at=now() + timedelta(hours=1),
    )
    return {auth.HEADER: auth.mint(principal, audience="calculator", key=KEY, ttl_s=3_600)}


@contextmanager
def service() -> Generator[str]:
    """Run the service on simulated providers; give its address."""
    port, market = free_port(), free_port()
    provider = f"http://127.0.0.1:{market}"
    with database() as settings:
        env = settings | {
            "CALCULATOR_INTERNAL_KEY": KEY,
            "CALCULATOR_PORT": str(port),
            "CALCULATOR_OPS_PORT": str(free_port()),
            **{
                f"CALCULATOR_{name.upper()}_URL": f"{provider}/{name}"
                for name in ("coingecko", "blockchain", "mempool", "ankr")
            },
            "ENVIRONMENT": "test",
            "KAFKA_TOPIC_PREFIX": f"b{os.getpid()}.",
            "LOG_LEVEL": "WARNING",
        }
        subprocess.run(
            [sys.executable, "-m", "calculator", "migrate"],
            env={**os.environ, **env},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        address = f"http://127.0.0.1:{port}"
        with program("-m", "simulation", "upstreams", "--port", str(market), env={}):
            wait_for(f"{provider}/mempool/api/blocks/tip/height")
            with program("-c", SERVER, str(port), env=env):
                wait_for(f"{address}/api/calculator/trivial")
                yield address


def wait_for(url: str) -> None:
    """Wait until something answers without an error of its own."""
    for _ in range(300):
        try:
            answer = httpx.get(url, headers=headers("anonymous"), trust_env=False, timeout=2)
            if answer.status_code < 500:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    sys.exit(f"{url} does not answer")


def batch_bodies() -> dict[str, tuple[str, bytes]]:
    """Return the same 10,000 machines in three forms."""
    rows = [
        {
            "model": MODELS[number % len(MODELS)],
            "count": number % 7 + 1,
            "electricity_usd_per_kwh": round(0.03 + number % 50 / 1_000, 4),
            "capex_usd": 500 + number,
        }
        for number in range(BATCH_ROWS)
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return {
        "JSON columns": ("application/json", json.dumps({"columns": columns}).encode()),
        "JSON rows": ("application/json", json.dumps({"rows": rows}).encode()),
        "CSV": ("text/csv", "\n".join(lines).encode()),
    }


def batches(address: str, rounds: int) -> dict[str, Any]:
    """Return the seconds of a batch from request to whole answer, for each form."""
    found: dict[str, Any] = {}
    user = headers("user")
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for form, (kind, body) in batch_bodies().items():
            taken: list[float] = []
            for number in range(rounds + 1):
                began = time.perf_counter()
                answer = client.post(
                    "/api/calculator/batch/calculate",
                    content=body,
                    headers=user | {"Content-Type": kind},
                )
                seconds = time.perf_counter() - began
                if answer.status_code != 200 or answer.json()["succeeded"] != BATCH_ROWS:
                    sys.exit(f"{form}: {answer.status_code} {answer.text[:300]}")
                if number:  # the first warms up
                    taken.append(seconds)
            found[form] = {"seconds_median": statistics.median(taken), "seconds_worst": max(taken)}
    worst = max(form["seconds_worst"] for form in found.values())
    return {"forms": found, "most_seconds": MOST_BATCH_S, "holds": worst <= MOST_BATCH_S}


class Connection:
    """One kept-alive connection, with little work of its own: what is measured is the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> None:
        """Send a request and read the whole answer."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"{head.decode()} {body[:300].decode()}")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def requests(port: int, *, calculate: bool) -> list[bytes]:
    """Return the requests to be sent in turn."""
    name, token = next(iter(headers("anonymous").items()))
    common = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{name}: {token}\r\n"
    if not calculate:
        return [f"GET /api/calculator/trivial {common}\r\n".encode()]
    bodies = [json.dumps({"model": one, "electricity_usd_per_kwh": 0.05}) for one in MODELS]
    return [
        f"POST /api/calculator/calculate {common}Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        for body in bodies
    ]


async def at_rate(address: str, seconds: float, *, calculate: bool) -> list[float]:
    """Send requests on a fixed schedule; return each one's seconds from its appointed time."""
    port = int(address.rpartition(":")[2])
    asked = requests(port, calculate=calculate)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(Connection(*await asyncio.open_connection("127.0.0.1", port)))
    taken: list[float] = []

    async def one(number: int, due: float) -> None:
        connection = await free.get()
        await connection.ask(asked[number % len(asked)])
        taken.append(time.perf_counter() - due)
        free.put_nowait(connection)

    began = time.perf_counter() + 0.05
    async with asyncio.TaskGroup() as group:
        for number in range(round(seconds * RATE_PER_S)):
            due = began + number / RATE_PER_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    while not free.empty():
        free.get_nowait().close()
    return taken


def latency(address: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Return p50 and p95 of both routes, in turns; the ratio is the median of the rounds'."""
    p50: dict[str, list[float]] = {"trivial": [], "calculate": []}
    p95: dict[str, list[float]] = {"trivial": [], "calculate": []}
    for number in range(rounds + 1):
        for name in ("trivial", "calculate"):
            taken = uvloop.run(at_rate(address, seconds, calculate=name == "calculate"))
            if number:  # the first round warms up
                p50[name].append(float(np.percentile(taken, 50)))
                p95[name].append(float(np.percentile(taken, 95)))
    ratios = [ours / theirs for ours, theirs in zip(p95["calculate"], p95["trivial"], strict=True)]
    ratio = statistics.median(ratios)
    return {
        "p50_ms": {name: statistics.median(found) * 1_000 for name, found in p50.items()},
        "p95_ms": {name: statistics.median(found) * 1_000 for name, found in p95.items()},
        "ratios": ratios,
        "times_trivial": ratio,
        "most_times_trivial": MOST_TIMES_TRIVIAL,
        "holds": ratio <= MOST_TIMES_TRIVIAL,
    }


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    console = Console()
    table = Table("1,000,000 rows of eleven figures", "rows/s", "times")
    rows = result["domain"]
    table.add_row("domain function", f"{rows['rows_per_s']:,.0f}", "")
    table.add_row("plain loop", f"{rows['loop_rows_per_s']:,.0f}", f"{rows['times_loop']:.0f}")
    table.add_row("the original", f"{ORIGINAL_PER_S:,}", f"{rows['times_original']:,.0f}")
    console.print(table)
    table = Table("10,000 rows through HTTP", "median s", "worst s")
    for form, taken in result["batch"]["forms"].items():
        table.add_row(form, f"{taken['seconds_median']:.2f}", f"{taken['seconds_worst']:.2f}")
    console.print(table)
    table = Table(f"at {RATE_PER_S} requests/s", "p50 ms", "p95 ms")
    for name in ("trivial", "calculate"):
        p50, p95 = (result["latency"][kind][name] for kind in ("p50_ms", "p95_ms"))
        table.add_row(name, f"{p50:.2f}", f"{p95:.2f}")
    console.print(table)
    times = result["latency"]["times_trivial"]
    told = {
        "domain": f"{rows['rows_per_s'] / 1e6:.1f} M rows/s (at least {LEAST_PER_S / 1e6:.0f} M)",
        "batch": f"a batch of {BATCH_ROWS:,} rows takes at most {MOST_BATCH_S:.0f} s",
        "latency": f"p95 of calculate / trivial: {times:.2f} (at most {MOST_TIMES_TRIVIAL:.0f})",
    }
    for name, figure in told.items():
        console.print(f"{figure}: {'holds' if result[name]['holds'] else 'FAILS'}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    result: dict[str, Any] = {"domain": domain(options.rounds)}
    with service() as address:
        result["batch"] = batches(address, options.rounds)
        result["latency"] = latency(address, options.rounds, options.seconds)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    sys.exit(0 if all(figure["holds"] for figure in result.values()) else 1)


if __name__ == "__main__":
    main()
