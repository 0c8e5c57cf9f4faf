"""A machine's own word about its hashrate, straight from its socket."""

import json
import socket
from typing import Any

_TIMEOUT_S = 5.0
_THS_PER = {"MHS": 1e-6, "GHS": 1e-3, "THS": 1.0}


def hashrate_ths(address: str, port: int) -> float | None:
    """Ask a machine for its 5-second hashrate; None when it does not answer or say."""
    try:
        answer = _ask(address, port, "summary")
    except (OSError, ValueError):
        return None
    summary = answer.get("SUMMARY", [{}])[0]
    for unit, factor in _THS_PER.items():
        for window in ("5s", "1m"):
            value = summary.get(f"{unit} {window}")
            if value is not None:
                return float(value) * factor
    return None


def _ask(address: str, port: int, command: str) -> dict[str, Any]:
    with socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(json.dumps({"command": command}).encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    # Some firmware ends its answer with a zero byte.
    return json.loads(received.rstrip(b"\0").decode(errors="replace"))
