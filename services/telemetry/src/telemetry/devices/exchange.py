"""One question and its answer as a document: the wire and the parser together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from telemetry.devices.device import Deadlines, Device
from telemetry.devices.wire import Answer, ask
from telemetry.domain.normalise_answers import Answers
from telemetry.domain.reading import Flag, Outcome
from telemetry.domain.repair import read_json

_NO_RULES: frozenset[Flag] = frozenset()


@dataclass(slots=True)
class Reply:
    """A document with the outcome ok or repaired, or the reason why there is none."""

    outcome: Outcome
    document: Mapping[str, Any] | None
    rules: frozenset[Flag]
    sent: bool


@lru_cache(maxsize=512)
def request_for(commands: tuple[str, ...]) -> bytes:
    """Return the bytes that ask for reports, joined when there are several."""
    return encode({"command": "+".join(commands)})


def encode(body: Mapping[str, Any]) -> bytes:
    """Return a request's bytes: JSON from the first byte on, in one piece."""
    return orjson.dumps(body)


async def exchange(device: Device, request: bytes, deadlines: Deadlines) -> Reply:
    """Ask once and parse what came; never raises."""
    return reply_in(await ask(device.address, device.port, request, deadlines))


def reply_in(answer: Answer) -> Reply:
    """Parse what came over the wire."""
    if answer.body is None:
        return Reply(answer.outcome, None, _NO_RULES, answer.sent)
    document = read_json(answer.body)
    return Reply(document.outcome, document.value, document.rules, sent=True)


def first_row(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the first row of a section of a single answer, empty when there is none."""
    answers = Answers()
    answers.take(name, document)
    rows = answers.rows(name, name)
    return rows[0] if rows else {}
