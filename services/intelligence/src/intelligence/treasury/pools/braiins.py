"""Braiins Pool: GET /accounts/payouts/json/btc with the account's read-only token.

Amounts are whole satoshis, times are Unix seconds. Only confirmed payouts count; the reference is
the transaction id on chain, or the payment's id on Lightning. The answer is hostile input: its size
is capped, its JSON is read strictly and every entry is checked by itself.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common import strict_json
from common.errors import Problem
from common.http import client
from intelligence.treasury.pools.payouts import (
    MAX_ANSWER_BYTES,
    MAX_PAYOUTS,
    BadPayout,
    Payout,
    Payouts,
    PoolOff,
    PoolRefused,
    PoolUnavailable,
)

_PATH = "/accounts/payouts/json/btc"
_SATOSHIS = 100_000_000
_LAST_SECOND = 4_102_444_800
_FOUND, _TOO_OFTEN = 200, 429
_REFUSALS = frozenset({401, 403})


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    status: str
    amount_sats: int = Field(gt=0, le=21_000_000 * _SATOSHIS)
    resolved_at_ts: int = Field(gt=1_230_940_800, lt=_LAST_SECOND)
    tx_id: str = Field(min_length=1, max_length=190, pattern=r"^[\x21-\x7e]+$")


async def payouts(base_url: str, token: str, *, since: datetime | None, until: datetime) -> Payouts:
    """Return the account's confirmed payouts.

    Raises:
        PoolOff: there is no address of the pool.
        PoolRefused: the pool does not accept the token.
        PoolUnavailable: it is away, or its answer is not its API's.
    """
    if not base_url:
        raise PoolOff("The address INTELLIGENCE_BRAIINS_POOL_URL is empty.", retry_after_s=3600)
    query = {"to": f"{until:%Y-%m-%d}"} | ({"from": f"{since:%Y-%m-%d}"} if since else {})
    try:
        async with client(base_url, timeout_s=15) as http:
            headers = {"Pool-Auth-Token": token}
            async with http.stream("GET", _PATH, params=query, headers=headers) as answer:
                _require_success(answer)
                body = await _read(answer)
                simulated = answer.headers.get("X-Simulated") == "true"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _away("it cannot be reached") from error
    return _payouts(_lists(body), since, until, simulated=simulated)


def _away(why: str, retry_after_s: float = 60) -> Problem:
    return PoolUnavailable(f"Braiins Pool: {why}; try again later.", retry_after_s=retry_after_s)


def _require_success(answer: httpx.Response) -> None:
    if answer.status_code in _REFUSALS:
        raise PoolRefused("Braiins Pool does not accept the token.", field="token")
    if answer.status_code == _TOO_OFTEN:
        wait = answer.headers.get("Retry-After", "")
        raise _away("it was asked too often", float(wait) if wait.isdecimal() else 60)
    if answer.status_code != _FOUND:
        raise _away(f"it answered {answer.status_code}")


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise _away(f"its answer is larger than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _lists(body: bytes) -> list[Any]:
    try:
        parsed: object = strict_json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, Problem) as error:
        raise _away("its answer is no JSON") from error
    if not isinstance(parsed, dict):
        raise _away("its answer is no list of payouts")
    entries: list[Any] = []
    for kind in ("onchain", "lightning"):
        some = cast("dict[str, Any]", parsed).get(kind, [])
        if not isinstance(some, list):
            raise _away("its answer is no list of payouts")
        entries.extend(cast("list[Any]", some))
    if len(entries) > MAX_PAYOUTS:
        raise _away(f"it named more than {MAX_PAYOUTS} payouts")
    return entries


def _payouts(
    entries: list[Any], since: datetime | None, until: datetime, *, simulated: bool
) -> Payouts:
    good: list[Payout] = []
    bad: list[BadPayout] = []
    for place, raw in enumerate(entries, start=1):
        if isinstance(raw, dict) and cast("dict[str, Any]", raw).get("status") in (
            "queued",
            "rejected",
        ):
            continue  # nothing was received yet, or ever
        try:
            one = _Entry.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "entry"
            bad.append(BadPayout(place, f"{where}: {first['msg']}"))
            continue
        at = datetime.fromtimestamp(one.resolved_at_ts, UTC)
        if at > until:
            bad.append(BadPayout(place, "resolved_at_ts: lies in the future"))
        elif since is None or at >= since:
            btc = Decimal(one.amount_sats) / _SATOSHIS
            good.append(Payout(place, one.tx_id, at, btc))
    return Payouts(tuple(good), tuple(bad), simulated)
