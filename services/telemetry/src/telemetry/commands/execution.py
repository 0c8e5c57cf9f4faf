"""Carries out commands: claimed in one statement, many sockets at once, results in batches."""

import asyncio
import random
import time
from datetime import datetime, timedelta
from uuid import UUID

from structlog import get_logger

from common.runtime import Runtime
from telemetry import metrics
from telemetry.commands.order import Order, claim, unproven
from telemetry.commands.proof import Proofs
from telemetry.commands.results import Results
from telemetry.devices.control import command, family_for
from telemetry.devices.device import Action, CommandResult, CommandState
from telemetry.domain.partition import partition_of
from telemetry.domain.proof import power_before
from telemetry.fleet.credentials import Unsealable, credential_of
from telemetry.fleet.machine import Machine
from telemetry.poller.collector import Collector, device_of
from telemetry.poller.roster import Roster
from telemetry.settings import Settings

log = get_logger()
_AT_MOST = 2000
_TRIES = 3
_RECENT = timedelta(minutes=5)


class Executor:
    """Takes this worker's commands from the table and sends them."""

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        *,
        worker_id: UUID,
        roster: Roster,
        collector: Collector,
        results: Results,
        proofs: Proofs,
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._worker_id = worker_id
        self._roster = roster
        self._collector = collector
        self._results = results
        self._proofs = proofs
        self._tasks: set[asyncio.Task[None]] = set()
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Carry out commands for ever: at once when woken, and looking by itself each second."""
        rounds = 0
        try:
            while True:
                self.woken.clear()
                try:
                    count = await self._take()
                    if rounds % 3 == 0 and not count:
                        await self._resume()
                except Exception as error:  # noqa: BLE001  (the rows stay pending, nothing is lost)
                    log.warning("commands.waiting", error=repr(error)[:300])
                    count = 0
                    await asyncio.sleep(0.5)
                rounds += 1
                if not count:
                    await self._nap()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _nap(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self.woken.wait()
        except TimeoutError:
            pass

    async def _take(self) -> int:
        partitions = self._roster.partitions
        if not partitions:
            return 0
        async with self._runtime.worker_session() as session:
            orders = await claim(
                session,
                worker=self._worker_id,
                partitions=partitions,
                mine=list(self._results.mine),
                lease_s=self._settings.command_lease_seconds,
                limit=_AT_MOST,
            )
        self._results.mine |= {order.id for order in orders}
        self._results.unsent += len(orders)
        for order in orders:
            self._supersede(order)
        for order in orders:
            task = asyncio.create_task(self._guarded(order))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(orders)

    def _supersede(self, order: Order) -> None:
        """Note when the machine's latest order came."""
        machine = self._roster.machines.get(order.miner_id)
        if machine is not None:
            machine.ordered_at = max(machine.ordered_at or order.created_at, order.created_at)

    async def _resume(self) -> None:
        """Go on proving commands that were sent by a worker that is gone."""
        async with self._runtime.worker_session() as session:
            orders = await unproven(
                session, partitions=self._roster.partitions, mine=list(self._results.mine)
            )
        self._results.mine |= {order.id for order in orders}
        for order in orders:
            self._proofs.watch(order)

    async def _guarded(self, order: Order) -> None:
        try:
            await self._carry_out(order)
        except Exception:
            log.exception("command.failed", command_id=str(order.id))
            self._results.put(order, "unverified", "An internal error was logged.", self._now())
        finally:
            self._results.unsent -= 1

    def _now(self) -> datetime:
        return self._collector.now()

    async def _carry_out(self, order: Order) -> None:
        machine = await self._machine(order)
        if machine is None:
            if partition_of(order.miner_id) not in self._roster.partitions:
                self._results.mine.discard(order.id)  # its new worker claims it after the lease
                return
            detail = "The machine is not polled: it is not approved, disabled, retired or unknown."
            self._results.put(order, "unreachable", detail, self._now())
        elif self._now() >= order.deadline_at:
            self._results.put(order, "expired", "The deadline passed before its turn.", self._now())
        elif not machine.permitted:
            detail = "Its address is outside the networks that its site allows."
            self._results.put(order, "unreachable", detail, self._now())
        elif order.attempts > 1 and await self._was_done_before(order, machine):
            self._proofs.watch(order)
        else:
            await self._send(order, machine)

    async def _machine(self, order: Order) -> Machine | None:
        """Return the machine; one that was registered a moment ago may still be on its way here."""
        for _ in range(3):
            machine = self._roster.machines.get(order.miner_id)
            if machine is not None and machine.organisation_id == order.organisation_id:
                return machine
            await asyncio.sleep(0.7)
        return None

    async def _was_done_before(self, order: Order, machine: Machine) -> bool:
        """A worker died over this command. Return whether to leave it at what was sent then.

        A reboot is never sent twice. Sleep and wake are looked at first, and may be sent again.
        """
        order.sent_at = order.sent_at or order.created_at
        if order.action == "reboot":
            self._results.put(order, "sent", "Sent by a worker that was lost.", self._now())
            return True
        reading = await self._collector.poll_now(machine, urgent=True)
        if reading is None or not self._proofs.is_proven(order, reading):
            return False
        self._note_before(order, machine)
        order.accepted_at = self._now()
        self._results.put(order, "accepted", None, order.accepted_at)
        return True

    async def _send(self, order: Order, machine: Machine) -> None:
        result = await self._send_once(order, machine)
        for _ in range(_TRIES - 1):
            if result.state is not CommandState.UNREACHABLE:
                break
            await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311  (not a secret)
            result = await self._send_once(order, machine)
        at = self._now()
        if result.state is CommandState.ACCEPTED:
            order.accepted_at = at
            self._took(order, machine, at)
            self._results.put(order, "accepted", result.detail, at)
            self._proofs.watch(order)
        elif result.state is CommandState.ACCEPTED_UNCONFIRMED:
            self._results.put(order, "sent", result.detail, at)
            self._proofs.watch(order)
        elif result.state is CommandState.REFUSED:
            self._results.put(order, "refused", result.detail, at)
        elif result.state is CommandState.UNSUPPORTED:
            self._results.put(order, "unsupported", result.detail, at)
        else:
            self._results.put(order, "unreachable", result.detail, at)

    async def _send_once(self, order: Order, machine: Machine) -> CommandResult:
        device = device_of(machine)
        family = family_for(device, machine.capabilities)
        try:
            credential = credential_of(machine.site, family, self._settings)
        except Unsealable as error:
            return CommandResult(CommandState.REFUSED, str(error))
        async with self._collector.sockets.socket(machine, urgent=True), machine.lock:
            if self._now() >= order.deadline_at:
                return CommandResult(CommandState.UNREACHABLE, "No turn before the deadline.")
            if machine.ordered_at is not None and machine.ordered_at > order.created_at:
                return CommandResult(CommandState.UNREACHABLE, "A newer order took its place.")
            self._note_before(order, machine)
            began = time.monotonic()
            if order.sent_at is None:
                order.sent_at = self._now()
                wait_s = (order.sent_at - order.created_at).total_seconds()
                metrics.command_wait.observe(max(0.0, wait_s))
            result = await command(device, Action(order.action), credential, machine.capabilities)
            metrics.command_socket.observe(time.monotonic() - began)
        return result

    def _note_before(self, order: Order, machine: Machine) -> None:
        known, known_at = machine.known, machine.known_at
        if known_at is None or self._now() - known_at > _RECENT:
            known = None
        order.was(
            power_before(known, machine.nameplate_power_w),
            known.mining_uptime_s if known else None,
        )

    def _took(self, order: Order, machine: Machine, at: datetime) -> None:
        """Let alerts know that this machine sleeps, or ramps up, by our own order."""
        ramp = timedelta(seconds=self._settings.ramp_seconds)
        if order.action == "sleep":
            machine.curtailed_since = at
        else:
            machine.ramping_until = at + ramp
        if order.action == "wake":
            machine.curtailed_since = None
