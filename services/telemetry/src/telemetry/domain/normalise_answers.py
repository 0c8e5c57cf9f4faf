"""The envelope of an answer: which command said what, and which refused.

A joined answer holds one answer per command, in a list (the reference) or bare (its manual). An
answer has a STATUS, in a list, as an object or as a letter, and its rows beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from telemetry.domain.reading import Flag, Outcome

Row = Mapping[str, Any]

INVALID_COMMAND = 14
ACCESS_DENIED = 45
_FAILED = ("E", "F")  # not a set: what stands there may be a list, which cannot be looked up
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

    def take(self, command: str, part: Any) -> None:
        """Sort the answer to one command into those that say something and those that refuse."""
        if part.__class__ is list:
            part = part[0] if part else None
        if part.__class__ is not dict:
            self.flags.add(Flag.WRONG_SHAPE)
            self.refused[command] = Outcome.WRONG_SHAPE
        elif _bare_status(part).get("STATUS") in _FAILED:
            self.refused[command] = status_of(part).outcome
        else:
            self.parts[command] = part

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
        found: Any = part.get(name)
        if found is None:
            return ()
        kept = [row for row in found if row.__class__ is dict] if found.__class__ is list else []
        if found.__class__ is not list or len(kept) < len(found):
            self.flags.add(Flag.WRONG_SHAPE)
        return [found] if found.__class__ is dict else kept

    def row(self, command: str, name: str) -> Row:
        """Return the last such row, which in stock answers is the one with the numbers."""
        rows = self.rows(command, name)
        return rows[-1] if rows else _NO_ROW

    def message(self, command: str) -> Row:
        """Return the `Msg` object that WhatsMiner's own commands answer with."""
        found: Any = self.parts.get(command, _NO_ROW).get("Msg")
        return found if found.__class__ is dict else _NO_ROW


def _bare_status(answer: Row) -> Row:
    raw: Any = answer.get("STATUS")
    if raw.__class__ is list:
        raw = raw[0] if raw else None
    if raw.__class__ is dict:
        return raw
    return answer if raw.__class__ is str else _NO_ROW


def status_of(answer: Row) -> Status:
    """Read the status of an answer in any of its three forms."""
    raw = _bare_status(answer)
    code = raw.get("Code", raw.get("code"))
    return Status(
        letter=_as_text(raw.get("STATUS")),
        code=code if code.__class__ is int else None,
        message=_as_text(raw.get("Msg", raw.get("msg"))),
        when=when_of(answer),
        description=_as_text(raw.get("Description")),
    )


def when_of(answer: Row) -> float | None:
    """Return the time on the miner's clock when it answered."""
    raw = _bare_status(answer)
    when = raw.get("When", raw.get("when"))
    return float(when) if when.__class__ is int or when.__class__ is float else None


def refuses_joining(document: Row) -> bool:
    """Whether a joined question got one answer for all: this firmware does not join."""
    return "STATUS" in document


def _as_text(value: object) -> str:
    return value[:256] if type(value) is str else ""
