"""Slots: the fixed grid of UTC time in which every miner is polled once.

Slot boundaries are the same for every worker, so `(miner, slot)` is the identity of a sample. A
worker's own clock may be wrong or may be set while it runs; it therefore counts on the monotonic
clock and ties that to the database's clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Slots:
    """The grid: slot n covers `[n * length_s, (n + 1) * length_s)` of Unix time."""

    length_s: int

    def at(self, unix_s: float) -> int:
        """Return the slot that holds an instant."""
        return int(unix_s // self.length_s)

    def start(self, slot: int) -> datetime:
        """Return when a slot begins."""
        return datetime.fromtimestamp(slot * self.length_s, UTC)

    def of(self, starts_at: datetime) -> int:
        """Return the slot that begins at an instant."""
        return self.at(starts_at.timestamp())

    def offset_s(self, miner_id: UUID) -> float:
        """Return how far into each slot this miner is polled: spread evenly, fixed for life.

        The last tenth of the slot stays free, so that a worker that is a little late is still in
        the slot.
        """
        return crc32(miner_id.bytes) / 2**32 * self.length_s * 0.9

    def due_s(self, miner_id: UUID, slot: int) -> float:
        """Return when in Unix time a miner is to be polled in a slot."""
        return slot * self.length_s + self.offset_s(miner_id)


class AnchoredClock:
    """Unix time by the monotonic clock, tied to the database's clock.

    The anchor with the shortest round trip is believed for a while: its error is at most half of
    that. A step of this machine's own clock has no effect.
    """

    def __init__(self, *, keep_s: float = 300.0) -> None:
        self._offset_s = 0.0
        self._error_s = float("inf")
        self._anchored_s = float("-inf")
        self._keep_s = keep_s

    @property
    def anchored(self) -> bool:
        """Return whether the database's clock has been read at all."""
        return self._error_s != float("inf")

    def anchor(self, *, sent_s: float, received_s: float, database_s: float) -> None:
        """Learn from one reading of the database's clock between two monotonic instants."""
        error = (received_s - sent_s) / 2
        stale = received_s - self._anchored_s > self._keep_s
        if error <= self._error_s or stale:
            self._offset_s = database_s - (sent_s + received_s) / 2
            self._error_s = error
            self._anchored_s = received_s

    def unix_s(self, monotonic_s: float) -> float:
        """Return the Unix time of a monotonic instant."""
        return monotonic_s + self._offset_s
