"""The collecting side of telemetry in one process: polls, writes, and carries out commands.

One asyncio loop holds it all: roster, schedule, writer and executor share the machines, their
locks and the socket budget.
"""

import asyncio
from typing import cast

from common.ids import new_id
from common.runtime import Runtime
from telemetry import metrics
from telemetry.commands.execution import Executor
from telemetry.commands.proof import Proofs
from telemetry.commands.results import Results
from telemetry.commands.wake import listen
from telemetry.domain.slots import AnchoredClock, Slots
from telemetry.poller.assignment import follow_assignment
from telemetry.poller.collector import Collector
from telemetry.poller.lag import LoopWatch
from telemetry.poller.observation import RULES, Observer
from telemetry.poller.roster import Roster
from telemetry.poller.schedule import Schedule
from telemetry.poller.sockets import SocketBudget
from telemetry.poller.timekeeping import anchor, keep_time
from telemetry.samples.writer import Writer
from telemetry.settings import Settings


class Worker:
    """The parts of one worker, wired together."""

    def __init__(self, runtime: Runtime) -> None:
        self.settings = cast("Settings", runtime.settings)
        self.runtime = runtime
        self.id = new_id()
        self.clock = AnchoredClock()
        self.slots = Slots(self.settings.slot_seconds)
        self.loop_watch = LoopWatch()
        self.roster = Roster(runtime, self.id)
        self.writer = Writer(runtime, self.settings, RULES)
        self.collector = Collector(
            clock=self.clock,
            sockets=SocketBudget(
                self.settings.socket_budget, per_subnet=self.settings.sockets_per_subnet
            ),
            observer=Observer(self.settings, self.slots),
            loop_watch=self.loop_watch,
            sink=self.writer.put,
        )
        self.schedule = Schedule(runtime, self.slots, self.clock, self.collector)
        self.results = Results(runtime)
        self.proofs = Proofs(
            self.settings, roster=self.roster, collector=self.collector, results=self.results
        )
        self.executor = Executor(
            runtime,
            self.settings,
            worker_id=self.id,
            roster=self.roster,
            collector=self.collector,
            results=self.results,
            proofs=self.proofs,
        )
        self.roster.on_added.append(self.schedule.add)

    async def run(self) -> None:
        """Work for ever; if one part fails, all are started again by the supervisor."""
        await anchor(self.runtime, self.clock)
        async with asyncio.TaskGroup() as parts:
            for part in (
                self.loop_watch.run(),
                keep_time(self.runtime, self.clock),
                self.roster.run(),
                self.schedule.run(),
                self.writer.run(),
                self.results.run(),
                self.proofs.run(),
                self.executor.run(),
                listen(self.runtime, self.executor.woken),
                self._count(),
                follow_assignment(
                    self.runtime, self.roster.assign, instance_id=self.settings.instance_id
                ),
            ):
                parts.create_task(part)

    async def _count(self) -> None:
        while True:
            metrics.machines.set(len(self.roster.machines))
            await asyncio.sleep(1)


async def collect(runtime: Runtime) -> None:
    """Poll the fleet and carry out commands: the background task of a worker process."""
    await Worker(runtime).run()
