"""Which version of which rate holds when: pure, over activations and versions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Reign:
    """A stretch for which a rate was the active one of a place."""

    place: str
    rate_id: UUID
    active_from: datetime
    active_until: datetime | None

    def holds_at(self, instant: datetime) -> bool:
        """Return whether the rate was active at an instant."""
        ended = self.active_until is not None and self.active_until <= instant
        return self.active_from <= instant and not ended


@dataclass(frozen=True, slots=True)
class Edition:
    """A version of a rate, and since when it says what it says."""

    rate_id: UUID
    version: int
    valid_from: datetime


Chosen = tuple[UUID, int]
"""A rate and its version."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is known of some places, the nearest first."""

    places: Sequence[str]
    reigns: Sequence[Reign]
    editions: Sequence[Edition]

    def at(self, instant: datetime) -> Chosen | None:
        """Return what held at an instant.

        The nearest place with an active rate decides. Before the first activation of all, the
        first one counts: what was used before its rate was written down has a price as well.
        """
        for place in self.places:
            for reign in self._reigns(place):
                if reign.holds_at(instant):
                    return reign.rate_id, self._edition(reign.rate_id, instant)
        for place in self.places:
            first = min(self._reigns(place), key=lambda reign: reign.active_from, default=None)
            if first is not None and instant < first.active_from:
                return first.rate_id, self._edition(first.rate_id, instant)
        return None

    def between(
        self, start: datetime, end: datetime
    ) -> Iterator[tuple[datetime, datetime, Chosen | None]]:
        """Yield the stretches of a span with what holds in each; None where nothing does."""
        edges = {edition.valid_from for edition in self.editions}
        for reign in self.reigns:
            edges |= {reign.active_from, reign.active_until or end}
        bounds = [start, *sorted(edge for edge in edges if start < edge < end), end]
        since, held = start, self.at(start)
        for bound in bounds[1:-1]:
            chosen = self.at(bound)
            if chosen != held:
                yield since, bound, held
                since, held = bound, chosen
        if since < end:
            yield since, end, held

    def _reigns(self, place: str) -> Iterator[Reign]:
        return (reign for reign in self.reigns if reign.place == place)

    def _edition(self, rate_id: UUID, instant: datetime) -> int:
        """Return the newest version that had begun; before all of them, what held at first."""
        own = [edition for edition in self.editions if edition.rate_id == rate_id]
        since = max(instant, min(edition.valid_from for edition in own))
        return max(edition.version for edition in own if edition.valid_from <= since)
