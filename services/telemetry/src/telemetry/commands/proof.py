"""Proof by telemetry: commanded machines are asked again and again until the effect is seen."""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from structlog import get_logger

from telemetry.commands.order import Order
from telemetry.commands.results import Results
from telemetry.domain.proof import is_proven, power_after
from telemetry.domain.reading import Reading
from telemetry.fleet.machine import Machine
from telemetry.poller.collector import Collector
from telemetry.poller.roster import Roster
from telemetry.settings import Settings

log = get_logger()
_TICK_S = 0.2
_PATIENCE = timedelta(seconds=5)


@dataclass(slots=True, eq=False)
class _Watched:
    order: Order
    next_at: datetime
    last: Reading | None = None
    asking: bool = False


class Proofs:
    """Commands that were sent and whose effect is not seen yet."""

    def __init__(
        self, settings: Settings, *, roster: Roster, collector: Collector, results: Results
    ) -> None:
        self._settings = settings
        self._roster = roster
        self._collector = collector
        self._results = results
        self._watched: dict[UUID, _Watched] = {}
        """By miner: a later command takes the place of an earlier one."""
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, order: Order) -> None:
        """Poll the machine until this command is proven or its deadline has passed."""
        earlier = self._watched.get(order.miner_id)
        if earlier is not None and earlier.order.id != order.id:
            if earlier.order.created_at > order.created_at:
                order, earlier.order = earlier.order, order
            self._end(earlier.order, "unverified", "A later command took its place.")
        self._watched[order.miner_id] = _Watched(order, self._collector.now() + self._pause())

    def _pause(self) -> timedelta:
        """Return how long to wait for the next look; spread, so that 2,000 do not ask at once."""
        share = random.uniform(0.6, 1.0)  # noqa: S311  (not a secret)
        return timedelta(seconds=self._settings.proof_poll_seconds * share)

    def is_proven(self, order: Order, reading: Reading) -> bool:
        """Return whether a reading proves the command."""
        sent_at = order.sent_at or order.created_at
        return is_proven(
            order.action,
            reading,
            asleep_below_w=self._settings.proof_power_w,
            uptime_before_s=order.uptime_before_s,
            since_sent_s=(self._collector.now() - sent_at).total_seconds(),
        )

    async def run(self) -> None:
        """Look for ever."""
        try:
            while True:
                now = self._collector.now()
                # Who waits to be stopped goes before who waits to be looked at, for a while.
                busy = self._results.unsent > 0
                for watched in list(self._watched.values()):
                    if not busy or now - watched.next_at > _PATIENCE:
                        self._look(watched, now)
                await asyncio.sleep(_TICK_S)
        finally:
            for task in self._tasks:
                task.cancel()

    def _look(self, watched: _Watched, now: datetime) -> None:
        if watched.asking:
            return
        order = watched.order
        machine = self._roster.machines.get(order.miner_id)
        if now >= order.deadline_at:
            del self._watched[order.miner_id]
            self._end(order, "unverified", _why(watched.last))
        elif machine is None:
            # It went to another worker, which takes the proof over, or left the fleet.
            del self._watched[order.miner_id]
            self._results.mine.discard(order.id)
        elif now >= watched.next_at:
            watched.asking = True
            task = asyncio.create_task(self._ask(watched, machine))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, watched: _Watched, machine: Machine) -> None:
        try:
            reading = await self._collector.poll_now(machine)
            order = watched.order
            current = self._watched.get(order.miner_id)
            if reading is None or current is not watched:
                return
            watched.last = reading
            if self.is_proven(order, reading):
                del self._watched[order.miner_id]
                order.became(power_after(order.action, reading, machine.nameplate_power_w))
                order.accepted_at = order.accepted_at or self._collector.now()
                self._end(order, "verified", None)
        except Exception:
            log.exception("proof.failed", command_id=str(watched.order.id))
        finally:
            watched.next_at = self._collector.now() + self._pause()
            watched.asking = False

    def _end(self, order: Order, state: str, detail: str | None) -> None:
        final = "verified" if state == "verified" else "unverified"
        self._results.put(order, final, detail, self._collector.now())


def _why(last: Reading | None) -> str:
    """Say what was seen last of a machine whose command was not proven in time."""
    if last is None:
        return "The machine was not seen again before the deadline."
    if not last.outcome.answered:
        return f"No answer before the deadline ({last.outcome.value})."
    rate = "unknown" if last.hashrate_5s_ths is None else f"{last.hashrate_5s_ths:.1f} TH/s"
    power = "unknown" if last.power_w is None else f"{last.power_w:.0f} W"
    return f"At the deadline: hashrate {rate}, power {power}."
