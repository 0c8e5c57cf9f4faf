"""A past told to a small gateway on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from simulation.cli import app
from simulation.gateway import Gateway, GatewayRefused
from simulation.inventory import FleetSpec, units

SITE = "0198-site"
FLEET = ["--miners", "5", "--seed", "3", "--mix", "luxos=1"]
SERIALS = [unit.serial_number for unit in units(FleetSpec(miners=5, seed=3, mix={"luxos": 1.0}))]
OWNER = {"email": "owner@hashyard.example", "password": "right"}


class SmallGateway:
    """Keeps what it is told, pages by two, and lets its first token run out at once."""

    def __init__(self) -> None:
        self.url = ""
        self.logins = 0
        self.calls = 0
        self.registered = dict(enumerate(SERIALS))
        self.ledger: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.refusals: list[web.Response] = []

    async def log_in(self, request: web.Request) -> web.Response:
        if await request.json() != OWNER:
            return _problem(401, "unauthenticated", "The e-mail or the password is wrong.")
        self.logins += 1
        return web.json_response({"access_token": f"token-{self.logins}", "expires_in": 300})

    async def miners(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        assert request.query["site_id"] == SITE
        first = int(request.query["cursor"] or 0)
        items = [{"id": f"id-{n}", "serial_number": s} for n, s in self.registered.items()]
        more = str(first + 2) if first + 2 < len(items) else None
        return web.json_response({"items": items[first : first + 2], "next_cursor": more})

    async def history(self, request: web.Request) -> web.Response:
        self.calls += 1
        if refused := self._refused(request):
            return refused
        if self.refusals:
            return self.refusals.pop()
        body = await request.json()
        assert body["site_id"] == SITE
        stored = sum(self._keep(body["miner_ids"], told) for told in body["half_hours"])
        machines = len(body["miner_ids"])
        answer = {
            "half_hours_stored": stored // machines,
            "half_hours_known": len(body["half_hours"]) - stored // machines,
            "half_hours_measured": 0,
            "rows_stored": stored,
        }
        return web.json_response(answer)

    def _keep(self, miner_ids: list[str], told: dict[str, Any]) -> int:
        columns = (told["kwh"], told["th_h"], told["state"], told["coverage"])
        new = 0
        for miner_id, *row in zip(miner_ids, *columns, strict=True):
            key = (told["starts_at"], miner_id)
            new += key not in self.ledger
            self.ledger.setdefault(key, tuple(row))
        return new

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer token-{max(2, self.logins)}":
            return _problem(401, "unauthenticated", "The token has expired.")
        return None


def _problem(status: int, code: str, detail: str, **headers: str) -> web.Response:
    body = json.dumps({"status": status, "code": code, "detail": detail})
    return web.Response(
        status=status, text=body, content_type="application/problem+json", headers=headers
    )


@pytest.fixture
async def small_gateway() -> AsyncIterator[SmallGateway]:
    gateway = SmallGateway()
    served = web.Application(client_max_size=1024 * 1024)
    served.router.add_post("/api/auth/token", gateway.log_in)
    served.router.add_get("/api/hosting/miners", gateway.miners)
    served.router.add_post("/api/telemetry/history", gateway.history)
    runner = web.AppRunner(served)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield gateway
    await runner.cleanup()


async def run(*arguments: str) -> tuple[int, str]:
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["history", *FLEET, *arguments], terminal_width=200
    )
    return result.exit_code, " ".join(result.output.split())


def access(gateway: SmallGateway, **changes: str) -> list[str]:
    given = {"gateway": gateway.url, "site": SITE} | OWNER | changes
    return [part for name, value in given.items() for part in (f"--{name}", value)]


async def test_a_past_is_told_once_whole(small_gateway: SmallGateway, tmp_path: Path) -> None:
    demo = tmp_path / "demo.json"
    site = {"gateway_url": small_gateway.url, "site_id": SITE, "users": {"owner": OWNER}}
    demo.write_text(json.dumps(site))
    code, output = await run("--days", "3", "--demo", str(demo))
    assert code == 0, output
    assert "5 machines: 144 half-hours stored (720 rows), 0 known before" in output
    assert len(small_gateway.ledger) == 720
    starts = sorted({start for start, _ in small_gateway.ledger})
    assert len(starts) == 144
    assert all(start.endswith((":00:00+00:00", ":30:00+00:00")) for start in starts)
    kept = dict(small_gateway.ledger)
    code, output = await run("--days", "3", *access(small_gateway))
    assert "0 half-hours stored (0 rows), 144 known before" in output
    assert small_gateway.ledger == kept
    assert small_gateway.logins == 3  # its first token ran out, and two runs


async def test_what_passes_is_waited_out(small_gateway: SmallGateway) -> None:
    small_gateway.refusals = [
        _problem(503, "unavailable", "Starting.", **{"Retry-After": "1"}),
        _problem(404, "machine_unknown", "Not yet."),
        web.Response(status=502, text="bad gateway"),
    ]
    code, output = await run("--days", "1", *access(small_gateway))
    assert code == 0, output
    assert (small_gateway.refusals, len(small_gateway.ledger)) == ([], 240)


async def test_machines_that_are_not_registered_are_left_out(small_gateway: SmallGateway) -> None:
    small_gateway.registered = {0: SERIALS[0], 3: SERIALS[3], 9: "SOMEBODY-ELSES"}
    code, output = await run("--days", "1", *access(small_gateway))
    assert code == 0, output
    assert "2 machines: 48 half-hours" in output
    assert "3 of the fleet's machines are not registered" in output
    assert {miner for _, miner in small_gateway.ledger} == {"id-0", "id-3"}
    small_gateway.registered = {9: "SOMEBODY-ELSES"}
    code, output = await run("--days", "1", *access(small_gateway))
    assert code == 2
    assert "None of the fleet's 5 machines is registered" in output


async def test_refusals_are_explained(small_gateway: SmallGateway, tmp_path: Path) -> None:
    refusal = "Histories are for simulated machines."
    small_gateway.refusals = [_problem(403, "history_not_allowed", refusal) for _ in range(3)]
    code, output = await run("--days", "9", *access(small_gateway))
    assert (code, refusal in output) == (2, True)
    assert small_gateway.calls <= 4  # the others do not go on, but for a token that ran out
    code, output = await run(*access(small_gateway, password="wrong"))
    assert (code, "password is wrong" in output) == (2, True)
    code, output = await run(*access(small_gateway, site=""))
    assert (code, "--site is missing" in output) == (2, True)
    code, output = await run("--demo", str(tmp_path / "none.json"))
    assert (code, "cannot be read" in output) == (2, True)
    (tmp_path / "demo.json").write_text("[]")
    code, output = await run("--demo", str(tmp_path / "demo.json"))
    assert (code, "is not the demo.json" in output) == (2, True)


async def test_nobody_there_is_a_clear_message(small_gateway: SmallGateway) -> None:
    async with Gateway("http://127.0.0.1:1", "a", "b", attempts=2, pause_s=0.01) as gateway:
        with pytest.raises(GatewayRefused, match="No answer from"):
            await gateway.call("GET", "/api/me")
    async with Gateway(f"{small_gateway.url}/nowhere", OWNER["email"], "") as gateway:
        with pytest.raises(GatewayRefused, match="404"):
            await gateway.call("GET", "/api/me")
