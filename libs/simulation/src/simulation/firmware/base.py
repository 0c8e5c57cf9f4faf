"""What every CGMiner descendant does alike: envelope, joined commands, text form."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import orjson

from simulation.inventory import Unit
from simulation.physics import Machine
from simulation.requests import BadRequest, Request, parse

INVALID_COMMAND = 14
ACCESS_DENIED = 45
JOINABLE = frozenset(
    {"version", "config", "devs", "edevs", "pools", "summary", "notify", "devdetails"}
    | {"stats", "estats", "coin", "lcd"}
)


class Firmware(ABC):
    """One machine's management program. Subclasses name their reports and controls."""

    description: ClassVar[str]
    knows_clients: ClassVar[bool] = False  # whether answers depend on who asks
    joinable: ClassVar[frozenset[str]] = JOINABLE
    reports: ClassVar[Mapping[str, Callable[[Any, float], str]]]

    def __init__(self, unit: Unit, machine: Machine) -> None:
        self.unit = unit
        self.machine = machine
        self.refuses_control = False
        self.refuses_joins = False

    def answer(self, raw: bytes, now: float, client: str = "") -> str:
        """Return the whole answer to one request, without the closing NUL."""
        try:
            request = parse(raw, client)
        except BadRequest as bad:
            return self.failed(now, bad.code, bad.message)
        if "+" in request.command:
            text = self._joined(request, now)
        elif (report := self.reports.get(request.command)) is not None:
            text = report(self, now)
        else:
            text = self.control(request, now)
        return _as_text(text) if request.as_text else text

    @abstractmethod
    def control(self, request: Request, now: float) -> str:
        """Answer what is not a report; each family knows what it lets itself be told."""

    def succeeded(self, now: float, code: int, message: str, sections: str = "") -> str:
        body = f",{sections}" if sections else ""
        return (
            f'{{"STATUS":[{{"STATUS":"S","When":{int(now)},"Code":{code},"Msg":"{message}",'
            f'"Description":"{self.description}"}}]{body},"id":1}}'
        )

    def failed(self, now: float, code: int, message: str) -> str:
        text = orjson.dumps(message).decode()
        return (
            f'{{"STATUS":[{{"STATUS":"E","When":{int(now)},"Code":{code},"Msg":{text},'
            f'"Description":"{self.description}"}}],"id":1}}'
        )

    def _joined(self, request: Request, now: float) -> str:
        if self.refuses_joins:
            return self.failed(now, INVALID_COMMAND, "Invalid command")
        reports, joinable, answers = self.reports, self.joinable, list[str]()
        for part in request.parts:
            report = reports.get(part) if part in joinable else None
            body = self._unjoinable(now) if report is None else report(self, now)
            name = orjson.dumps(part).decode()
            answers.append(f"{name}:[{body}]")
        return "{" + ",".join([*answers, '"id":1']) + "}"

    def _unjoinable(self, now: float) -> str:
        return self.failed(now, INVALID_COMMAND, "Invalid command")


def _as_text(answer: str) -> str:
    """Turn an answer into CGMiner's text form: sections end in a bar, fields in a comma."""
    document: dict[str, Any] = orjson.loads(answer)
    if "STATUS" in document:
        return _sections_as_text(document)
    return "".join(
        f"CMD={command}|{_sections_as_text(parts[0])}"
        for command, parts in document.items()
        if command != "id"
    )


def _sections_as_text(document: dict[str, Any]) -> str:
    return "".join(
        _row_as_text(name, index, entry)
        for name, section in document.items()
        if isinstance(section, list)
        for index, entry in enumerate(cast("list[dict[str, Any]]", section))
    )


def _row_as_text(name: str, index: int, entry: dict[str, Any]) -> str:
    head = "" if name == "STATUS" else f"{name}," if name == "SUMMARY" else f"{name}={index},"
    return head + ",".join(f"{key}={value}" for key, value in entry.items()) + "|"
