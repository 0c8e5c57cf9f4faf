"""A simulated mining pool: what Braiins Pool answers about an account's payouts.

One payout a UTC day, on chain or (every fifth) on Lightning, of an amount that follows from the
seed and the day alone, so that the same day is the same payout however often it is asked for. The
newest is still queued. Every answer carries `X-Simulated: true`.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import web

PATH = "/accounts/payouts/json/btc"
SIMULATED_TOKEN = "simulated-pool-token"  # noqa: S105  (opens nothing but this simulation)
_SIMULATED = {"X-Simulated": "true"}
_LIGHTNING_EVERY = 5
_MAX_DAYS = 4000


class PoolFault(StrEnum):
    """How a pool can be told to misbehave."""

    HTML = "html"
    TRUNCATED = "truncated"
    HUGE_BODY = "huge_body"
    NEGATIVE = "negative"
    FRACTION = "fraction"
    FUTURE = "future"
    NOT_A_LIST = "not_a_list"
    STATUS_429 = "status_429"
    STATUS_500 = "status_500"


class Pool:
    """The account, and how the pool behaves."""

    def __init__(
        self,
        *,
        seed: int = 7,
        days: int = 90,
        mean_sats: int = 4_000_000,
        token: str = SIMULATED_TOKEN,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        if not 1 <= days <= _MAX_DAYS:
            msg = f"days must lie between 1 and {_MAX_DAYS}"
            raise ValueError(msg)
        self.seed, self.days, self.mean_sats, self.token = seed, days, mean_sats, token
        self.now = now or (lambda: datetime.now(UTC))
        self.fault: PoolFault | None = None
        self.port = 0
        self.calls = 0

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def payout(self, day: date) -> dict[str, Any]:
        """Return the payout of a day."""
        dice = hashlib.sha256(f"{self.seed}:{day}".encode()).digest()
        # Between 70 and 130 % of the mean, on some second between 06:00 and 07:00.
        amount = self.mean_sats * (70 + int.from_bytes(dice[:2]) % 61) // 100
        at = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
        at += timedelta(seconds=int.from_bytes(dice[2:4]) % 3600)
        queued = at > self.now() - timedelta(hours=1)
        return {
            "financial_account_name": "simulated",
            "requested_at_ts": int(at.timestamp()) - 600,
            "resolved_at_ts": None if queued else int(at.timestamp()),
            "status": "queued" if queued else "confirmed",
            "amount_sats": amount,
            "fee_sats": 0,
            "destination": "simulated-address",
            "tx_id": None if queued else dice.hex(),
            "trigger_type": "schedule",
        }

    def answer(self, first: date | None, last: date | None) -> dict[str, Any]:
        """Return the account's payouts between two days."""
        today = self.now().astimezone(UTC).date()
        start = max(first or date.min, today - timedelta(days=self.days - 1))
        end = min(last or date.max, today)
        days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
        days = [day for day in days if self.payout(day)["requested_at_ts"] <= self._now_s()]
        lightning = [day for day in days if day.toordinal() % _LIGHTNING_EVERY == 0]
        onchain = [day for day in days if day not in lightning]
        return {
            "onchain": [self.payout(day) for day in onchain],
            "lightning": [self.payout(day) for day in lightning],
        }

    def _now_s(self) -> float:
        return self.now().timestamp()


POOL = web.AppKey("pool", Pool)


@asynccontextmanager
async def serve_pool(pool: Pool, port: int = 0, *, host: str = "127.0.0.1") -> AsyncGenerator[Pool]:
    """Serve the pool while the block runs; port 0 takes a free one."""
    app = web.Application()
    app[POOL] = pool
    app.add_routes([web.get(PATH, payouts), web.post("/control/fault", set_fault)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        pool.port = runner.addresses[0][1]
        yield pool
    finally:
        await runner.cleanup()


async def set_fault(request: web.Request) -> web.Response:
    """Let the pool misbehave from now on: `{"fault": "html"}`; with null it is well again."""
    try:
        wanted = orjson.loads(await request.read())["fault"]
        request.app[POOL].fault = None if wanted is None else PoolFault(wanted)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        known = ", ".join(PoolFault)
        return _json({"error": f'Send {{"fault": one of {known}, or null}}.'}, status=400)
    return _json({"fault": wanted})


async def payouts(request: web.Request) -> web.Response:
    """Answer the account's payouts, or misbehave."""
    pool = request.app[POOL]
    pool.calls += 1
    if request.headers.get("Pool-Auth-Token") != pool.token:
        return _json({"detail": "Unauthorized"}, status=401)
    try:
        first, last = _day(request, "from"), _day(request, "to")
    except ValueError:
        return _json({"detail": "A day is written 2026-11-21."}, status=400)
    return _spoiled(pool.answer(first, last), pool)


def _day(request: web.Request, name: str) -> date | None:
    text = request.query.get(name)
    return None if text is None else date.fromisoformat(text)


def _spoiled(document: dict[str, Any], pool: Pool) -> web.Response:
    match pool.fault:
        case PoolFault.STATUS_429 | PoolFault.STATUS_500 as fault:
            status = int(fault.removeprefix("status_"))
            answer = web.Response(status=status, headers=_SIMULATED | {"Retry-After": "7"})
        case PoolFault.HTML:
            answer = web.Response(text="<html>Just a moment…</html>", content_type="text/html")
        case PoolFault.TRUNCATED:
            answer = web.Response(body=orjson.dumps(document)[:-20], headers=_SIMULATED)
        case PoolFault.HUGE_BODY:
            answer = web.Response(body=b" " * (26 * 1024 * 1024), headers=_SIMULATED)
        case PoolFault.NOT_A_LIST:
            answer = _json({"onchain": {"0": "zero"}})
        case _:
            _spoil_first(document["onchain"], pool)
            answer = _json(document)
    return answer


def _spoil_first(entries: list[dict[str, Any]], pool: Pool) -> None:
    wrong: dict[str, Any] = {
        PoolFault.NEGATIVE: {"amount_sats": -1},
        PoolFault.FRACTION: {"amount_sats": 0.5},
        PoolFault.FUTURE: {"resolved_at_ts": int(pool.now().timestamp()) + 86_400},
    }
    if entries and pool.fault is not None:
        entries[0].update(wrong[pool.fault])


def _json(document: object, *, status: int = 200) -> web.Response:
    body = orjson.dumps(document)
    return web.Response(
        body=body, status=status, content_type="application/json", headers=_SIMULATED
    )
