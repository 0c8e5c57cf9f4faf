"""A handful of solver processes, each killed when it does not answer in time."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from structlog import get_logger

from intelligence.domain.shedding import Flags
from intelligence.recommendations.wire import LENGTH, Task, decode_choice, encode

log = get_logger()

GRACE_S = 0.25  # what a solver may take beyond its limit to come to an end by itself
START_S = 60.0


class SolverTimeout(Exception):
    """No answer within the limit; the process was killed."""


class SolverBusy(Exception):
    """Every process was at work for the whole limit."""


class SolverFailure(Exception):
    """The process died, or found nothing."""


@dataclass(slots=True)
class SolverPool:
    """Warm solver processes. Take one, use it, put it back; a killed one is replaced."""

    size: int
    _idle: asyncio.Queue[Process] = field(default_factory=asyncio.Queue[Process])
    _all: set[Process] = field(default_factory=set[Process])
    _starting: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def start(self) -> None:
        """Begin to start the processes; the first task waits for the first of them."""
        for _ in range(self.size):
            self._start_one()

    async def close(self) -> None:
        """End the processes."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for process in list(self._all):
            await self._end(process)

    async def solve(self, task: Task) -> Flags:
        """Return the machines to stop.

        Raises:
            SolverBusy: no process became free within the task's limit.
            SolverTimeout: the solver exceeded the limit.
            SolverFailure: the solver found nothing or broke.
        """
        try:
            async with asyncio.timeout(task.time_limit_s):
                process = await self._idle.get()
        except TimeoutError:
            raise SolverBusy from None
        try:
            async with asyncio.timeout(task.time_limit_s + GRACE_S):
                answer = await _exchange(process, encode(task))
        except BaseException as error:
            # Also when the caller went away: what is half done cannot be reused.
            await asyncio.shield(self._replace(process))
            if isinstance(error, TimeoutError):
                raise SolverTimeout from None
            if isinstance(error, OSError | asyncio.IncompleteReadError):
                raise SolverFailure from error
            raise
        self._idle.put_nowait(process)
        stopped = decode_choice(answer)
        if stopped is None:
            raise SolverTimeout
        return stopped

    def _start_one(self) -> None:
        task = asyncio.create_task(self._begin())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _begin(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "intelligence.recommendations.solver_process",
            stdin=PIPE, stdout=PIPE, start_new_session=True,
        )  # fmt: skip
        self._all.add(process)
        try:
            async with asyncio.timeout(START_S):
                await _read(process)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            log.warning("solver.not_started", error=repr(error))
            await self._end(process)
            await asyncio.sleep(1)
            self._start_one()
            return
        self._idle.put_nowait(process)

    async def _replace(self, process: Process) -> None:
        await self._end(process)
        self._start_one()

    async def _end(self, process: Process) -> None:
        """Kill the process and its children, wherever it is."""
        self._all.discard(process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()


@asynccontextmanager
async def solver_pool(size: int) -> AsyncGenerator[SolverPool]:
    """Hold a pool of solver processes open."""
    pool = SolverPool(size)
    pool.start()
    try:
        yield pool
    finally:
        await pool.close()


async def _exchange(process: Process, message: bytes) -> bytes:
    assert process.stdin is not None
    process.stdin.write(LENGTH.pack(len(message)) + message)
    await process.stdin.drain()
    return await _read(process)


async def _read(process: Process) -> bytes:
    assert process.stdout is not None
    prefix = await process.stdout.readexactly(LENGTH.size)
    return await process.stdout.readexactly(LENGTH.unpack(prefix)[0])
