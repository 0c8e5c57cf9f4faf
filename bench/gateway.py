"""The gateway against what it stands in front of, in one run on loopback.

1. CPU per request of the gateway (token verified from its cache, rate limit on, metrics on) beside
   the CPU that the trivial FastAPI handler behind it spends on the same requests.
2. Throughput beside the textbook gateway, FastAPI with a streaming httpx client, before the same
   handler.

Rounds of both are interleaved; the figures are medians. CPU is read from the kernel's scheduler
(nanoseconds on a core), so that other programs on the machine disturb it little.

    .venv/bin/python bench/gateway.py [--json FILE] [--rounds 5] [--requests 4000]
"""

import argparse
import asyncio
import base64
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from common import postgres
from common.bootstrap import bootstrap_sql

INFRA = Path(".local/test/infra.json")
PASSWORD = secrets.token_urlsafe(18)
PEER_SHARE = 8
"""The textbook gateway gets this many times fewer requests: it is that much slower."""
ROUND_LIMIT_S = 20.0

HANDLER = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
ANSWER = {"items": [{"id": i, "name": f"miner {i}", "power_w": 3400} for i in range(20)]}
@app.get("/api/hosting/trivial")
async def trivial() -> dict:
    return ANSWER
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
            log_level="warning")
"""
TEXTBOOK = """
import sys, httpx, uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
app = FastAPI()
client = httpx.AsyncClient(base_url=sys.argv[2], timeout=30)
DROP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}
@app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def proxy(path: str, request: Request) -> StreamingResponse:
    headers = [(k, v) for k, v in request.headers.raw if k.decode() not in DROP]
    outgoing = client.build_request(request.method, "/" + path, headers=headers,
                                    params=request.query_params, content=await request.body())
    answer = await client.send(outgoing, stream=True)
    kept = {k: v for k, v in answer.headers.items() if k.lower() not in DROP}
    async def body():
        async for chunk in answer.aiter_raw():
            yield chunk
        await answer.aclose()
    return StreamingResponse(body(), answer.status_code, kept)
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
            log_level="warning")
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One burst of requests through one program."""

    requests: int
    seconds: float
    front_us: float
    handler_us: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class Client(asyncio.Protocol):
    """One connection that sends the same request again and again, with little work of its own."""

    def __init__(self, request: bytes, budget: "Budget") -> None:
        self._request = request
        self._budget = budget
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Send the next request when a whole answer is there."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or not _whole(head, body):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._budget.fail(head.decode("latin-1").splitlines()[0])
        self._buffer = b""
        self._budget.done += 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        """Count as finished."""
        self._budget.leave()

    def _next(self) -> None:
        if self._budget.take():
            self._transport.write(self._request)
        else:
            self._transport.close()


class Budget:
    """How many requests are still to be sent, by when, and who is still at it."""

    def __init__(self, requests: int, connections: int) -> None:
        self.left = requests
        self.done = 0
        self.finished = asyncio.Event()
        self.failure: str | None = None
        self._connections = connections
        self._deadline = time.monotonic() + ROUND_LIMIT_S

    def take(self) -> bool:
        """Claim one request."""
        if self.left <= 0 or self.failure or time.monotonic() > self._deadline:
            return False
        self.left -= 1
        return True

    def fail(self, reason: str) -> None:
        """Stop: an answer other than 200 measures nothing."""
        self.failure = reason

    def leave(self) -> None:
        """One connection has ended."""
        self._connections -= 1
        if not self._connections:
            self.finished.set()


def _whole(head: bytes, body: bytes) -> bool:
    lowered = head.lower()
    marker = lowered.find(b"content-length:")
    if marker >= 0:
        return len(body) >= int(lowered[marker + 15 :].split(b"\r\n", 1)[0])
    return body.endswith(b"0\r\n\r\n")


def cpu_ns(pid: int) -> int:
    """Return the time that a process has been on a core."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


async def burst(
    port: int, request: bytes, *, requests: int, connections: int, front: int, handler: int
) -> Round:
    """Send a number of requests over some connections."""
    loop = asyncio.get_running_loop()
    budget = Budget(requests, connections)
    before = cpu_ns(front), cpu_ns(handler)
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(request, budget), "127.0.0.1", port)
    await budget.finished.wait()
    seconds = time.perf_counter() - began
    if budget.failure:
        sys.exit(f"port {port} answered {budget.failure}")
    front_us = (cpu_ns(front) - before[0]) / 1000 / budget.done
    handler_us = (cpu_ns(handler) - before[1]) / 1000 / budget.done
    return Round(budget.done, seconds, front_us, handler_us)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def program(*command: str, env: dict[str, str] | None = None) -> Generator[int]:
    """Run a program for as long as the block lasts; give its process id."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str) -> None:
    """Wait until something answers without an error of its own."""
    for _ in range(300):
        try:
            if httpx.get(url, trust_env=False, timeout=2).status_code < 500:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    sys.exit(f"{url} does not answer")


@contextmanager
def database() -> Generator[tuple[dict[str, str], dict[str, str]]]:
    """Make a database of this run's own on the test infrastructure; give its addresses."""
    places: dict[str, str] = json.loads(INFRA.read_text())
    name = f"bench_gateway_{os.getpid()}"
    base = places["postgres_dsn"].rpartition("/")[0]

    async def run(dsn: str, *statements: str) -> None:
        connection = await postgres.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run(places["postgres_dsn"], f"CREATE DATABASE {name}"))
    try:
        asyncio.run(run(f"{base}/{name}", *bootstrap_sql(["gateway"], {})))
        host = base.rpartition("@")[2]
        roles = {"": "app", "WORKER_": "worker", "OWNER_": "owner"}
        yield (
            places,
            {
                f"GATEWAY_{kind}DATABASE_URL": f"postgresql+asyncpg://gateway_{role}@{host}/{name}"
                for kind, role in roles.items()
            },
        )
    finally:
        asyncio.run(run(places["postgres_dsn"], f"DROP DATABASE {name} WITH (FORCE)"))


def environment(places: dict[str, str], port: int, handler: int) -> dict[str, str]:
    """Return the gateway's settings: everything on, the limit out of reach."""
    return {
        "GATEWAY_INTERNAL_KEY": secrets.token_hex(32),
        "GATEWAY_PORT": str(port),
        "GATEWAY_OPS_PORT": str(free_port()),
        "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "GATEWAY_UPSTREAMS": json.dumps({"hosting": f"http://127.0.0.1:{handler}"}),
        "GATEWAY_UPSTREAM_KEYS": json.dumps({"hosting": secrets.token_hex(32)}),
        "GATEWAY_SIGNING_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "GATEWAY_API_KEY_PEPPER": secrets.token_hex(32),
        "GATEWAY_ADMIN_EMAIL": "admin@example.com",
        "GATEWAY_ADMIN_PASSWORD": PASSWORD,
        "GATEWAY_USER_RATE_PER_S": "50000",
        "GATEWAY_USER_BURST": "100000",
        "ENVIRONMENT": "test",
        "KAFKA_BOOTSTRAP": places["kafka_bootstrap"],
        "KAFKA_TOPIC_PREFIX": f"b{os.getpid()}.",
        "REDIS_URL": places["redis_url"],
        "LOG_LEVEL": "WARNING",
    }


def log_in(port: int) -> str:
    """Return an access token."""
    answer = httpx.post(
        f"http://127.0.0.1:{port}/api/auth/token",
        json={"email": "admin@example.com", "password": PASSWORD},
        trust_env=False,
    )
    return str(answer.raise_for_status().json()["access_token"])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds and return what they say."""
    ports = {name: free_port() for name in ("handler", "gateway", "textbook")}
    with (
        database() as (places, dsns),
        program("-c", HANDLER, str(ports["handler"])) as handler,
    ):
        env = {**dsns, **environment(places, ports["gateway"], ports["handler"])}
        subprocess.run(
            [sys.executable, "-m", "gateway", "migrate"],
            env={**os.environ, **env},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (
            program("-m", "gateway", "serve", "--role", "api", env=env) as gateway,
            program(
                "-c", TEXTBOOK, str(ports["textbook"]), f"http://127.0.0.1:{ports['handler']}"
            ) as textbook,
        ):
            wait_for(f"http://127.0.0.1:{ports['gateway']}/")
            wait_for(f"http://127.0.0.1:{ports['textbook']}/api/hosting/trivial")
            fronts = {"gateway": gateway, "textbook": textbook, "direct": handler}
            return rounds(options, ports, fronts, handler)


def rounds(
    options: argparse.Namespace, ports: dict[str, int], fronts: dict[str, int], handler: int
) -> dict[str, Any]:
    """Interleave the three ways to the handler."""
    taken: dict[str, list[Round]] = {name: [] for name in fronts}
    ports = {**ports, "direct": ports["handler"]}
    token = log_in(ports["gateway"])
    for number in range(options.rounds + 1):
        for name, pid in fronts.items():
            host = f"127.0.0.1:{ports[name]}"
            request = (
                f"GET /api/hosting/trivial HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
                f"User-Agent: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
            ).encode()
            share = PEER_SHARE if name == "textbook" else 1
            if number == 0:
                share *= 4
            one = uvloop.run(
                burst(
                    ports[name],
                    request,
                    requests=options.requests // share,
                    connections=options.connections,
                    front=pid,
                    handler=handler,
                )
            )
            if number:  # the first round warms up
                taken[name].append(one)
    return summary(taken)


def summary(taken: dict[str, list[Round]]) -> dict[str, Any]:
    """Return the medians and the two ratios."""

    def median(name: str, value: str) -> float:
        return statistics.median(float(getattr(one, value)) for one in taken[name])

    ratios = [one.front_us / one.handler_us for one in taken["gateway"]]
    faster = [
        ours.per_second / theirs.per_second
        for ours, theirs in zip(taken["gateway"], taken["textbook"], strict=True)
    ]
    return {
        "rows": {
            name: {
                "requests_per_s": median(name, "per_second"),
                "front_us_per_request": median(name, "front_us"),
                "handler_us_per_request": median(name, "handler_us"),
            }
            for name in taken
        },
        "cpu_ratio": statistics.median(ratios),
        "cpu_ratio_limit": 1.2,
        "times_textbook": statistics.median(faster),
        "times_textbook_limit": 4.0,
        "rounds": {name: [asdict(one) for one in found] for name, found in taken.items()},
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("way to the handler", "requests/s", "front CPU µs", "handler CPU µs")
    titles = {
        "gateway": "gateway: auth and limit on",
        "textbook": "FastAPI + httpx, streaming",
        "direct": "no gateway",
    }
    for name, row in result["rows"].items():
        front = "-" if name == "direct" else f"{row['front_us_per_request']:.0f}"
        table.add_row(
            titles[name],
            f"{row['requests_per_s']:,.0f}",
            front,
            f"{row['handler_us_per_request']:.0f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"CPU per request, gateway ÷ handler: {result['cpu_ratio']:.2f} (at most 1.20)\n"
        f"Throughput, gateway ÷ FastAPI + httpx: {result['times_textbook']:.1f} (at least 4)"
    )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    result = measure(options)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    good = (
        result["cpu_ratio"] <= result["cpu_ratio_limit"]
        and result["times_textbook"] >= result["times_textbook_limit"]
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
