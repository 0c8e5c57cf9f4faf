"""The fitting process as its service sees it: started when first needed, killed when too slow."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from structlog import get_logger

from intelligence.forecasts.fitted import Fitted
from intelligence.forecasts.price import PriceTask
from intelligence.recommendations.wire import LENGTH

log = get_logger()
START_S: Final = 60.0
IDLE_S: Final = 300.0
"""A process that nobody has asked for so long is ended: it holds 150 MB."""


class FitTimeout(Exception):
    """No answer within the limit; the process was killed."""


class FitBusy(Exception):
    """The process was at work for others for the whole limit."""


class FitFailure(Exception):
    """The process died, or could not be started."""


@dataclass(slots=True)
class FittingProcess:
    """One process, one task at a time; those who wait are served in order."""

    limit_s: float
    idle_s: float = IDLE_S
    start_s: float = START_S
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _process: Process | None = None
    _idle: asyncio.TimerHandle | None = None
    _ending: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def pid(self) -> int | None:
        """Return the process's id, or None where none is running."""
        return None if self._process is None else self._process.pid

    async def fit(self, task: PriceTask) -> Fitted:
        """Return the forecast.

        Raises:
            FitBusy: others had the process for the whole limit.
            FitTimeout: this fit exceeded the limit.
            FitFailure: the process broke, or cannot be started.
        """
        try:
            async with asyncio.timeout(self.limit_s):
                await self._turn.acquire()
        except TimeoutError:
            raise FitBusy from None
        try:
            self._stay()
            return await self._fit(task)
        finally:
            self._leave_soon()
            self._turn.release()

    async def close(self) -> None:
        """End the process."""
        self._stay()
        await self._end()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _fit(self, task: PriceTask) -> Fitted:
        try:
            # The limit is the fit's: the first caller also waits for the library to load.
            async with asyncio.timeout(self.start_s):
                process = await self._started()
            async with asyncio.timeout(self.limit_s):
                return Fitted.model_validate_json(
                    await _exchange(process, task.model_dump_json().encode())
                )
        except BaseException as error:
            # Also when the caller went away: what is half done cannot be reused.
            await asyncio.shield(self._end())
            if isinstance(error, TimeoutError):
                raise FitTimeout from None
            if isinstance(error, OSError | asyncio.IncompleteReadError):
                raise FitFailure from error
            raise

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "intelligence.forecasts.fitting_process",
                stdin=PIPE, stdout=PIPE, start_new_session=True, env=_environment(),
            )  # fmt: skip
            await _read(self._process)
            log.info("forecast.process_started", pid=self._process.pid)
        return self._process

    async def _end(self) -> None:
        """Kill the process and its children, wherever it is."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _leave_soon(self) -> None:
        self._idle = asyncio.get_running_loop().call_later(self.idle_s, self._leave)

    def _leave(self) -> None:
        if not self._turn.locked():
            task = asyncio.create_task(self._end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


@asynccontextmanager
async def fitting_process(limit_s: float) -> AsyncGenerator[FittingProcess]:
    """Hold a fitting process ready; it is started by the first task."""
    process = FittingProcess(limit_s)
    try:
        yield process
    finally:
        await process.close()


def _environment() -> dict[str, str]:
    """Return this process's environment, with one thread for linear algebra.

    90 points are no work for several: beside other work they wait for each other, five times as
    long as one alone takes.
    """
    inherited = dict(os.environ)  # noqa: TID251  (handed on, not read)
    return inherited | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


async def _exchange(process: Process, message: bytes) -> bytes:
    assert process.stdin is not None
    process.stdin.write(LENGTH.pack(len(message)) + message)
    await process.stdin.drain()
    return await _read(process)


async def _read(process: Process) -> bytes:
    assert process.stdout is not None
    prefix = await process.stdout.readexactly(LENGTH.size)
    return await process.stdout.readexactly(LENGTH.unpack(prefix)[0])
