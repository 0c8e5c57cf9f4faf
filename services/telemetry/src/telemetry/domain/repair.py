"""Read what a miner calls JSON.

Strict parsing comes first and is the rule. Only a body that fails it, or that may repeat a key,
goes to the scanner: one pass, aware of strings, that knows the defects seen in the field and
reports each rule it had to use. It never guesses a value: what cannot be read is null.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from telemetry.domain.reading import Flag, Outcome

MAX_DEPTH = 64
_PADDING = b"\0 \r\n\t"
_BOM = b"\xef\xbb\xbf"

_SPACE = re.compile(r"[ \t\r\n]*")
_BEFORE_ITEM = re.compile(r"[ \t\r\n,]*")
_TEXT = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_KEY_AFTER_LOST_QUOTE = re.compile(r'([A-Za-z_][A-Za-z0-9_ %-]{0,63})"[ \t]*:')
_WORD = re.compile(r"[A-Za-z0-9_+.\-/%#]++")
_NUMBER = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?")
_STRICT_NUMBER = re.compile(r"-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PAIR = re.compile(r"([\ud800-\udbff])([\udc00-\udfff])")
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: dict[str, object] = {"true": True, "false": False, "null": None}
_CONTAINERS = frozenset({dict, list})
_LONGEST_INTEGER = 19
_LONGEST_NUMBER = 400


@dataclass(slots=True)
class Document:
    """A body as read: `value` is an object or None, `rules` are the repairs it took."""

    outcome: Outcome
    value: Mapping[str, Any] | None = None
    rules: frozenset[Flag] = frozenset()


_NOT_JSON = Document(Outcome.NOT_JSON)
_TRUNCATED = Document(Outcome.TRUNCATED)
_WRONG_SHAPE = Document(Outcome.WRONG_SHAPE)


def read_json(body: bytes) -> Document:
    """Parse one answer; any bytes give an outcome, in time and memory linear in their number.

    `ok` and `repaired` carry an object, `wrong_shape` is JSON that is no object, `truncated` is
    an answer that was cut, `not_json` is anything else.
    """
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _repaired(body)
    if value.__class__ is not dict:
        return _WRONG_SHAPE if _survey(value) is not None else _NOT_JSON
    if _is_plain(value, body):
        return Document(Outcome.OK, value)
    return _after_a_closer_look(value, body)


def _is_plain(document: dict[str, Any], body: bytes) -> bool:
    """Whether nothing about a parsed body asks for a closer look.

    Miners nest their objects in three known levels. When those hold every key of the body, none
    is repeated and no object is deeper; when the brackets are few, no list is deep either. A text
    with `":` in it fails too, which only costs the closer look.
    """
    keys = len(document)
    for part in document.values():
        if part.__class__ is list:
            for answer in part:
                if answer.__class__ is dict:
                    keys += len(answer) + _keys_below(answer)
    # Splitting finds a rare byte faster than counting it does.
    return keys >= body.count(b'":') and len(body.split(b"[")) <= MAX_DEPTH


def _keys_below(answer: dict[str, Any]) -> int:
    keys = 0
    for section in answer.values():
        if section.__class__ is list:
            for row in section:
                if row.__class__ is dict:
                    keys += len(row)
    return keys


def _after_a_closer_look(document: dict[str, Any], body: bytes) -> Document:
    keys = _survey(document)
    if keys is None:
        return _NOT_JSON
    if keys >= body.count(b'":'):
        return Document(Outcome.OK, document)
    repeated = False

    def note_repeats(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    json.loads(body, object_pairs_hook=note_repeats)
    rules = frozenset({Flag.DUPLICATE_KEY}) if repeated else frozenset[Flag]()
    return Document(Outcome.OK, document, rules)


def _survey(value: Any) -> int | None:
    """Count the keys of a document; None when it is too deep."""
    keys, level = 0, [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            if container.__class__ is dict:
                keys += len(container)
                below += [v for v in container.values() if v.__class__ in _CONTAINERS]
            elif container.__class__ is list:
                below += [v for v in container if v.__class__ in _CONTAINERS]
        if not below:
            return keys
        level = below
    return None


def _repaired(body: bytes) -> Document:
    """Parse a body that is not strict JSON."""
    rules: set[Flag] = set()
    body = body.strip(_PADDING)
    if body.startswith(_BOM):
        rules.add(Flag.BYTE_ORDER_MARK)
        body = body[len(_BOM) :].lstrip(_PADDING)
    if not body:
        return _TRUNCATED
    try:
        text = body.decode()
    except UnicodeDecodeError:
        rules.add(Flag.INVALID_UTF8)
        text = body.decode(errors="replace")
    try:
        value = _Scanner(text, rules).document()
    except _CutShort:
        return _TRUNCATED
    except _Hopeless:
        return _NOT_JSON
    if value is None:
        return _WRONG_SHAPE
    outcome = Outcome.REPAIRED if rules - {Flag.DUPLICATE_KEY} else Outcome.OK
    return Document(outcome, value, frozenset(rules))


class _CutShort(Exception):
    """The text ends where something is still open."""


class _Hopeless(Exception):
    """The text is not JSON with a known defect."""


class _Scanner:
    """One pass over a text, left to right, one character never visited twice by a rule."""

    def __init__(self, text: str, rules: set[Flag]) -> None:
        self._text = text
        self._end = len(text)
        self._at = 0
        self._depth = 0
        self._rules = rules

    def document(self) -> dict[str, object] | None:
        """Return the first object of the text, or None when the text is a list."""
        if self._text.startswith(',"'):
            self._rules.add(Flag.MISSING_OPENING)
            self._at = 1
            value: object = self._object()
        elif self._text.startswith("{"):
            self._at = 1
            value = self._object()
        elif self._text.startswith("["):
            self._at = 1
            value = self._array()
        else:
            raise _Hopeless
        self._skip(_SPACE)
        if self._at < self._end:
            self._rules.add(Flag.SECOND_DOCUMENT)
        return value if isinstance(value, dict) else None

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None  # both patterns match the empty text
        self._at = match.end()
        return match.group()

    def _peek(self) -> str:
        if self._at >= self._end:
            raise _CutShort
        return self._text[self._at]

    def _next_item(self, closer: str, *, first: bool) -> bool:
        """Go to the next item of a container; False, past its closer, when there is none."""
        commas = self._skip(_BEFORE_ITEM).count(",")
        char = self._peek()
        if char == closer:
            self._at += 1
            if commas:
                self._rules.add(Flag.STRAY_COMMA)
            return False
        if commas > (0 if first else 1):
            self._rules.add(Flag.STRAY_COMMA)
        elif not commas and not first:
            self._rules.add(Flag.MISSING_COMMA)
        return True

    def _object(self) -> dict[str, object]:
        self._enter()
        found: dict[str, object] = {}
        first = True
        while self._next_item("}", first=first):
            first = False
            key = self._key()
            if key in found:
                self._rules.add(Flag.DUPLICATE_KEY)
            self._skip(_SPACE)
            if self._peek() == ":":
                self._at += 1
                self._skip(_SPACE)
                found[key] = self._value()
            else:
                self._rules.add(Flag.KEY_WITHOUT_VALUE)
                found[key] = None
        self._depth -= 1
        return found

    def _key(self) -> str:
        if self._peek() == '"':
            return self._string()
        match = _KEY_AFTER_LOST_QUOTE.match(self._text, self._at)
        if match is None:
            raise _Hopeless
        self._rules.add(Flag.LOST_QUOTE)
        self._at = match.end(1) + 1
        return match.group(1)

    def _array(self) -> list[object]:
        self._enter()
        found: list[object] = []
        first = True
        while self._next_item("]", first=first):
            first = False
            if self._peek() == "}":
                raise _Hopeless
            value = self._value()
            self._skip(_SPACE)
            if isinstance(value, str) and self._peek() == ":":
                self._rules.add(Flag.MAP_IN_BRACKETS)
                self._at += 1
                self._skip(_SPACE)
                value = {value: self._value()}
            found.append(value)
        self._depth -= 1
        return found

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Hopeless

    def _value(self) -> object:
        char = self._peek()
        if char == '"':
            return self._string()
        if char == "{":
            self._at += 1
            return self._object()
        if char == "[":
            self._at += 1
            return self._array()
        if char in ",}]":
            self._rules.add(Flag.KEY_WITHOUT_VALUE)
            return None
        return self._word()

    def _string(self) -> str:
        match = _TEXT.match(self._text, self._at)
        if match is None:
            raise _CutShort
        self._at = match.end()
        text = match.group(1)
        if "\0" in text:
            raise _Hopeless
        if _CONTROL.search(text):
            self._rules.add(Flag.CONTROL_CHARACTER)
        if "\\" in text:
            text = self._unescaped(text)
        return text

    def _unescaped(self, text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            code = match.group(1)
            if len(code) > 1:
                return chr(int(code[1:], 16))
            if code not in _ESCAPED:
                self._rules.add(Flag.ODD_ESCAPE)
            return _ESCAPED.get(code, match.group())

        plain = _PAIR.sub(_joined, _ESCAPE.sub(replaced, text))
        if _SURROGATE.search(plain):
            self._rules.add(Flag.INVALID_UTF8)
            plain = _SURROGATE.sub("\ufffd", plain)
        return plain

    def _word(self) -> object:
        match = _WORD.match(self._text, self._at)
        if match is None:
            raise _Hopeless
        if match.end() == self._end:
            raise _CutShort
        self._at = match.end()
        word = match.group()
        if word.lower() in _LITERALS:
            if word not in _LITERALS:
                self._rules.add(Flag.BARE_WORD)
            return _LITERALS[word.lower()]
        if _NOT_FINITE.fullmatch(word):
            self._rules.add(Flag.NOT_FINITE)
            return None
        if len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word):
            return self._number(word)
        self._rules.add(Flag.BARE_WORD)
        return None

    def _number(self, word: str) -> int | float | None:
        if not _STRICT_NUMBER.fullmatch(word):
            self._rules.add(Flag.ODD_NUMBER)
        if word.lstrip("+-").isdecimal() and len(word) <= _LONGEST_INTEGER:
            return int(word)
        value = float(word)
        if not math.isfinite(value):
            self._rules.add(Flag.NOT_FINITE)
            return None
        return value


def _joined(match: re.Match[str]) -> str:
    high, low = ord(match.group(1)), ord(match.group(2))
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
