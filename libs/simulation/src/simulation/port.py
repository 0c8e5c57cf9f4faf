"""A miner's listening port: open, closed, or swallowing connection attempts."""

import asyncio
import socket
from collections.abc import Callable
from typing import Literal

PortState = Literal["open", "closed", "dropping"]
BACKLOG = 100


class PortTaken(Exception):
    """Something else listens at a miner's address; the message says where."""


class Port:
    """One address that can be opened, closed and made deaf any number of times."""

    def __init__(
        self, address: str, number: int, new_connection: Callable[[], asyncio.Protocol]
    ) -> None:
        self._address = address
        self._number = number
        self._new_connection = new_connection
        self._server: asyncio.AbstractServer | None = None
        self._deaf: list[socket.socket] = []
        self.state: PortState = "closed"

    async def become(self, state: PortState) -> None:
        if state == self.state:
            return
        self.close()
        if state == "open":
            await self._listen()
        elif state == "dropping":
            self._drop()
        self.state = state

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in self._deaf:
            each.close()
        self._deaf = []
        self.state = "closed"

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._new_connection, self._address, self._number, backlog=BACKLOG
            )
        except OSError as error:
            raise PortTaken(
                f"{self._address}:{self._number} is taken; choose another start or stop what "
                f"listens there ({error.strerror or error})."
            ) from error

    def _drop(self) -> None:
        """Fill a backlog of one and never accept: Linux then ignores further attempts."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._address, self._number))
        listener.listen(0)
        filler = socket.socket()
        filler.settimeout(0)
        filler.connect_ex((self._address, self._number))
        self._deaf = [listener, filler]
