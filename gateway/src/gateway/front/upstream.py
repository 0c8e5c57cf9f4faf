"""The client to the services, behind one small interface."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol
from urllib.parse import urlsplit

from gateway.front.wire import Connection, Headers, Stale, Unreachable

CONNECT_TIMEOUT_S = 2.0
_IDLE_S = 4.0
"""Less than the five seconds after which uvicorn closes an idle connection."""
_LIFE_S = 60.0
"""So that replicas behind one name get their share."""


class Reply(Protocol):
    """A service's answer: its head, and its body if it was small."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Headers:
        """The headers, names in lower case."""
        ...

    @property
    def body(self) -> bytes | None:
        """The whole body, or None: then it comes in `chunks`."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        ...

    def close(self) -> None:
        """Be done with the answer, whether or not its body was read to the end."""
        ...


class Upstream(Protocol):
    """Something that answers requests for one service."""

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Reply:
        """Send a request and return the answer's head.

        Raises:
            Unreachable: there is no answer.
        """
        ...

    def close(self) -> None:
        """Give back the connections that are kept."""
        ...


class _HttpReply:
    __slots__ = ("_connection", "_pool", "body", "headers", "status")

    def __init__(self, connection: Connection, pool: "HttpUpstream") -> None:
        self._connection = connection
        self._pool = pool
        self.status = connection.status
        self.headers = connection.headers
        self.body = connection.whole()

    async def chunks(self) -> AsyncGenerator[bytes]:
        while chunk := await self._connection.next_chunk():
            yield chunk

    def close(self) -> None:
        self._pool.give_back(self._connection)


class HttpUpstream:
    """One service over HTTP/1.1, on kept connections.

    Time-outs are the caller's, who cancels; only connecting has its own.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            msg = f"{base_url}: an upstream is http://host:port"
            raise ValueError(msg)
        self._host = parts.hostname
        self._port = parts.port or 80
        self._prefix = f" HTTP/1.1\r\nhost: {parts.netloc}\r\n".encode()
        self._idle: deque[Connection] = deque()

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Reply:
        """Send a request and return the answer's head.

        A GET is tried once more if its kept connection turns out to be closed.

        Raises:
            Unreachable: no connection, or no sensible answer on it.
        """
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        head = b"".join((method.encode(), b" ", target, self._prefix, *lines, b"\r\n"))
        connection = self._kept() or await self._connect()
        try:
            try:
                await connection.ask(head, body)
            except Stale:
                if method != "GET":
                    raise
                connection = await self._connect()
                await connection.ask(head, body)
        except BaseException:
            connection.abort()
            raise
        return _HttpReply(connection, self)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose answer was read to the end; break any other."""
        moment = time.monotonic()
        fresh = moment - connection.made_at < _LIFE_S
        if connection.complete and connection.reusable and fresh and not connection.closed:
            connection.idle_since = moment
            connection.used = True
            self._idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Give back the connections that are kept."""
        while self._idle:
            self._idle.pop().abort()

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()  # the last used: the others may age and go
            if connection.closed:
                continue
            if time.monotonic() - connection.idle_since < _IDLE_S:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, self._host, self._port)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"no connection to {self._host}:{self._port}: {error}") from error
        return connection
