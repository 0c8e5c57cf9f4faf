"""The frame: token, tenant wall, commit before the answer, problems."""

from typing import Any

import httpx
import pytest
from fastapi.exceptions import RequestValidationError

from common.errors import problem_of_validation
from common.ids import new_id


async def test_a_request_without_a_token_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/sample/things", headers={"Internal-Token": "x.y"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/unauthenticated"


async def test_a_missing_scope_is_403(client_as: Any) -> None:
    answer = await client_as(scopes=frozenset()).get("/api/sample/things")
    assert answer.status_code == 403
    assert answer.json()["required_scopes"] == ["miners:read"]


async def test_a_public_route_admits_anonymous_callers_and_others_do_not(client_as: Any) -> None:
    anonymous = client_as(kind="anonymous", scopes=frozenset())
    assert (await anonymous.get("/api/sample/public")).json() == {"kind": "anonymous"}
    assert (await anonymous.get("/api/sample/things")).status_code == 401


async def test_state_and_event_leave_together(client: httpx.AsyncClient, published: Any) -> None:
    name = f"thing {new_id()}"
    answer = await client.post("/api/sample/things", json={"name": name, "price_usd": "1.10"})
    assert answer.status_code == 201
    [event] = await published()
    assert event["key"] == answer.json()["id"]
    assert event["topic"] == "sample.thing.v1"
    assert event["data"]["name"] == name


async def test_a_failed_commit_answers_with_a_problem_and_leaves_nothing(
    client: httpx.AsyncClient, published: Any
) -> None:
    body = {"name": "late failure", "price_usd": 1}
    answer = await client.post("/api/sample/things", json=body)
    assert answer.status_code == 409
    assert await published() == []
    assert (await client.get("/api/sample/things")).json()["total"] == 0


async def test_the_wall_hides_other_tenants(client: httpx.AsyncClient, client_as: Any) -> None:
    made = await client.post(
        "/api/sample/things", json={"name": f"mine {new_id()}", "price_usd": 1}
    )
    stranger = client_as(organisation_id=new_id())
    thing = made.json()["id"]
    assert (await stranger.get(f"/api/sample/things/{thing}")).status_code == 404
    assert (await stranger.get("/api/sample/things")).json()["total"] == 0
    customer = client_as(client_id=new_id())
    assert (await customer.get(f"/api/sample/things/{thing}")).status_code == 404
    assert (await client.get(f"/api/sample/things/{thing}")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"name": "a", "name": "b", "price_usd": 1}', 400),
        (b'{"name": "a", "price_usd": NaN}', 400),
        (b'{"name": "\xff", "price_usd": 1}', 400),
        (b'{"name": "a\\u0000", "price_usd": 1}', 422),
        (b'{"name": "a", "price_usd": 1, "more": [{"\\uDE00": 1}]}', 422),
        (b'{"name": "\\ud800", "price_usd": 1}', 422),
        (b'{"name": "", "price_usd": 1}', 422),
        (b'{"price_usd": 1}', 422),
        (b"[" * 100_000, 400),
        (b'{"name": ' + b"1" * 4000 + b"}", 422),
    ],
)
async def test_bad_bodies_are_the_callers_problem(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    answer = await client.post(
        "/api/sample/things", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": "a\\u0000", "price_usd": 1}', "name"),
        (b'{"price_usd": 1, "more": ["a", "\\ud800"]}', "more"),
        (b'{"name": "a", "a\\u0000": 1}', "body"),
    ],
)
async def test_a_text_that_cannot_be_written_is_named(
    client: httpx.AsyncClient, body: bytes, field: str
) -> None:
    answer = await client.post(
        "/api/sample/things", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    ("location", "field"),
    [
        (("body", "miner_ids", 0), "miner_ids"),
        (("body", "miners", 3, "weight"), "weight"),
        (("body", "limits", "max_share", "constrained-float"), "max_share"),
        (("query", "page"), "page"),
        (("body",), "body"),
    ],
)
def test_the_field_is_a_name_that_the_caller_wrote(
    location: tuple[str | int, ...], field: str
) -> None:
    error = {"loc": location, "msg": "Input should be a number", "type": "float_type"}
    problem = problem_of_validation(RequestValidationError([error]))
    assert problem.field == field
    assert str(problem.detail).startswith(f"{field}: ")


@pytest.mark.parametrize(
    "query", ["page=0", "page_size=1000000", "page_size=-1", "page=1e3", "page_size=%201"]
)
async def test_pages_are_bounded(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/sample/things?{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("things?page_sise=10", "page_sise"),
        ("things?page=1&Page=2", "Page"),
        ("things?page=1&=2", ""),
        ("found?kind=asic", "kind"),
        ("found?type=asic&filters=1", "filters"),
        ("found?made_by=%20018f0000-0000-7000-8000-000000000000", "made_by"),
    ],
)
async def test_a_query_that_means_nothing_is_refused(
    client: httpx.AsyncClient, path: str, name: str
) -> None:
    answer = await client.get(f"/api/sample/{path}")
    assert answer.status_code == 422
    assert answer.json()["field"] == name
    assert answer.json()["errors"][0]["pointer"] == f"/query/{name}"


async def test_texts_keep_their_white_space_and_routes_their_parameters(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/sample/found?search=%20S21%20&type=a&type=%20b")
    assert answer.json() == {"search": " S21 ", "type": ["a", " b"]}
    assert (await client.get("/api/sample/public?whatever=1")).status_code == 200


async def test_a_page_beyond_the_end_is_empty(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/sample/things?page=302")
    assert answer.status_code == 200
    assert answer.json() == {"items": [], "total": 0, "page": 302, "pages": 0, "page_size": 20}


async def test_a_bug_is_a_500_problem_without_a_trace(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/sample/crash")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nowhere")).json()["status"] == 404
    answer = await client.delete("/api/sample/things")
    assert answer.status_code == 405
    assert answer.headers["allow"]
