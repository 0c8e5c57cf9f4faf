"""One connection to one miner: a request in one piece, one answer, and the end."""

import asyncio
import socket
import struct
from typing import Protocol, cast

from simulation.faults import BANNER, OVERSIZE_BYTES, SLOW_BYTE_S, FaultKind

CHUNK = b" " * 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Answering(Protocol):
    """What a connection needs of the miner behind it."""

    delay_s: float

    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def answer(self, raw: bytes, connection: "Connection") -> bytes: ...
    def wire_fault(self) -> FaultKind | None: ...


class Connection(asyncio.Protocol):
    """CGMiner's side of a connection: what comes first is the request, the rest is ignored."""

    __slots__ = ("_asked", "_miner", "_oversize_left", "_paused", "transport")

    def __init__(self, miner: Answering) -> None:
        self._miner = miner
        self._asked = False
        self._oversize_left = 0
        self._paused = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._miner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._oversize_left = 0
        self._miner.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._asked:
            return
        self._asked = True
        if self._miner.delay_s:
            asyncio.get_running_loop().call_later(self._miner.delay_s, self._reply, data)
        else:
            self._reply(data)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._oversize_left > 0:
            self._write_oversize()

    @property
    def client(self) -> str:
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def _reply(self, request: bytes) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        answer = self._miner.answer(request, self)
        fault = self._miner.wire_fault()
        if fault is None:
            transport.write(answer + b"\0")
            transport.close()
        else:
            self._misbehave(fault, answer)

    def _misbehave(self, fault: FaultKind, answer: bytes) -> None:
        whole_or_part = {
            "empty": b"",
            "half_json": answer[: len(answer) // 2],
            "no_nul": answer,
            "banner": BANNER,
        }
        match fault:
            case "silent":
                return
            case "reset":
                self.transport.write(answer[: len(answer) // 2])
                # The client gets time to read its half before the reset discards it.
                asyncio.get_running_loop().call_later(0.02, self._reset)
            case "nul_open":
                self.transport.write(answer + b"\0")
            case "slow":
                self._drip(answer + b"\0", 0)
            case "too_large":
                self._oversize_left = OVERSIZE_BYTES
                self._write_oversize()
            case _:
                self.transport.write(whole_or_part[fault])
                self.transport.close()

    def _reset(self) -> None:
        if not self.transport.is_closing():
            sock = cast("socket.socket", self.transport.get_extra_info("socket"))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()

    def _drip(self, answer: bytes, sent: int) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(answer[sent : sent + 1])
        if sent + 1 < len(answer):
            loop = asyncio.get_running_loop()
            loop.call_later(SLOW_BYTE_S, self._drip, answer, sent + 1)
        else:
            self.transport.close()

    def _write_oversize(self) -> None:
        """Write as fast as the client reads, and no faster: the excess is not held here."""
        while self._oversize_left > 0 and not self._paused:
            self._oversize_left -= len(CHUNK)
            self.transport.write(CHUNK)
        if self._oversize_left <= 0:
            self.transport.close()
