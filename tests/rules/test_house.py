"""House rules, over the live applications and the source text."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from common.events import TOPICS, topic_of

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("gateway/src", "libs/common/src", "services")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "/tests/" not in str(path) and "/migrations/" not in str(path)
]
MAY_COMMIT = {"common/db.py", "common/runtime.py", "common/migrations.py"}


def _routes(app: FastAPI) -> Iterator[APIRoute]:
    return (route for route in app.routes if isinstance(route, APIRoute))


def _guards(route: APIRoute) -> set[str]:
    """Return the names of all dependencies of a route, at any depth."""
    found: set[str] = set()
    waiting = list(route.dependant.dependencies)
    while waiting:
        one = waiting.pop()
        found.add(getattr(one.call, "__name__", ""))
        waiting.extend(one.dependencies)
    return found


PUBLIC = {
    ("gateway", "/api/auth/token"),
    ("gateway", "/api/auth/login"),
    ("gateway", "/api/auth/refresh"),
    ("gateway", "/api/auth/logout"),
}


def test_every_route_names_its_guard(services: dict[str, FastAPI]) -> None:
    open_routes = [
        (name, route.path)
        for name, app in services.items()
        for route in _routes(app)
        if not _guards(route) & {"_caller", "_permitted", "_anyone"}
    ]
    assert set(open_routes) <= PUBLIC


def test_every_route_is_documented_and_typed(services: dict[str, FastAPI]) -> None:
    for name, app in services.items():
        for route in _routes(app):
            assert (route.endpoint.__doc__ or "").strip(), f"{name} {route.path}: no docstring"
            typed = route.response_model is not None or route.status_code == 204
            assert typed or _streams(route), f"{name} {route.path}: no response model"


def _streams(route: APIRoute) -> bool:
    answer = route.endpoint.__annotations__.get("return")
    return answer is None or "Response" in str(answer)


def test_operation_ids_are_unique(services: dict[str, FastAPI]) -> None:
    for name, app in services.items():
        ids = [route.unique_id for route in _routes(app) if route.include_in_schema]
        assert len(ids) == len(set(ids)), f"{name}: {sorted(i for i in ids if ids.count(i) > 1)}"


def test_lists_are_bounded(services: dict[str, FastAPI]) -> None:
    for name, app in services.items():
        for path, operations in app.openapi()["paths"].items():
            for parameter in operations.get("get", {}).get("parameters", []):
                if parameter["name"] in ("page_size", "limit"):
                    assert _bounded(parameter["schema"]), f"{name} {path}: {parameter['name']}"


def _bounded(schema: dict[str, Any]) -> bool:
    return "maximum" in schema or any(_bounded(s) for s in schema.get("anyOf", []))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_platform_commits(path: Path) -> None:
    name = "/".join(path.parts[-2:])
    if name in MAY_COMMIT:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_session = "session" in ast.unparse(node.func.value).lower()
            forbidden = is_session and node.func.attr in ("commit", "rollback")
            assert not forbidden, f"{path}:{node.lineno}"


def test_every_event_has_its_topic(event_types: dict[str, str]) -> None:
    for event_type, service in event_types.items():
        assert topic_of(event_type) in TOPICS, event_type
        publisher = event_type.partition(".")[0]
        assert publisher == ("identity" if service == "gateway" else service)


def test_no_handler_of_an_event_publishes_its_cause(
    event_types: dict[str, str], reacts_to: dict[str, set[str]]
) -> None:
    """The graph "a service that reacts to A publishes B" is acyclic by topic, some loops excepted.

    Hosting orders, telemetry reports, hosting may order again what did not hold: that is the
    curtailment loop, and it is closed by states that only move forward. Calculator and
    intelligence note each other's price to compare it with their own; each publishes by the clock.
    Energy knows sites, machines, models and quotes; hosting and calculator only keep its tariffs,
    of which a changed one makes energy publish costs anew, and no cost changes a tariff.
    """
    allowed = {("hosting", "telemetry"), ("telemetry", "hosting")}
    allowed |= {("calculator", "intelligence"), ("intelligence", "calculator")}
    allowed |= {("energy", "hosting"), ("energy", "calculator"), ("energy", "energy")}
    edges = {
        (topic_service(event_type), service)
        for service, types in reacts_to.items()
        for event_type in types
    } - allowed
    for origin, target in edges:
        assert (target, origin) not in edges, f"{origin} and {target} feed each other"


def topic_service(event_type: str) -> str:
    """Return the member that publishes a type."""
    service = event_type.partition(".")[0]
    return "gateway" if service == "identity" else service


def test_everything_reacted_to_is_published(
    event_types: dict[str, str], reacts_to: dict[str, set[str]]
) -> None:
    wanted = set[str]().union(*reacts_to.values())
    assert wanted <= set(event_types), f"nobody publishes {sorted(wanted - set(event_types))}"


def test_the_lock_names_no_place() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"file:|://|hashyard", text)


def test_no_money_is_a_float_in_a_domain() -> None:
    for path in SOURCES:
        if "/domain/" not in str(path):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                is_money = re.search(r"(_usd|_eur|price|amount|cost)$", node.target.id)
                assert not (is_money and "float" in ast.unparse(node.annotation)), path


_NOT_OURS = re.compile(r"\.(?!ci$|gitignore$|dockerignore$)|node_modules$|__pycache__$")


def _own_files() -> Iterator[Path]:
    """Yield the repository's text files; a bare machine has no git to ask."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not _NOT_OURS.match(name)]
        yield from (Path(folder) / name for name in names if not _NOT_OURS.match(name))


def test_no_secret_or_machine_path_is_kept() -> None:
    forbidden = re.compile(
        r"BEGIN (RSA|EC|OPENSSH)? ?PRIVATE KEY|/ho[m]e/[a-z]|/wor[k]/(main|shared)"
    )
    for path in _own_files():
        found = forbidden.search(path.read_text(errors="replace"))
        assert found is None, f"{path}: {found}"
