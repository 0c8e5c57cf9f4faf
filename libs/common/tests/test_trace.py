"""One id leads to everything that one request caused."""

import io
from typing import Any
from uuid import UUID

import httpx
from rich.console import Console

from common.__main__ import trace, tree_of
from common.app import Service
from common.ids import new_id
from common.testing import Infrastructure


async def test_an_object_leads_to_its_request_and_all_of_its_events(
    client: httpx.AsyncClient, published: Any, infra: Infrastructure, service: Service
) -> None:
    made = await client.post("/api/sample/things", json={"name": f"t {new_id()}", "price_usd": 1})
    traces = await trace(infra.postgres_dsn, made.json()["id"])
    assert [one.type for one in traces] == ["sample.thing.made.v1"]
    [again] = await trace(infra.postgres_dsn, traces[0].correlation_id)
    assert again == traces[0]
    assert UUID(traces[0].correlation_id)
    page = io.StringIO()
    Console(file=page, width=200).print(tree_of(traces))
    text = page.getvalue()
    assert f"request {traces[0].correlation_id}" in text
    assert "not sent yet" in text


async def test_an_unknown_id_leads_nowhere(
    infra: Infrastructure, client: httpx.AsyncClient
) -> None:
    assert await trace(infra.postgres_dsn, str(new_id())) == []
