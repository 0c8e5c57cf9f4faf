"""Days and times at the ends of the calendar: an answer or a refusal, and never a failure."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from common.ids import new_id

FAR = {
    "date": ("0001-01-01", "9999-12-31"),
    "date-time": (
        "0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59", "9999-12-31T23:59:59-14:00",
    ),
}  # fmt: skip
OTHERS = {"from": "USD", "to": "GBP", "amount": "1", "currency": "GBP", "region": "GB"}
"""What else a question must say."""


def formats(schema: dict[str, Any]) -> set[str]:
    """Return the formats that a parameter may have."""
    return {one.get("format", "") for one in [schema, *schema.get("anyOf", [])]}


def questions(app: FastAPI) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield questions, of whose days and times all, or just one, are far off."""
    for path, operations in app.openapi()["paths"].items():
        if "stream" in path or "get" not in operations:
            continue
        asked: list[dict[str, Any]] = operations["get"].get("parameters", [])
        dated = {
            one["name"]: kind for one in asked for kind in FAR if kind in formats(one["schema"])
        }
        known = {one["name"]: OTHERS[one["name"]] for one in asked if one["name"] in OTHERS}
        for far in range(max((len(FAR[kind]) for kind in dated.values()), default=0)):
            values = {name: FAR[kind][far % len(FAR[kind])] for name, kind in dated.items()}
            for chosen in [set(values), *({name} for name in values)]:
                yield path, known | {name: values[name] for name in chosen}


@pytest.fixture(params=["stored", "empty"])
async def somebody(request: pytest.FixtureRequest, client: AsyncClient) -> AsyncClient:
    """An organisation with a rate, and one with nothing."""
    if request.param == "stored":
        rate = {"name": "Rate", "rate_type": "flat", "flat_rate_usd_per_kwh": "0.1", "active": True}
        assert (await client.post("/api/electricity/rates", json=rate)).status_code == 201
    return client


async def test_the_ends_of_the_calendar_fail_nothing(app: FastAPI, somebody: AsyncClient) -> None:
    failed: list[object] = []
    for path, parameters in questions(app):
        url, query = path, dict(parameters)
        for name in re.findall(r"{(\w+)}", path):
            url = url.replace(f"{{{name}}}", query.pop(name, str(new_id())))
        answer = await somebody.get(url, params=query)
        if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            failed.append((url, query))
    assert failed == []
