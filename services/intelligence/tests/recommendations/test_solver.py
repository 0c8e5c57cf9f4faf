import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np
import pytest

from intelligence.domain.shedding import Fleet
from intelligence.recommendations.solver import (
    SolverBusy,
    SolverFailure,
    SolverPool,
    SolverTimeout,
    solver_pool,
)
from intelligence.recommendations.wire import Task, decode, encode


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


@pytest.fixture
def earlier() -> set[int]:
    """Processes that were there before the test: those of the application under test."""
    return children()


@pytest.fixture
async def pool(earlier: set[int]) -> AsyncGenerator[SolverPool]:
    async with solver_pool(1) as made:
        yield made


def task(make_fleet: Callable[..., Fleet], machines: int, time_limit_s: float) -> Task:
    random = np.random.default_rng(3)
    fleet = make_fleet(
        random.normal(3250, 90, machines).tolist(),
        random.normal(110, 12, machines).tolist(),
        [number % 20 for number in range(machines)],
        0.5,
    )
    return Task(fleet, 1000.0 * machines, time_limit_s)


def test_a_task_survives_the_wire(make_fleet: Callable[..., Fleet]) -> None:
    sent = task(make_fleet, 50, 1.5)
    came = decode(encode(sent))
    assert (came.target_w, came.time_limit_s) == (sent.target_w, sent.time_limit_s)
    for column in ("power_w", "loss", "group", "cap_w"):
        assert (getattr(came.fleet, column) == getattr(sent.fleet, column)).all()


async def test_a_process_that_hangs_is_killed_and_replaced(
    pool: SolverPool, earlier: set[int], make_fleet: Callable[..., Fleet]
) -> None:
    await pool.solve(task(make_fleet, 40, 20))
    [pid] = children() - earlier
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(SolverTimeout):
        await pool.solve(task(make_fleet, 40, 0.05))
    assert pid not in children()
    assert (await pool.solve(task(make_fleet, 40, 20))).any()


async def test_a_process_that_dies_is_replaced(
    pool: SolverPool, earlier: set[int], make_fleet: Callable[..., Fleet]
) -> None:
    await pool.solve(task(make_fleet, 40, 20))
    [pid] = children() - earlier
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SolverFailure):
        await pool.solve(task(make_fleet, 40, 5))
    assert (await pool.solve(task(make_fleet, 40, 20))).any()


async def test_when_all_are_at_work_the_caller_does_not_wait_for_ever(
    pool: SolverPool, earlier: set[int], make_fleet: Callable[..., Fleet]
) -> None:
    await pool.solve(task(make_fleet, 40, 20))
    [pid] = children() - earlier
    os.kill(pid, signal.SIGSTOP)
    first = asyncio.create_task(pool.solve(task(make_fleet, 40, 0.5)))
    await asyncio.sleep(0)
    with pytest.raises(SolverBusy):
        await pool.solve(task(make_fleet, 40, 0.05))
    with pytest.raises(SolverTimeout):
        await first


async def test_closing_leaves_no_process_behind(make_fleet: Callable[..., Fleet]) -> None:
    before = children()
    async with solver_pool(2) as pool:
        await pool.solve(task(make_fleet, 40, 20))
    assert children() <= before
