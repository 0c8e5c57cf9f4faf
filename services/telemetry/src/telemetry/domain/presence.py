"""Is a miner there? Silent for three slots means offline; one answer means online.

A single missed answer proves nothing: networks drop packets. An `inconclusive` slot (this worker
itself was too busy to judge) changes nothing either way.
"""

from dataclasses import dataclass, replace
from typing import Literal

Sign = Literal["up", "silent", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Presence:
    """What is known so far; `online` is None until there is a verdict."""

    online: bool | None = None
    silent_slots: int = 0

    def after(self, sign: Sign, *, limit: int) -> "Presence":
        """Return what is known after one more slot; `limit` silent slots make a miner offline."""
        if sign == "inconclusive":
            return self
        if sign == "up":
            return Presence(online=True)
        silent = self.silent_slots + 1
        return replace(
            self,
            silent_slots=min(silent, 32_000),
            online=False if silent >= limit else self.online,
        )


def probe_distance(silent_slots: int, *, limit: int) -> int:
    """Return in how many slots a silent miner is contacted again: 1, then 2, 4, 8, at most 10."""
    if silent_slots < limit:
        return 1
    return min(10, 2 ** min(4, silent_slots // limit))
