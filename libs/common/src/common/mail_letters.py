"""What letters say: templates of the service that sends, values that are never templates."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
)

_LONGEST_TEXT = 500
_LONGEST_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter, ready to be put into an envelope."""

    subject: str
    text: str
    html: str


class Letters:
    """The letters of a service: `<template>.txt` and `.html` in a folder of it.

    A text extends `layout.txt` and fills its blocks `subject` and `body`; HTML extends
    `layout.html` and fills `body`. A name in a letter that has no value is an error.
    """

    def __init__(self, folder: Path) -> None:
        loader = FileSystemLoader([folder, Path(__file__).parent / "letters"])
        options: dict[str, Any] = {
            "loader": loader,
            "undefined": StrictUndefined,
            "keep_trailing_newline": True,
            "trim_blocks": True,
            "lstrip_blocks": True,
        }
        self._html = Environment(autoescape=True, **options)
        # Plain text has nothing to escape; what could break its lines is taken out of the values.
        self._text = Environment(autoescape=False, **options)  # noqa: S701  (plain text)

    def has(self, template: str) -> bool:
        """Return whether there is such a letter."""
        try:
            self._templates(template)
        except TemplateNotFound:
            return False
        return True

    def write(self, template: str, facts: Mapping[str, Any], *, links: Mapping[str, str]) -> Letter:
        """Return a letter with these values in it; `links` are our own, and stay whole."""
        text, html = self._templates(template)
        told = cast("dict[str, Any]", plain(dict(facts))) | dict(links)
        subject = "".join(text.blocks["subject"](text.new_context(told)))
        return Letter(
            subject=_line(subject)[:_LONGEST_SUBJECT],
            text=text.render(told),
            html=html.render(told | {"subject": _line(subject)}),
        )

    def _templates(self, template: str) -> tuple[Template, Template]:
        if not template.replace("_", "").isalnum():
            raise TemplateNotFound(template)
        return (
            self._text.get_template(f"{template}.txt"),
            self._html.get_template(f"{template}.html"),
        )


def plain(value: Any) -> Any:
    """Return values with every text in one line: what strangers wrote starts none of its own."""
    if isinstance(value, str):
        return _line(value)[:_LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in cast("list[Any]", value)]
    return value


def _line(text: str) -> str:
    """Return a text without line breaks, control characters and marks that turn its direction."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)
    return " ".join("".join(kept).split())
