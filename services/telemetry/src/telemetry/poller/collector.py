"""Polls one machine: under its lock, within the socket budget, inside its site's networks."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from telemetry import metrics
from telemetry.devices.device import LIMITS, Device
from telemetry.devices.polling import poll
from telemetry.domain.reading import Outcome, Reading
from telemetry.domain.slots import AnchoredClock
from telemetry.fleet.machine import Machine
from telemetry.poller.lag import LoopWatch
from telemetry.poller.observation import Observer
from telemetry.poller.sockets import SocketBudget
from telemetry.samples.record import Record

_TIMEOUTS = (Outcome.CONNECT_TIMEOUT, Outcome.READ_TIMEOUT)


class Collector:
    """Everything that a poll needs, shared by the schedule and the proofs of commands."""

    def __init__(
        self,
        *,
        clock: AnchoredClock,
        sockets: SocketBudget,
        observer: Observer,
        loop_watch: LoopWatch,
        sink: Callable[[Record], None],
    ) -> None:
        self.clock = clock
        self.sockets = sockets
        self._observer = observer
        self._loop_watch = loop_watch
        self._sink = sink

    def now(self) -> datetime:
        """Return the time by the database's clock."""
        return datetime.fromtimestamp(self.clock.unix_s(time.monotonic()), UTC)

    async def poll_slot(self, machine: Machine, slot: int) -> None:
        """Take the machine's sample of a slot: exactly one row, whatever happens."""
        if machine.polling:
            metrics.overruns.inc()
            return
        if not machine.permitted:
            self._sink(self._observer.not_permitted(machine, slot=slot, at=self.now()))
        elif slot < machine.probe_slot:
            self._sink(self._observer.not_probed(machine, slot=slot, at=self.now()))
        else:
            machine.polling = True
            try:
                await self.poll_now(machine, slot=slot)
            finally:
                machine.polling = False

    async def poll_now(
        self, machine: Machine, *, slot: int | None = None, urgent: bool = False
    ) -> Reading | None:
        """Ask the machine now; without a slot the answer changes its state and is no sample.

        Returns None when the machine was let go, or may not be contacted.
        """
        if not machine.permitted:
            return None
        # The socket first, then the lock, here and for commands: a poll that waits for its turn
        # must not keep a command to the same machine waiting.
        async with self.sockets.socket(machine, urgent=urgent), machine.lock:
            if not machine.active:
                return None
            reading = await self.ask(machine)
        self._sink(self._observer.observe(machine, reading, slot=slot, at=self.now()))
        metrics.polls.labels(reading.outcome.value).inc()
        return reading

    async def ask(self, machine: Machine) -> Reading:
        """Poll over the wire; the caller holds the machine's lock and a socket."""
        began = time.monotonic()
        device = device_of(machine)
        reading, machine.capabilities = await poll(device, machine.capabilities, LIMITS)
        if reading.outcome in _TIMEOUTS:
            await asyncio.sleep(0)  # let the watch of our own lag run first
            if self._loop_watch.lagged_since(began):
                return Reading(outcome=Outcome.INCONCLUSIVE)
        return reading


def device_of(machine: Machine) -> Device:
    """Return how to reach a machine."""
    return Device(machine.address, machine.port, machine.firmware, machine.nameplate_hashrate_ths)
