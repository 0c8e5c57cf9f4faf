"""A small client of the control port, for the command line, tests and benches."""

import http.client
from typing import Any

import orjson

from simulation.faults import FaultKind


class ControlRefused(Exception):
    """The control port is away, or did not accept the order; the message says which."""


class ControlClient:
    """Speaks to a served fleet; blocking, one connection per call."""

    def __init__(self, port: int, *, timeout_s: float = 30.0) -> None:
        self._port = port
        self._timeout_s = timeout_s

    def status(self) -> dict[str, Any]:
        return self.call("GET", "/status")

    def miners(self) -> list[dict[str, Any]]:
        return self.call("GET", "/miners")["miners"]

    def miner(self, which: int | str) -> dict[str, Any]:
        return self.call("GET", f"/miners/{which}")

    def set_fault(
        self,
        kind: FaultKind,
        *,
        share: float | None = None,
        number: int | None = None,
        miners: list[int] | None = None,
        family: str | None = None,
        duration_s: float | None = None,
    ) -> dict[str, Any]:
        order = {
            "kind": kind,
            "share": share,
            "number": number,
            "miners": miners,
            "family": family,
            "duration_s": duration_s,
        }
        return self.call("POST", "/faults", order)

    def clear_faults(self) -> dict[str, Any]:
        return self.call("DELETE", "/faults")

    def outage(self, *, duration_s: float | None = None) -> dict[str, Any]:
        return self.call("POST", "/outage", {"duration_s": duration_s})

    def reset_counters(self) -> None:
        self.call("POST", "/counters/reset")

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send any request; the methods above are the usual ones."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        try:
            connection.request(method, path, orjson.dumps(body) if body is not None else None)
            response = connection.getresponse()
            answer: dict[str, Any] = orjson.loads(response.read())
        except OSError as error:
            raise ControlRefused(
                f"No simulated fleet answers on control port {self._port} ({error})."
            ) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ControlRefused(str(answer.get("error", answer)))
        return answer
