"""Lists have an end: more than a list's maximum is refused, and the maximum named."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from common.ids import new_id

MANY = 10**9
LISTS = (
    "/api/electricity/rates", "/api/electricity/costs", "/api/electricity/alerts",
    "/api/electricity/alert-rules", "/api/electricity/budgets", "/api/electricity/signals",
    "/api/electricity/messages", "/api/electricity/webhooks", "/api/electricity/reconciliations",
    "/api/electricity/savings",
)  # fmt: skip
SIZES = ("limit", "page_size")


def bounded(app: FastAPI) -> Iterator[tuple[str, str, int]]:
    """Yield each list's path, the parameter that says how long it may be, and its maximum."""
    for path, operations in app.openapi()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["name"] in SIZES:
                yield path, parameter["name"], parameter["schema"]["maximum"]


def test_every_list_has_a_maximum(app: FastAPI) -> None:
    assert {path for path, *_ in bounded(app)} >= set(LISTS)


@pytest.mark.parametrize("wanted", [MANY, 0, -1])
async def test_a_list_longer_than_its_maximum_is_refused(
    app: FastAPI, client: AsyncClient, wanted: int
) -> None:
    for path, name, maximum in bounded(app):
        url = re.sub(r"{\w+}", str(new_id()), path)
        answer = await client.get(url, params={name: wanted})
        assert answer.status_code == 422, (url, answer.text)
        errors: list[dict[str, Any]] = answer.json()["errors"]
        [told] = [one["detail"] for one in errors if one["pointer"].endswith(f"/{name}")]
        bound = maximum if wanted > maximum else 1
        assert str(bound) in told, (url, told)


async def test_what_lies_beyond_the_end_of_a_list_is_nothing(client: AsyncClient) -> None:
    for path in LISTS:
        name = "offset" if path.endswith("/rates") else "page"
        answer = await client.get(path, params={name: 100_000})
        assert answer.status_code == 200, (path, answer.text)
        assert [] in answer.json().values(), (path, answer.text)
        far = await client.get(path, params={name: MANY})
        assert far.status_code == 422, path
