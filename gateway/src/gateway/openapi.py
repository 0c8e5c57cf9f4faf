"""One OpenAPI document from those of all services: documents are merged, not applications.

To what the services declare comes what the front answers in their place.
"""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from common.errors import (
    BadRequest,
    Forbidden,
    Invalid,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMedia,
    problems,
)
from gateway.problems import (
    NotAcceptable,
    RequestTimeout,
    SecondFactorRequired,
    Shed,
    UpstreamTimeout,
    UpstreamUnreachable,
)

Document = dict[str, Any]
_SHARED = frozenset({"ProblemDocument", "FieldError", "HTTPValidationError", "ValidationError"})
_ANSWERS = {
    f"Gateway{status}": answer
    for status, answer in problems(
        BadRequest, Unauthenticated, Forbidden, SecondFactorRequired, NotAcceptable,
        RequestTimeout, TooLarge, UnsupportedMedia, Invalid, TooManyRequests,
        UpstreamUnreachable, Shed, UpstreamTimeout,
    ).items()
}  # fmt: skip
_ANY = frozenset({400, 406, 422, 429, 503})
_WITH_BODY = frozenset({408, 413, 415})
_WITH_CREDENTIALS = frozenset({401, 403})
_PASSED_ON = frozenset({401, 502, 504})
"""401 also where credentials are optional: wrong ones are refused."""
_DESCRIPTION = """\
Every error is an RFC 9457 problem (`application/problem+json`). GET may be asked for as HEAD; \
OPTIONS names a path's methods. Limited answers carry `RateLimit` and `RateLimit-Policy`, refusals \
`Retry-After`. Whatever the operation, an address over 8 kB is 414, an expectation other than \
`100-continue` 417, and a head over 16 kB or 64 fields 431."""
_REFERENCE = re.compile(r"#/components/(\w+)/(.+)")


class MergeError(Exception):
    """Two documents contradict each other."""


def read_contracts(folder: Path) -> dict[str, Document]:
    """Return the committed documents by service (the merged one is not one of them)."""
    return {
        file.stem: json.loads(file.read_text())
        for file in sorted(folder.glob("*.json"))
        if file.stem != "hashyard"
    }


def merge(documents: Mapping[str, Document]) -> Document:
    """Return one document. Components get their service's name in front, unless all share them.

    Raises:
        MergeError: two services claim a path or an operation, or differ in a shared component.
    """
    merged: Document = {
        "openapi": "3.1.0",
        "info": {"title": "Hashyard", "version": "1", "description": _DESCRIPTION},
        "paths": {},
        "components": {},
    }
    operations: set[str] = set()
    for service, original in documents.items():
        document = _renamed(service, original)
        for path, item in document.get("paths", {}).items():
            if path in merged["paths"]:
                msg = f"{path} is claimed twice, the second time by {service}"
                raise MergeError(msg)
            merged["paths"][path] = item
            _check_operations(item, operations, service)
            for operation in item.values():
                if isinstance(operation, dict):
                    _declare_front(cast("Document", operation), passed_on=service != "gateway")
        _merge_components(merged["components"], document.get("components", {}), service)
    merged["components"]["responses"] = copy.deepcopy(_ANSWERS)
    return merged


def _declare_front(operation: Document, *, passed_on: bool) -> None:
    """Declare what the front answers before, or instead of, the service."""
    declared = _ANY
    if "requestBody" in operation:
        declared |= _WITH_BODY
    if operation.get("security"):
        declared |= _WITH_CREDENTIALS
    if passed_on:
        declared |= _PASSED_ON
    answers: Document = operation["responses"]
    for status in declared:
        answers.setdefault(str(status), {"$ref": f"#/components/responses/Gateway{status}"})
    operation["responses"] = dict(sorted(answers.items()))


def _renamed(service: str, original: Document) -> Document:
    document = copy.deepcopy(original)
    components: dict[str, dict[str, Any]] = document.get("components", {})
    for kind, members in components.items():
        components[kind] = {_name(service, kind, name): value for name, value in members.items()}
    _rewrite(service, document)
    return document


def _name(service: str, kind: str, name: str) -> str:
    shared = kind == "securitySchemes" or name in _SHARED
    return name if shared else f"{service.capitalize()}{name}"


def _rewrite(service: str, node: Any) -> None:
    """Point every reference, also those of discriminators, at the new names."""
    if isinstance(node, list):
        for member in cast("list[Any]", node):
            _rewrite(service, member)
    elif isinstance(node, dict):
        members = cast("dict[str, Any]", node)
        for key, value in members.items():
            if isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
                members[key] = f"#/components/{found[1]}/{_name(service, found[1], found[2])}"
            else:
                _rewrite(service, value)


def _check_operations(item: Document, operations: set[str], service: str) -> None:
    for operation in item.values():
        if not isinstance(operation, dict):
            continue
        name = cast("dict[str, Any]", operation).get("operationId")
        if name in operations:
            msg = f"operation {name} is claimed twice, the second time by {service}"
            raise MergeError(msg)
        operations.add(cast("str", name))


def _merge_components(merged: Document, added: Document, service: str) -> None:
    for kind, members in added.items():
        known = merged.setdefault(kind, {})
        for name, value in members.items():
            if known.setdefault(name, value) != value:
                msg = f"the shared component {name} differs in {service}"
                raise MergeError(msg)
