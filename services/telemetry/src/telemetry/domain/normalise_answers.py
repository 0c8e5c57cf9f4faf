"""The envelope of an answer: which command said what, and which refused.

A joined answer holds one answer per command, in a list (the reference) or bare (its manual). An
answer has a STATUS, in a list, as an object or as a letter, and its rows beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from telemetry.domain.reading import Flag, Outcome

Row = Mapping[str, object]

INVALID_COMMAND = 14
ACCESS_DENIED = 45
_FAILED = frozenset({"E", "F"})
_NO_ROW: Row = {}


@dataclass(frozen=True, slots=True)
class Status:
    """What the miner thinks of the question."""

    letter: str = ""
    code: int | None = None
    message: str = ""
    when: float | None = None
    description: str = ""

    @property
    def failed(self) -> bool:
        return self.letter in _FAILED

    @property
    def outcome(self) -> Outcome:
        """The outcome of a poll whose main question got this answer."""
        if not self.failed:
            return Outcome.OK
        if self.code == ACCESS_DENIED:
            return Outcome.DENIED
        return Outcome.UNSUPPORTED if self.code == INVALID_COMMAND else Outcome.API_ERROR


@dataclass(slots=True)
class Answers:
    """What the commands of one poll brought, by command; filled from one answer or several."""

    parts: dict[str, Row] = field(default_factory=dict[str, Row])
    refused: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    flags: set[Flag] = field(default_factory=set[Flag])
    repaired: bool = False

    def take(self, command: str, part: object) -> None:
        """Sort the answer to one command into those that say something and those that refuse."""
        if type(part) is list:
            listed = cast(list[object], part)
            part = listed[0] if listed else None
        if type(part) is not dict:
            self.flags.add(Flag.WRONG_SHAPE)
            self.refused[command] = Outcome.WRONG_SHAPE
            return
        answer = cast(dict[str, object], part)
        status = _bare_status(answer)
        if status.get("STATUS") in _FAILED:
            self.refused[command] = status_of(answer).outcome
        else:
            self.parts[command] = answer

    def take_joined(self, document: Row, commands: Iterable[str]) -> None:
        """Take the answer to each command out of a joined one."""
        for command in commands:
            if command in document:
                self.take(command, document[command])

    def rows(self, command: str, name: str) -> Sequence[Row]:
        """Return the rows that an answer holds under a name; none when it did not come."""
        part = self.parts.get(command)
        if part is None:
            return ()
        found = part.get(name)
        if type(found) is list:
            rows = [cast(Row, row) for row in cast(list[object], found) if type(row) is dict]
            if len(rows) < len(cast(list[object], found)):
                self.flags.add(Flag.WRONG_SHAPE)
            return rows
        if found is not None:
            self.flags.add(Flag.WRONG_SHAPE)
        return (cast(Row, found),) if type(found) is dict else ()

    def row(self, command: str, name: str) -> Row:
        """Return the last such row, which in stock answers is the one with the numbers."""
        rows = self.rows(command, name)
        return rows[-1] if rows else _NO_ROW

    def message(self, command: str) -> Row:
        """Return the `Msg` object that WhatsMiner's own commands answer with."""
        found = self.parts.get(command, _NO_ROW).get("Msg")
        return cast(Row, found) if type(found) is dict else _NO_ROW


def _bare_status(answer: Row) -> Row:
    raw = answer.get("STATUS")
    if type(raw) is list:
        listed = cast(list[object], raw)
        raw = listed[0] if listed else None
    if type(raw) is dict:
        return cast(Row, raw)
    return answer if type(raw) is str else _NO_ROW


def status_of(answer: Row) -> Status:
    """Read the status of an answer in any of its three forms."""
    raw = _bare_status(answer)
    code, when = raw.get("Code", raw.get("code")), raw.get("When", raw.get("when"))
    return Status(
        letter=_as_text(raw.get("STATUS")),
        code=code if type(code) is int else None,
        message=_as_text(raw.get("Msg", raw.get("msg"))),
        when=float(when) if type(when) is int or type(when) is float else None,
        description=_as_text(raw.get("Description")),
    )


def refuses_joining(document: Row) -> bool:
    """Whether a joined question got one answer for all: this firmware does not join."""
    return "STATUS" in document


def _as_text(value: object) -> str:
    return value[:256] if type(value) is str else ""
