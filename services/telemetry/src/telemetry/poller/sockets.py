"""How many sockets this worker may hold open, and who gets the next one.

Commands go first: nobody waiting to stop a machine queues behind routine polls.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from telemetry.fleet.machine import Machine


class SocketBudget:
    """A counting semaphore with two classes of waiters, and a cap per /24."""

    def __init__(self, sockets: int, *, per_subnet: int) -> None:
        self._free = sockets
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._routine: deque[asyncio.Future[None]] = deque()
        self._subnets: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(per_subnet)
        )

    @asynccontextmanager
    async def socket(self, machine: Machine, *, urgent: bool = False) -> AsyncGenerator[None]:
        """Hold one socket to this machine."""
        async with self._subnet(machine):
            await self._take(self._urgent if urgent else self._routine)
            try:
                yield
            finally:
                self._give_back()

    def _subnet(self, machine: Machine) -> AbstractAsyncContextManager[None]:
        if machine.simulated:
            return nullcontext()  # one process plays them all: no switch to spare
        return self._subnets[machine.address.rpartition(".")[0]]

    async def _take(self, queue: deque[asyncio.Future[None]]) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()  # the socket was handed over just before the cancellation
            raise

    def _give_back(self) -> None:
        for queue in (self._urgent, self._routine):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
