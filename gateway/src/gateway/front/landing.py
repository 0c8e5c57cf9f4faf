"""The gateway's pages, until the web client exists: plain HTML, one style sheet, no scripts."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, cast

_STYLE = """
:root{color-scheme:dark light;--line:#8884;--dim:#888;--get:#2a8;--write:#c80;--delete:#c44}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
h1{margin:.5rem 0 0}h2{margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{overflow-x:auto;padding:.75rem;border:1px solid
var(--line);border-radius:.4rem}summary{cursor:pointer;padding:.25rem 0}details{border-bottom:1px
solid var(--line)}details>div{padding:0 0 .75rem 5.5rem}.m{display:inline-block;width:4.5rem;
font-weight:600}.get{color:var(--get)}.post,.put,.patch{color:var(--write)}.delete{color:
var(--delete)}.dim{color:var(--dim)}table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;
vertical-align:top}
"""
STYLE_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
).encode()
_AREAS = (
    ("/api/auth, /api/me", "log in, tokens, who am I"),
    ("/api/organisations, /api/api-keys, /api/audit", "operators, clients, members, keys, trail"),
    ("/api/calculator", "what machines earn, models, quotes, the network (public to read)"),
    ("/api/hosting", "sites, miners, curtailment plans, maintenance"),
    ("/api/telemetry", "what the machines report, alerts, commands, live stream"),
    ("/api/intelligence, /api/analytics", "which machines to stop, forecasts, the market"),
    ("/api/treasury", "what was mined, what to sell and why"),
    ("/api/electricity", "rates, bills, what power cost, budgets, savings, carbon"),
    ("/api/wind", "curtailed wind, and the bitcoin it would have mined"),
)
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class _Operation:
    area: str
    method: str
    path: str
    body: dict[str, Any]


def landing_page(public_url: str, document: dict[str, Any]) -> str:
    """Return the page at `/`: what runs here, how to begin, and the API reference."""
    areas = "".join(
        f"<tr><td><code>{escape(path)}</code></td><td>{escape(text)}</td></tr>"
        for path, text in _AREAS
    )
    login = escape(
        f"curl -s {public_url}/api/auth/token -H 'Content-Type: application/json' \\\n"
        '     -d \'{"email": "owner@example.com", "password": "…"}\'\n'
        f"curl -s {public_url}/api/me -H 'Authorization: Bearer <access_token>'"
    )
    return _page(
        "Hashyard",
        "<h1>Hashyard</h1><p>The gateway of this installation: a Bitcoin-mining hosting "
        "business, its machines, their power and their owners.</p>"
        f"<h2>What answers here</h2><table>{areas}</table>"
        f"<h2>Begin</h2><pre>{login}</pre>"
        '<p>Everything below is in <a href="/api/openapi.json">/api/openapi.json</a> '
        "(OpenAPI 3.1). Errors are problem documents (RFC 9457); quote their "
        "<code>instance</code> when you ask about one.</p>" + "".join(_reference(document)),
    )


def problem_page(code: str) -> str:
    """Return the page behind a problem's `type`."""
    words = code.replace("-", " ").capitalize()
    return _page(
        words,
        f"<h1>{escape(words)}</h1><p>This is the type of a problem document. Its "
        "<code>detail</code> says what happened and what to do; <code>instance</code> is the id "
        'under which the request was logged.</p><p><a href="/">The API</a></p>',
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def _operations(document: dict[str, Any]) -> Iterator[_Operation]:
    paths = cast("dict[str, dict[str, Any]]", document.get("paths", {}))
    for path, item in sorted(paths.items()):
        area = "/".join(path.split("/")[:3])
        for method in _METHODS:
            if method in item:
                yield _Operation(area, method, path, item[method])


def _reference(document: dict[str, Any]) -> Iterator[str]:
    area = ""
    for operation in sorted(_operations(document), key=lambda found: (found.area, found.path)):
        if operation.area != area:
            area = operation.area
            yield f"<h2><code>{escape(area)}</code></h2>"
        yield _rendered(operation)


def _rendered(operation: _Operation) -> str:
    body = operation.body
    text = str(body.get("description") or body.get("summary") or "")
    lines = [f"<p>{escape(text)}</p>"]
    rows = "".join(_parameter(one) for one in body.get("parameters", []))
    if rows:
        lines.append(f"<table>{rows}</table>")
    lines += [f"<p>{label}: {escape(value)}</p>" for label, value in _facts(body) if value]
    return (
        f'<details><summary><span class="m {operation.method}">{operation.method.upper()}</span>'
        f"<code>{escape(operation.path)}</code></summary><div>{''.join(lines)}</div></details>"
    )


def _parameter(one: dict[str, Any]) -> str:
    kind = one.get("schema", {}).get("type", "")
    return (
        f"<tr><td><code>{escape(str(one.get('name')))}</code></td>"
        f'<td class="dim">{escape(str(one.get("in")))} {escape(str(kind))}</td>'
        f"<td>{escape(str(one.get('description', '')))}</td></tr>"
    )


def _facts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    content = body.get("requestBody", {}).get("content", {})
    yield "Body", ", ".join(_schema_name(media.get("schema", {})) for media in content.values())
    responses = cast("dict[str, Any]", body.get("responses", {}))
    yield "Answers", ", ".join(sorted(responses))
    scopes = sorted(
        scope
        for requirement in body.get("security", [])
        for needed in requirement.values()
        for scope in needed
    )
    yield "Permission", ", ".join(scopes)


def _schema_name(schema: dict[str, Any]) -> str:
    reference = schema.get("$ref")
    return str(reference).rpartition("/")[2] if reference else str(schema.get("type", "JSON"))
