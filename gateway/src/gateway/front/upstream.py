"""The client to the services: aiohttp behind one small interface."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

CONNECT_TIMEOUT_S = 2.0
Headers = list[tuple[bytes, bytes]]


class Unreachable(Exception):
    """The service could not be reached, or answered something that is not HTTP."""


class Reply(Protocol):
    """A service's answer: its head, and a body still to be read."""

    status: int
    headers: Headers
    length: int | None

    async def read(self) -> bytes:
        """Return the whole body."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        ...

    def close(self) -> None:
        """Give up the connection (it is reused only after a whole body)."""
        ...


class Upstream(Protocol):
    """Something that answers requests for one service."""

    async def send(
        self,
        method: str,
        target: bytes,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Reply:
        """Send a request and return the answer's head."""
        ...


class _AiohttpReply:
    __slots__ = ("_response", "headers", "length", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = list(response.raw_headers)
        self.length = response.content_length

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(str(error)) from error

    async def chunks(self) -> AsyncGenerator[bytes]:
        try:
            while chunk := await self._response.content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(str(error)) from error

    def close(self) -> None:
        self._response.close()


class AiohttpUpstream:
    """One service over HTTP/1.1. No redirects, cookies, proxies or decompression.

    Time-outs are the caller's; aiohttp itself limits only the connecting. A kept connection that
    the service closed just as it was used is tried once more, for idempotent methods only.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base = base_url.rstrip("/")

    async def send(
        self,
        method: str,
        target: bytes,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Reply:
        """Send a request and return the answer's head.

        Raises:
            Unreachable: no connection, or no HTTP on it.
        """
        url = URL(self._base + target.decode("ascii"), encoded=True)
        try:
            response = await self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(str(error)) from error
        return _AiohttpReply(response)


def client_session(connections: int) -> aiohttp.ClientSession:
    """Return the session that all upstreams share."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, limit_per_host=connections, keepalive_timeout=30, use_dns_cache=True
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        max_line_size=16_384,
        max_field_size=16_384,
    )
