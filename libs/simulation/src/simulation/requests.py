"""What a client asked: CGMiner's JSON or text form, read as the reference server reads it."""

from dataclasses import dataclass, field
from typing import Any, cast

import orjson

INVALID_JSON = 23
MISSING_COMMAND = 24


class BadRequest(Exception):
    """The request has no command in it; carries CGMiner's code for why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    command: str
    parameter: str = ""
    as_text: bool = False
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    client: str = ""

    @property
    def parts(self) -> list[str]:
        """The joined report commands, each once, empty parts left out."""
        return list(dict.fromkeys(part for part in self.command.split("+") if part))


def parse(raw: bytes, client: str = "") -> Request:
    """Read one request. Anything that does not begin with a brace is the text form."""
    if raw[:1] != b"{":
        command, _, parameter = raw.decode("utf-8", "replace").rstrip("\r\n\0").partition("|")
        return Request(command, parameter, as_text=True, client=client)
    try:
        loaded: object = orjson.loads(raw.rstrip(b"\r\n\0 "))
    except orjson.JSONDecodeError:
        raise BadRequest(INVALID_JSON, "Invalid JSON") from None
    body = cast("dict[str, Any]", loaded)  # it begins with a brace
    command = body.get("command", body.get("cmd"))
    if body.get("enc") == 1:
        return Request("", body=body, client=client)
    if not isinstance(command, str):
        raise BadRequest(MISSING_COMMAND, "Missing JSON 'command'")
    return Request(command, _parameter(body.get("parameter")), body=body, client=client)


def _parameter(value: object) -> str:
    """Strings and numbers count; the reference server ignores every other kind of value."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""
