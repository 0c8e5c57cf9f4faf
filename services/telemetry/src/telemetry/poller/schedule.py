"""Each machine's turn: once in every slot, at the machine's own offset, spread over the slot.

A heap holds the next turn of each machine. Nothing is gathered over the fleet: a hung machine
delays nobody.
"""

import asyncio
import heapq
import random
import time
from collections.abc import Coroutine
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import text
from structlog import get_logger

from common.runtime import Runtime
from telemetry import metrics
from telemetry.domain.slots import AnchoredClock, Slots
from telemetry.fleet.machine import Machine
from telemetry.poller.collector import Collector

log = get_logger()
_CATCH_UP_S = 5.0
_LONGEST_NAP_S = 0.25
_SEEN = text("SELECT miner_id FROM telemetry.sample WHERE slot = :slot AND miner_id = ANY(:ids)")


class Schedule:
    """Starts every poll at its time, for the machines that the roster adds."""

    def __init__(
        self, runtime: Runtime, slots: Slots, clock: AnchoredClock, collector: Collector
    ) -> None:
        self._runtime = runtime
        self._slots = slots
        self._clock = clock
        self._collector = collector
        self._heap: list[tuple[float, int, int, Machine]] = []
        self._order = count()
        self._tasks: set[asyncio.Task[None]] = set()

    def _unix_s(self) -> float:
        return self._clock.unix_s(time.monotonic())

    def add(self, machines: list[Machine]) -> None:
        """Poll these machines from now on, and in this slot those that nobody has polled in it."""
        self.start(self._add(machines))

    async def _add(self, machines: list[Machine]) -> None:
        now_s = self._unix_s()
        slot = self._slots.at(now_s)
        seen = await self._seen(machines, slot)
        spread_s = min(_CATCH_UP_S, self._slots.length_s / 4)
        for machine in machines:
            due_s = self._slots.due_s(machine.id, slot)
            if machine.id in seen:
                self._push(machine, slot + 1)
            elif due_s < now_s:
                late_s = now_s + random.uniform(0, spread_s)  # noqa: S311  (not a secret)
                heapq.heappush(self._heap, (late_s, next(self._order), slot, machine))
            else:
                self._push(machine, slot)

    async def _seen(self, machines: list[Machine], slot: int) -> set[UUID]:
        ids = [machine.id for machine in machines]
        async with self._runtime.worker_session() as session:
            found = await session.scalars(_SEEN, {"slot": self._slots.start(slot), "ids": ids})
            return set(found)

    def _push(self, machine: Machine, slot: int) -> None:
        due_s = self._slots.due_s(machine.id, slot)
        heapq.heappush(self._heap, (due_s, next(self._order), slot, machine))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the schedule, and keep hold of it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("poll.failed", error=repr(error), exc_info=error)

    async def run(self) -> None:
        """Start polls for ever."""
        try:
            while True:
                now_s = self._unix_s()
                while self._heap and self._heap[0][0] <= now_s:
                    due_s, _, slot, machine = heapq.heappop(self._heap)
                    self._turn(machine, slot, now_s - due_s)
                nap_s = self._heap[0][0] - now_s if self._heap else _LONGEST_NAP_S
                await asyncio.sleep(min(_LONGEST_NAP_S, max(0.001, nap_s)))
        finally:
            for task in self._tasks:
                task.cancel()

    def _turn(self, machine: Machine, slot: int, late_s: float) -> None:
        if not machine.active:
            return
        current = self._slots.at(self._unix_s())
        if slot < current:  # we slept through it: a row in the wrong slot would be a lie
            self._push(machine, current)
            return
        metrics.poll_late.observe(late_s)
        self._push(machine, slot + 1)
        self.start(self._collector.poll_slot(machine, slot))
