"""WhatsMiner's v2 API: open reports in MH/s, orders sealed with a token that lasts."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import orjson

from telemetry.devices.device import (
    Action,
    CommandResult,
    CommandState,
    Device,
    Limits,
    PollPlan,
)
from telemetry.devices.exchange import Reply, encode, exchange
from telemetry.devices.families.verdict import unreachable_unless_answered, verdict
from telemetry.devices.families.whatsminer_crypto import BadSeal, hash_part, seal, unseal
from telemetry.domain.normalise_answers import status_of
from telemetry.domain.reading import Outcome
from telemetry.domain.repair import read_json

PLAN = PollPlan(
    every_time=("summary", "devs", "pools"),
    for_identity=("version", "devdetails"),
    for_identity_alone=("get_miner_info", "get_version"),  # these cannot be joined
)
_ORDERS: dict[Action, dict[str, str]] = {
    # `respbefore`, a text, makes the miner answer before it goes down.
    Action.SLEEP: {"cmd": "power_off", "respbefore": "true"},
    Action.WAKE: {"cmd": "power_on"},
    Action.REBOOT: {"cmd": "reboot"},
}
ACTIONS = frozenset(_ORDERS)
TOKEN_MAX_AGE_S = 25 * 60.0
MOST_TOKENS = 20_000
TOKEN_WRONG, TOO_MANY_TOKENS = 135, 136
# A reboot gives the miner a new salt: what was sealed with the old key comes out as noise there.
NOISE_AS_JSON, NOISE_AS_BASE64 = 23, 137
ACCESS_DENIED = 45
_NO_CREDENTIAL = CommandResult(
    CommandState.REFUSED, "The site holds no credential for WhatsMiner; store one and try again."
)
_NO_WRITES = CommandResult(
    CommandState.REFUSED, "The write API is disabled on the miner; its owner has to enable it."
)
_NO_SENSE = CommandResult(CommandState.REFUSED, "The miner's answer about a token makes no sense.")


@dataclass(frozen=True, slots=True)
class Token:
    """The right to give orders for half an hour."""

    key: str
    sign: str
    made_at: float


_tokens: dict[tuple[str, int, bytes], Token] = {}
"""One token per miner and password: a miner hands out 32, so they are kept and used again."""


async def command(
    device: Device, action: Action, credential: str | None, limits: Limits
) -> CommandResult:
    """Give an order with the token at hand; a token the miner has forgotten is renewed once."""
    if not credential:
        return _NO_CREDENTIAL
    place = (device.address, device.port, hashlib.sha256(credential.encode()).digest())
    kept = _tokens.get(place)
    if kept is not None and limits.monotonic() - kept.made_at < TOKEN_MAX_AGE_S:
        reply = await _order(device, action, kept, limits)
        if not _is_about_the_token(reply):
            if action is Action.REBOOT:
                del _tokens[place]
            return _judged(reply)
    _tokens.pop(place, None)
    token = await _new_token(device, credential, limits)
    if isinstance(token, CommandResult):
        return token
    while len(_tokens) >= MOST_TOKENS:
        del _tokens[next(iter(_tokens))]
    _tokens[place] = token
    reply = await _order(device, action, token, limits)
    if action is Action.REBOOT or _is_about_the_token(reply):
        del _tokens[place]
    return _judged(reply)


async def _new_token(device: Device, credential: str, limits: Limits) -> Token | CommandResult:
    reply = await exchange(device, encode({"command": "get_token"}), limits.deadlines)
    if reply.document is None:
        return unreachable_unless_answered(reply)
    if status_of(reply.document).failed:
        return _judged(reply)
    message = reply.document.get("Msg")
    return _signed(message, credential, limits.monotonic()) if message else _NO_SENSE


def _signed(message: Any, credential: str, now: float) -> Token | CommandResult:
    """Make a token of what the miner gave; anything else than three texts makes none."""
    try:
        salt, newsalt, time = (str.strip(message[name]) for name in ("salt", "newsalt", "time"))
        key = hash_part(credential, salt)
        sign = hash_part(key + time, newsalt)
    except (KeyError, TypeError, ValueError):
        return _NO_SENSE
    return Token(key, sign, now)


async def _order(device: Device, action: Action, token: Token, limits: Limits) -> Reply:
    body = orjson.dumps({**_ORDERS[action], "token": token.sign})
    request = encode({"enc": 1, "data": seal(token.key, body)})
    reply = await exchange(device, request, limits.deadlines)
    sealed = None if reply.document is None else reply.document.get("enc")
    return _opened(reply, sealed, token.key) if isinstance(sealed, str) else reply


def _opened(reply: Reply, sealed: str, key: str) -> Reply:
    try:
        document = read_json(unseal(key, sealed))
    except BadSeal:
        return replace(reply, outcome=Outcome.NOT_JSON, document=None)
    return replace(reply, outcome=document.outcome, document=document.value)


def _is_about_the_token(reply: Reply) -> bool:
    if reply.document is None:
        return False
    return status_of(reply.document).code in {
        TOKEN_WRONG,
        TOO_MANY_TOKENS,
        NOISE_AS_JSON,
        NOISE_AS_BASE64,
    }


def _judged(reply: Reply) -> CommandResult:
    if reply.document is not None and status_of(reply.document).code == ACCESS_DENIED:
        return _NO_WRITES
    return verdict(reply)
