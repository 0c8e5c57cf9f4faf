"""Looking on, and checking up: what was done to machines, and what services have written down."""

from collections import Counter, defaultdict
from importlib import import_module
from threading import Event as Flag
from threading import Thread
from typing import Self

from tests.running import Record, System, eventually

from common.events import TOPICS
from launcher.installation import SERVICES

STRANGER = "/test"
"""The source of events that a test produces, past every outbox."""


class Witness:
    """Looks at a site's machines many times a second, past all services: what was done to which.

    Machines at other sites have plans of their own, which may end while one looks.
    """

    def __init__(self, system: System) -> None:
        self._control = system.control
        self._watched = {one["cgminer_ip"] for one in system.miners(site_id=system.site_id)}
        self._changes: defaultdict[str, set[float]] = defaultdict(set)
        self._before: dict[str, float] = {}
        self._stop = Flag()
        self._thread = Thread(target=self._watch, name="witness")

    def __enter__(self) -> Self:
        self._before = {row["address"]: row["changed_at"] for row in self._control.miners()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def changes(self) -> dict[str, int]:
        """Return how often each machine was put to sleep, woken or rebooted; others are absent."""
        self._look()
        return {address: len(times) for address, times in self._changes.items() if times}

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self._look()

    def _look(self) -> None:
        for row in self._control.miners():
            is_watched = row["address"] in self._watched
            if is_watched and row["changed_at"] != self._before[row["address"]]:
                self._changes[row["address"]].add(row["changed_at"])


class Books:
    """What every service has written down, held against the broker and against each other."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._records: list[Record] = []

    def agree(self) -> None:
        """Nothing lost, order within each key, every effect once."""
        eventually(self._all_is_sent, "every outbox is sent")
        sent = self._outbox("WHERE published_at IS NOT NULL")
        self._records = [
            record
            for record in self._system.records(*TOPICS)
            if record.headers.get("ce_source", STRANGER) != STRANGER
        ]
        self._nothing_is_lost_on_the_way(sent)
        self._keys_keep_their_order()
        eventually(self._all_is_handled, "every event is handled by whom it concerns")
        self._nothing_is_buried()
        self._commands_are_carried_out_once()

    def _all_is_sent(self) -> bool:
        return not any(
            self._system.sql(f"SELECT 1 FROM {name}.outbox WHERE published_at IS NULL LIMIT 1")
            for name in SERVICES
        )

    def _outbox(self, which: str = "") -> set[str]:
        return {
            str(row["event_id"])
            for name in SERVICES
            for row in self._system.sql(f"SELECT event_id FROM {name}.outbox {which}")
        }

    def _nothing_is_lost_on_the_way(self, sent: set[str]) -> None:
        """What is marked as sent is on the broker, and nothing that was not committed.

        The system goes on while one looks: what it commits meanwhile may be there or not.
        """
        found = {record.event_id for record in self._records}
        assert sent - found == set()
        assert found - self._outbox() == set()

    def _keys_keep_their_order(self) -> None:
        """Leaving repeats out, the versions of an aggregate rise on the broker."""
        seen: set[str] = set()
        last: defaultdict[tuple[str, str], int] = defaultdict(int)
        for record in self._records:
            if record.event_id not in seen:
                seen.add(record.event_id)
                version = int(record.headers["ce_sequence"])
                place = record.topic, record.key
                assert version == 0 or version >= last[place], record
                last[place] = version

    def _all_is_handled(self) -> bool:
        """Every consumer's inbox holds each event of the types that it reacts to."""
        for name in SERVICES:
            types = _reacts_to(name)
            wanted = {record.event_id for record in self._records if record.type in types}
            rows = self._system.sql(f"SELECT event_id FROM {name}.inbox")
            if not wanted <= {str(row["event_id"]) for row in rows}:
                return False
        return True

    def _nothing_is_buried(self) -> None:
        ours = {record.event_id for record in self._records}
        for name in SERVICES:
            rows = self._system.sql(f"SELECT event_id, type, error FROM {name}.dead_letter")
            assert [dict(row) for row in rows if str(row["event_id"]) in ours] == [], name

    def _commands_are_carried_out_once(self) -> None:
        """Each command that was ordered is known, ended, and its end was told once."""
        ordered = {
            command["command_id"]
            for record in self._records
            if record.type.endswith(".ordered.v1")
            for command in record.data["commands"]
        }
        rows = self._system.sql("SELECT id, state, finished_at FROM telemetry.command")
        assert {str(row["id"]) for row in rows} == ordered
        assert [dict(row) for row in rows if row["finished_at"] is None] == []
        told = Counter(
            result["command_id"]
            for record in {one.event_id: one for one in self._records}.values()
            if record.type == "telemetry.command.progressed.v1"
            for result in record.data["results"]
            if result["state"] != "accepted"
        )
        assert set(told) == ordered
        assert set(told.values()) <= {1}


def _reacts_to(name: str) -> set[str]:
    service = import_module(f"{name}.main").SERVICE
    return {event_type for feature in service.reactions for event_type in feature.handlers}
