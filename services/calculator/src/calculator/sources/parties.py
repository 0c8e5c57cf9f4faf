"""The outside parties that one process asks, with the clock that they are asked by."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from weakref import WeakKeyDictionary

from calculator.settings import Settings
from common import clock
from common.party import Party, Patience
from common.runtime import Runtime

PATIENCE = Patience(timeout_s=3, tries=2, answer_bytes=1024 * 1024)
"""Somebody waits for a quote, and there is another party to ask."""


@dataclass(frozen=True)
class Parties:
    """Those that are switched on, by name, and what time it is."""

    by_name: dict[str, Party] = field(default_factory=dict[str, Party])
    now: Callable[[], datetime] = clock.now


_made: WeakKeyDictionary[Runtime, Parties] = WeakKeyDictionary()


def make(settings: Settings, now: Callable[[], datetime]) -> Parties:
    """Return the parties that the settings name."""
    addresses = {
        "coingecko": settings.coingecko_url,
        "blockchain": settings.blockchain_url,
        "mempool": settings.mempool_url,
        "ankr": _with_chain(settings.ankr_url.rstrip("/")),
    }
    key = settings.coingecko_key
    headers = {"coingecko": {"x-cg-demo-api-key": key.get_secret_value()}} if key else {}
    return Parties(
        {
            name: Party(name, url, now, patience=PATIENCE, headers=headers.get(name))
            for name, url in addresses.items()
            if url.strip()
        },
        now,
    )


def _with_chain(url: str) -> str:
    """Return the address of Ankr's bitcoin node; a key stands behind the chain's name."""
    return url if not url or "/btc" in url else f"{url}/btc"


def parties_of(runtime: Runtime) -> Parties:
    """Return this process's parties; what is known of their health is shared by all requests."""
    if runtime not in _made:
        use(runtime, make(cast("Settings", runtime.settings), clock.now))
    return _made[runtime]


def use(runtime: Runtime, parties: Parties) -> None:
    """Let this process ask these parties."""
    _made[runtime] = parties


def forget(runtime: Runtime) -> None:
    """Let this process ask those that its settings name."""
    _made.pop(runtime, None)
