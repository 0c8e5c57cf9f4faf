"""Logging in, refreshing and logging out."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from common.audit import first_broken
from common.errors import Unavailable
from gateway import throttle
from gateway.db import AuditEvent
from gateway.sessions.clearing import forget_ended


async def _login(world: Any, person: tuple[str, str]) -> dict[str, Any]:
    answer = await world.client.post(
        "/api/auth/token", json={"email": person[0], "password": person[1]}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _refresh(world: Any, token: str) -> httpx.Response:
    return await world.client.post("/api/auth/refresh", json={"refresh_token": token})


async def _me(world: Any, access: str) -> int:
    headers = {"Authorization": f"Bearer {access}"}
    return (await world.client.get("/api/me", headers=headers)).status_code


async def test_a_program_logs_in(world: Any, operator: Any) -> None:
    pair = await _login(world, operator.people["Owner"])
    assert set(pair) == {"access_token", "refresh_token", "expires_in", "token_type"}
    assert (pair["expires_in"], pair["token_type"]) == (300, "Bearer")
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    me = (await world.client.get("/api/me", headers=headers)).json()
    assert me["email"] == operator.people["Owner"][0]
    assert me["organisation_id"] == str(operator.id)
    assert me["role"] == "Owner"
    assert "sites:write" in me["scopes"]


async def test_a_bad_login_does_not_say_why(world: Any, operator: Any) -> None:
    email, password = operator.people["Host"]
    wrong = {"email": email, "password": "not the password"}
    unknown = {"email": f"nobody-{email}", "password": password}
    answers = [await world.client.post("/api/auth/token", json=body) for body in (wrong, unknown)]
    assert [answer.status_code for answer in answers] == [401, 401]
    bodies = [{k: v for k, v in answer.json().items() if k != "instance"} for answer in answers]
    assert bodies[0] == bodies[1]


async def test_an_unknown_person_takes_as_long_as_a_wrong_password(
    world: Any, operator: Any
) -> None:
    email, _ = operator.people["Host"]

    async def took(address: str) -> float:
        began = time.perf_counter()
        body = {"email": address, "password": "not the password"}
        assert (await world.client.post("/api/auth/token", json=body)).status_code == 401
        return time.perf_counter() - began

    # No assertion on milliseconds: what is looked for is a hash left out, which is 100 times.
    known = [await took(email) for _ in range(3)]
    unknown = [await took(f"x{email}") for _ in range(3)]
    assert min(unknown) > min(known) / 5


async def test_six_bad_logins_are_throttled(world: Any, operator: Any) -> None:
    email, password = operator.people["Client"]
    for _ in range(5):
        body = {"email": email, "password": "wrong"}
        assert (await world.client.post("/api/auth/token", json=body)).status_code == 401
    refused = await world.client.post(
        "/api/auth/token", json={"email": email, "password": password}
    )
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 180
    # Nobody else is held up.
    await _login(world, operator.people["Host"])


async def test_good_logins_are_not_counted(world: Any, operator: Any) -> None:
    for _ in range(8):
        await _login(world, operator.people["Host"])


async def test_login_bodies_are_checked(world: Any) -> None:
    bodies: list[object] = [
        {"email": "a@b", "password": "x" * 129},
        {"email": "a@b\r\nBcc: c@d", "password": "x"},
        {"email": "nobody", "password": "x"},
        {"email": "a@b", "password": ""},
        {"email": "a@b", "password": "x", "role": "Admin"},
        {"email": "a@b"},
        [],
    ]
    for body in bodies:
        answer = await world.client.post("/api/auth/token", json=body)
        assert answer.status_code == 422, body
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_refresh_token_is_used_once(world: Any, operator: Any) -> None:
    first = await _login(world, operator.people["Owner"])
    second = (await _refresh(world, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    third = (await _refresh(world, second["refresh_token"])).json()
    assert await _me(world, third["access_token"]) == 200
    # The grandparent is no longer forgiven: somebody has stolen it. All of the family ends.
    assert (await _refresh(world, first["refresh_token"])).status_code == 401
    assert (await _refresh(world, third["refresh_token"])).status_code == 401
    assert await _me(world, third["access_token"]) == 401


async def test_the_parent_is_forgiven_for_a_moment(world: Any, operator: Any) -> None:
    first = await _login(world, operator.people["Owner"])
    second = (await _refresh(world, first["refresh_token"])).json()
    again = (await _refresh(world, first["refresh_token"])).json()
    assert again["refresh_token"] == second["refresh_token"]


async def test_the_parent_is_not_forgiven_for_long(world: Any, operator: Any) -> None:
    first = await _login(world, operator.people["Owner"])
    second = (await _refresh(world, first["refresh_token"])).json()
    async with world.runtime.worker_session() as session:
        await session.execute(
            text("UPDATE gateway.refresh_token SET used_at = used_at - interval '11 s'")
        )
    assert (await _refresh(world, first["refresh_token"])).status_code == 401
    assert (await _refresh(world, second["refresh_token"])).status_code == 401


async def test_fifty_refreshes_at_once_make_one_successor(world: Any, operator: Any) -> None:
    pair = await _login(world, operator.people["Owner"])
    answers = await asyncio.gather(*(_refresh(world, pair["refresh_token"]) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_an_expired_refresh_token_is_refused(world: Any, operator: Any) -> None:
    pair = await _login(world, operator.people["Owner"])
    async with world.runtime.worker_session() as session:
        await session.execute(
            text(
                "UPDATE gateway.refresh_token SET expires_at = now() "
                "WHERE organisation_id = :organisation_id"
            ),
            {"organisation_id": operator.id},
        )
    assert (await _refresh(world, pair["refresh_token"])).status_code == 401


async def test_logout_ends_the_access_token_too(world: Any, operator: Any) -> None:
    pair = await _login(world, operator.people["Owner"])
    assert await _me(world, pair["access_token"]) == 200
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    assert (await world.client.post("/api/auth/logout", headers=headers)).status_code == 204
    assert await _me(world, pair["access_token"]) == 401
    assert (await _refresh(world, pair["refresh_token"])).status_code == 401
    assert (await world.client.post("/api/auth/logout", headers=headers)).status_code == 204


async def test_a_refresh_token_alone_logs_out(world: Any, operator: Any) -> None:
    pair = await _login(world, operator.people["Owner"])
    body = {"refresh_token": pair["refresh_token"]}
    assert (await world.client.post("/api/auth/logout", json=body)).status_code == 204
    assert await _me(world, pair["access_token"]) == 401


async def _browser(world: Any, person: tuple[str, str]) -> tuple[dict[str, str], httpx.Response]:
    answer = await world.client.post(
        "/api/auth/login",
        json={"email": person[0], "password": person[1]},
        headers={"Origin": world.settings.public_url},
    )
    assert answer.status_code == 200, answer.text
    cookies = dict(answer.cookies)
    world.client.cookies.clear()
    return cookies, answer


def _cookie(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


async def test_a_browser_gets_cookies_and_no_tokens(world: Any, operator: Any) -> None:
    cookies, answer = await _browser(world, operator.people["Owner"])
    assert answer.json() == {"expires_in": 300}
    assert set(cookies) == {"at", "rt"}
    for header in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in header
        assert "samesite=strict" in header.lower()
    assert "Path=/api/auth/refresh" in answer.headers.get_list("set-cookie")[1]
    me = await world.client.get("/api/me", headers={"Cookie": _cookie(cookies)})
    assert me.json()["role"] == "Owner"


async def test_a_cookie_needs_proof_of_our_own_page(world: Any, operator: Any) -> None:
    cookies, _ = await _browser(world, operator.people["Owner"])
    ours = {"Cookie": _cookie(cookies), "X-Requested-By": "web"}
    site = world.settings.public_url
    cases: list[tuple[dict[str, str], int]] = [
        (ours, 403),
        (ours | {"Origin": "https://evil.example"}, 403),
        (ours | {"Origin": "null"}, 403),
        (ours | {"Origin": f"{site}.evil.example"}, 403),
        (ours | {"Sec-Fetch-Site": "cross-site", "Origin": site}, 403),
        ({"Cookie": _cookie(cookies), "Origin": site}, 403),
        (ours | {"Origin": site}, 201),
        (ours | {"Sec-Fetch-Site": "same-origin"}, 201),
    ]
    for headers, status in cases:
        answer = await world.client.post(
            "/api/organisations", json={"name": "C", "kind": "client"}, headers=headers
        )
        assert answer.status_code == status, headers


async def test_a_foreign_page_cannot_log_a_browser_in(world: Any, operator: Any) -> None:
    email, password = operator.people["Owner"]
    answer = await world.client.post(
        "/api/auth/login",
        json={"email": email, "password": password},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403
    assert not answer.cookies


async def test_a_browser_refreshes_by_cookie(world: Any, operator: Any) -> None:
    cookies, _ = await _browser(world, operator.people["Owner"])
    headers = {
        "Cookie": f"rt={cookies['rt']}",
        "Sec-Fetch-Site": "same-origin",
        "X-Requested-By": "web",
    }
    answer = await world.client.post("/api/auth/refresh", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"expires_in": 300}
    assert answer.cookies["rt"] != cookies["rt"]
    world.client.cookies.clear()
    del headers["X-Requested-By"]
    assert (await world.client.post("/api/auth/refresh", headers=headers)).status_code == 403
    assert (await world.client.post("/api/auth/refresh")).status_code == 401


async def test_cookie_and_bearer_together_are_refused(world: Any, operator: Any) -> None:
    cookies, _ = await _browser(world, operator.people["Owner"])
    headers = operator.headers["Owner"] | {"Cookie": _cookie(cookies)}
    assert (await world.client.get("/api/me", headers=headers)).status_code == 400


async def test_logins_are_audited_in_an_unbroken_chain(world: Any, operator: Any) -> None:
    email, _ = operator.people["Host"]
    await world.client.post("/api/auth/token", json={"email": email, "password": "wrong"})
    lines = (await world.client.get("/api/audit", headers=operator.headers["Owner"])).json()
    actions = [line["action"] for line in lines["items"]]
    assert actions[0] == "login.refuse"
    assert actions.count("login.accept") == 3
    async with world.runtime.worker_session() as session:
        assert await first_broken(session, AuditEvent, operator.id) is None


async def test_ended_sessions_are_forgotten_after_a_day(world: Any, operator: Any) -> None:
    count = text("SELECT count(*) FROM gateway.login_session WHERE organisation_id = :id")
    await _login(world, operator.people["Host"])
    async with world.runtime.worker_session() as session:
        before = await session.scalar(count, {"id": operator.id})
        await session.execute(
            text(
                "UPDATE gateway.login_session SET revoked_at = now() - interval '25 h' "
                "WHERE user_id = :id"
            ),
            {"id": operator.ids["Host"]},
        )
    await forget_ended(world.runtime)
    async with world.runtime.worker_session() as session:
        assert await session.scalar(count, {"id": operator.id}) == before - 2


async def test_nobody_logs_in_while_guesses_cannot_be_counted(
    world: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Redis(host="127.0.0.1", port=9)
    monkeypatch.setattr(world.runtime, "redis", away)
    email, password = operator.people["Host"]
    answer = await world.client.post("/api/auth/token", json={"email": email, "password": password})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    # What is logged in goes on.
    me = await world.client.get("/api/me", headers=operator.headers["Host"])
    assert me.status_code == 200
    await away.aclose()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("not an address", "not an address"),
    ],
)
def test_addresses_are_counted_by_subscriber(address: str, network: str) -> None:
    assert throttle.network_of(address) == network


async def test_a_new_password_ends_the_other_sessions(world: Any, operator: Any) -> None:
    email, old = operator.people["Host"]
    mine, other = await _login(world, (email, old)), await _login(world, (email, old))
    headers = {"Authorization": f"Bearer {mine['access_token']}"}

    async def change(password: str, new: str) -> httpx.Response:
        body = {"password": password, "new_password": new}
        return await world.client.post("/api/auth/password", json=body, headers=headers)

    wrong = await change("not it", "kettle violin gravel")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    weak = await change(old, "password2026")
    assert (weak.status_code, weak.json()["field"]) == (422, "new_password")
    assert weak.json()["code"] == "weak_password"
    assert (await change(old, "kettle violin gravel")).status_code == 204
    assert await _me(world, mine["access_token"]) == 401  # it was issued under the old one
    assert await _me(world, other["access_token"]) == 401
    assert (await _refresh(world, other["refresh_token"])).status_code == 401
    going_on = await _refresh(world, mine["refresh_token"])
    assert await _me(world, going_on.json()["access_token"]) == 200
    refused = await world.client.post("/api/auth/token", json={"email": email, "password": old})
    assert refused.status_code == 401
    await _login(world, (email, "kettle violin gravel"))
    trail = await world.client.get("/api/audit", headers=operator.headers["Owner"])
    assert "user.change_password" in [line["action"] for line in trail.json()["items"]]


async def test_guesses_of_the_present_password_are_bounded(world: Any, operator: Any) -> None:
    body = {"password": "not it", "new_password": "kettle violin gravel"}
    headers = operator.headers["Host"]
    answers = [
        await world.client.post("/api/auth/password", json=body, headers=headers) for _ in range(6)
    ]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]


async def test_logins_queue_up_to_a_bound(world: Any) -> None:
    passwords = world.security.passwords
    results = await asyncio.gather(
        *(passwords.verify("x", None) for _ in range(30)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 10
    assert all(result is False for result in results if result not in refused)
