"""The process apart: what it keeps out of the service, and what happens when it does not answer."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from intelligence.forecasts.fitting import (
    FitBusy,
    FitFailure,
    FitTimeout,
    FittingProcess,
    fitting_process,
)
from intelligence.forecasts.price import PriceTask

Closes = Callable[..., list[float]]


@pytest.fixture
def task(closes: Closes) -> PriceTask:
    return PriceTask(values=closes(90), days=30, origins=5)


@pytest.fixture
def endless(closes: Closes) -> PriceTask:
    """Minutes of work."""
    return PriceTask(values=closes(100_000), days=365, origins=90_000)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(process: FittingProcess) -> int:
    assert process.pid is not None
    return process.pid


def test_the_service_never_loads_statsmodels() -> None:
    program = (
        "import sys, intelligence.main, intelligence.forecasts.schedule; "
        "sys.exit(any(name.partition('.')[0] in ('statsmodels', 'pandas', 'scipy') "
        "for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_it_is_kept_from_task_to_task(process: FittingProcess, task: PriceTask) -> None:
    first = await process.fit(task)
    pid = pid_of(process)
    assert await process.fit(task) == first
    assert pid_of(process) == pid


async def test_a_fit_beyond_its_limit_is_killed_and_who_waits_meanwhile_is_told(
    process: FittingProcess, task: PriceTask, endless: PriceTask
) -> None:
    await process.fit(task)
    pid, usual = pid_of(process), process.limit_s
    process.limit_s = 1
    other = asyncio.create_task(process.fit(endless))
    await asyncio.sleep(0.2)
    process.limit_s = 0.2
    with pytest.raises(FitBusy):
        await process.fit(task)
    with pytest.raises(FitTimeout):
        await other
    process.limit_s = usual
    assert not alive(pid)
    assert len((await process.fit(task)).model.predicted) == 30


async def test_a_caller_who_leaves_takes_his_fit_along(
    process: FittingProcess, task: PriceTask, endless: PriceTask
) -> None:
    await process.fit(task)
    pid = pid_of(process)
    leaving = asyncio.create_task(process.fit(endless))
    await asyncio.sleep(0.2)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert not alive(pid)


async def test_a_process_that_dies_is_a_failure_and_is_replaced(
    process: FittingProcess, task: PriceTask, endless: PriceTask
) -> None:
    await process.fit(task)
    running = asyncio.create_task(process.fit(endless))
    await asyncio.sleep(0.2)
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(FitFailure):
        await running


async def test_a_process_that_nobody_asks_is_ended_and_none_is_left_behind(
    task: PriceTask,
) -> None:
    async with fitting_process(20) as process:
        assert process.pid is None
        process.idle_s = 0.1
        await process.fit(task)
        pid = pid_of(process)
        for _ in range(100):
            if not alive(pid):
                break
            await asyncio.sleep(0.05)
        assert not alive(pid)
        process.idle_s = 60
        await process.fit(task)
        pid = pid_of(process)
        assert alive(pid)
    assert not alive(pid)
