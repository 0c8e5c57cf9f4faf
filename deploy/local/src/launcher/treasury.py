"""The demo's treasury: a month of payouts, a rule that covers the power bill, what it proposes."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import httpx

from launcher.api import Api, RefusedError
from launcher.installation import Installation, email
from launcher.seed import DemoNotSeededError

_USD_PER_KWH = Decimal("0.05")
_WATTS_PER_MACHINE = 3_400
_BTC_PER_MACHINE_DAY = Decimal("0.00007")
_PAYOUTS, _DAYS_BETWEEN = 5, 7
_CANDLES_WITHIN_S, _QUOTE_WITHIN_S = 90.0, 60.0


def seed_treasury(installation: Installation) -> None:
    """Make it unless there is one; waits for the first start's candles, which price the payouts."""
    password = installation.secrets()["owner_password"]
    try:
        with Api(installation.gateway_url, email("owner"), password) as owner:
            if not owner.get("/api/treasury/proposals")["total"]:
                _propose(owner, _rule(owner, installation.fleet))
    except (RefusedError, httpx.HTTPError) as error:
        raise DemoNotSeededError(f"The demo's treasury could not be set up. {error}") from error


def _rule(owner: Api, machines: int) -> str:
    """Return the demo's rule, as an interrupted start has left it, or made with all it needs."""
    present = owner.get("/api/treasury/rules")["items"]
    if present:
        return present[0]["id"]
    _wait_for_candles(owner)
    rule = {
        "name": "Two weeks of power",
        "wallet_id": _holdings(owner, machines),
        "parameters": {"kind": "cover_opex", "days": 14, "break_even_multiple": "0.5"},
    }
    return owner.post("/api/treasury/rules", rule)["id"]


def _wait_for_candles(owner: Api) -> None:
    deadline = time.monotonic() + _CANDLES_WITHIN_S
    days = _PAYOUTS * _DAYS_BETWEEN + 1
    while time.monotonic() < deadline:
        shown = owner.get("/api/analytics/candles", interval="1d", limit=days)
        if len(shown["candles"]) == days:
            return
        time.sleep(0.5)
    raise DemoNotSeededError("No exchange, real or simulated, has told the prices of the days.")


def _holdings(owner: Api, machines: int) -> str:
    """Settle the power bill, open two accounts, book the payouts; return the wallet."""
    kwh_per_day = machines * Decimal(_WATTS_PER_MACHINE) * 24 / 1000
    settings: dict[str, Any] = {
        "power_bill_usd_per_day": f"{kwh_per_day * _USD_PER_KWH:.2f}",
        "btc_mined_per_day": f"{machines * _BTC_PER_MACHINE_DAY:.8f}",
        "approval_limit_usd": "50000.00",
    }
    owner.call("PUT", "/api/treasury/settings", json=settings)
    cash = {"name": "Operating account", "kind": "cash", "balance_usd": "25000.00"}
    owner.post("/api/treasury/wallets", cash)
    wallet = owner.post("/api/treasury/wallets", {"name": "Mining payouts", "kind": "pool"})["id"]
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    for week in range(_PAYOUTS, 0, -1):
        lot = {
            "wallet_id": wallet,
            "received_at": (noon - timedelta(days=week * _DAYS_BETWEEN)).isoformat(),
            "btc": f"{machines * _BTC_PER_MACHINE_DAY * _DAYS_BETWEEN:.8f}",
            "note": "A simulated payout.",
        }
        owner.post("/api/treasury/lots", lot)
    return wallet


def _propose(owner: Api, rule_id: str) -> None:
    deadline = time.monotonic() + _QUOTE_WITHIN_S
    while True:
        try:
            owner.post("/api/treasury/proposals", {"rule_id": rule_id})
        except RefusedError as refusal:
            if refusal.status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.5)  # the first quote is on its way
        else:
            return
