"""The second factor: set up, proven once per code, stored sealed, asked of roles by setting."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import text

from gateway.second_factors import proof, totp
from gateway.sessions.clearing import forget_ended

OWN = "/api/me/second-factor"
RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("second", "code"),
    [(1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
     (2000000000, "279037"), (20000000000, "353130")],
)  # fmt: skip
def test_codes_are_those_of_rfc_6238(second: int, code: str) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    step = totp.step_of(moment)
    assert totp.code_of(RFC_SECRET, step) == code
    for drift_s, expected in ((-30, step), (0, step), (30, step), (61, None), (-61, None)):
        found = totp.matching_step(RFC_SECRET, code, moment + timedelta(seconds=drift_s))
        assert found == expected
    assert totp.matching_step(RFC_SECRET, "\u0661" * 6, moment) is None


class Device:
    """An authenticator application with a clock that the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        self.secret = b""
        monkeypatch.setattr(proof, "now", lambda: self.moment)

    def code(self, *, steps_on: int = 1) -> str:
        """Return the code of a later step; the gateway's clock is there, too."""
        self.moment += timedelta(seconds=totp.STEP_S * steps_on)
        return totp.code_of(self.secret, totp.step_of(self.moment))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(monkeypatch)


async def _login(world: Any, person: tuple[str, str], code: str | None = None) -> httpx.Response:
    body = {"email": person[0], "password": person[1]} | ({"code": code} if code else {})
    return await world.client.post("/api/auth/token", json=body)


def _bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def _enrolled(world: Any, operator: Any, device: Device, role: str = "Host") -> list[str]:
    headers = operator.headers[role]
    password = {"password": operator.people[role][1]}
    begun = await world.client.post(OWN, json=password, headers=headers)
    assert begun.status_code == 201, begun.text
    device.secret = base64.b32decode(begun.json()["secret"])
    given = parse_qs(urlsplit(str(begun.json()["uri"])).query)
    assert (given["secret"], given["issuer"]) == ([begun.json()["secret"]], ["Hashyard"])
    code = {"code": device.code()}
    confirmed = await world.client.post(f"{OWN}/confirm", json=code, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    return confirmed.json()["recovery_codes"]


async def test_a_login_needs_the_code(world: Any, operator: Any, device: Device) -> None:
    await _enrolled(world, operator, device)
    person = operator.people["Host"]
    missing = await _login(world, person)
    assert (missing.status_code, missing.json()["code"]) == (401, "second_factor_needed")
    wrong = await _login(world, (person[0], "not the password"), device.code())
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthenticated")
    good = await _login(world, person, device.code())
    assert good.status_code == 200
    assert (await world.client.get("/api/me", headers=_bearer(good))).status_code == 200
    told = (await world.client.get(OWN, headers=_bearer(good))).json()
    assert (told["enabled"], told["required"], told["recovery_codes_left"]) == (True, False, 10)
    # Nobody else is asked.
    assert (await _login(world, operator.people["Owner"])).status_code == 200
    cookie = {"email": person[0], "password": person[1], "code": device.code()}
    assert (await world.client.post("/api/auth/login", json=cookie)).status_code == 200
    world.client.cookies.clear()


async def test_a_code_is_taken_once(world: Any, operator: Any, device: Device) -> None:
    await _enrolled(world, operator, device)
    person = operator.people["Host"]
    used = totp.code_of(device.secret, totp.step_of(device.moment))  # it confirmed the device
    assert (await _login(world, person, used)).json()["code"] == "wrong_second_factor"
    code = device.code(steps_on=2)
    answers = await asyncio.gather(*(_login(world, person, code) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    # A code of before is none either, though its step is within the drift.
    before = totp.code_of(device.secret, totp.step_of(device.moment) - 1)
    assert (await _login(world, person, before)).status_code == 401


async def test_a_recovery_code_is_taken_once(world: Any, operator: Any, device: Device) -> None:
    codes = await _enrolled(world, operator, device)
    assert len(set(codes)) == 10
    person = operator.people["Host"]
    shouted = codes[0].upper().replace("-", " ")
    good = await _login(world, person, shouted)
    assert good.status_code == 200
    assert (await _login(world, person, codes[0])).status_code == 401
    told = (await world.client.get(OWN, headers=_bearer(good))).json()
    assert told["recovery_codes_left"] == 9
    trail = await world.client.get("/api/audit", headers=operator.headers["Owner"])
    actions = [line["action"] for line in trail.json()["items"]]
    assert actions[:3] == [
        "login.refuse_code",
        "login.accept_recovery_code",
        "second_factor.enable",
    ]


async def test_guesses_of_codes_are_bounded(world: Any, operator: Any, device: Device) -> None:
    await _enrolled(world, operator, device)
    person = operator.people["Host"]
    for _ in range(5):
        assert (await _login(world, person, "000000")).status_code == 401
    refused = await _login(world, person, device.code())
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


async def test_asking_for_the_code_is_no_failure(world: Any, operator: Any, device: Device) -> None:
    await _enrolled(world, operator, device)
    for _ in range(8):
        asked = await _login(world, operator.people["Host"])
        assert asked.json()["code"] == "second_factor_needed"
    assert (await _login(world, operator.people["Host"], device.code())).status_code == 200


async def test_what_is_stored_is_sealed(world: Any, operator: Any, device: Device) -> None:
    codes = await _enrolled(world, operator, device)
    async with world.runtime.worker_session() as session:
        row = await session.execute(
            text("SELECT sealed_secret FROM gateway.second_factor WHERE user_id = :id"),
            {"id": operator.ids["Host"]},
        )
        sealed = bytes(row.scalar_one())
        digests = await session.scalars(
            text("SELECT digest FROM gateway.recovery_code WHERE user_id = :id"),
            {"id": operator.ids["Host"]},
        )
        stored = b"".join(bytes(digest) for digest in digests)
    assert device.secret not in sealed
    assert all(code.replace("-", "").encode() not in stored for code in codes)
    # Sealed for this person: another's row with it does not open.
    user, other = (base64.b16decode(operator.ids[role].replace("-", "").upper())
                   for role in ("Host", "Owner"))  # fmt: skip
    opened = world.security.unseal("second factor", sealed, bound_to=user)
    assert opened == device.secret
    with pytest.raises(InvalidTag):
        world.security.unseal("second factor", sealed, bound_to=other)


async def test_enrolling_is_for_the_person(world: Any, operator: Any, device: Device) -> None:
    headers = operator.headers["Host"]
    wrong = await world.client.post(OWN, json={"password": "no"}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    early = await world.client.post(f"{OWN}/confirm", json={"code": "123456"}, headers=headers)
    assert (early.status_code, early.json()["code"]) == (409, "not_enrolled")
    password = {"password": operator.people["Host"][1]}
    for _ in range(2):  # beginning again is no fault, and the device does not count yet
        assert (await world.client.post(OWN, json=password, headers=headers)).status_code == 201
    assert (await _login(world, operator.people["Host"])).status_code == 200
    bad = await world.client.post(f"{OWN}/confirm", json={"code": "abcdef"}, headers=headers)
    assert (bad.status_code, bad.json()["code"]) == (403, "wrong_code")
    await _enrolled(world, operator, device)
    again = await world.client.post(OWN, json=password, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "already_enrolled")
    body = {"name": "k", "scopes": ["miners:read"]}
    made = await world.client.post("/api/api-keys", json=body, headers=operator.headers["Owner"])
    key = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await world.client.get(OWN, headers=key)).status_code == 403


async def test_removing_needs_a_code(world: Any, operator: Any, device: Device) -> None:
    codes = await _enrolled(world, operator, device)
    headers = operator.headers["Host"]
    place = f"{OWN}/remove"
    wrong = await world.client.post(place, json={"code": "000000"}, headers=headers)
    assert wrong.status_code == 403
    gone = await world.client.post(place, json={"code": codes[3]}, headers=headers)
    assert gone.status_code == 204
    assert (await _login(world, operator.people["Host"])).status_code == 200
    none = await world.client.post(place, json={"code": codes[4]}, headers=headers)
    assert none.status_code == 409


async def test_a_lost_device_is_taken_away_by_the_owner(
    world: Any, operator: Any, new_operator: Any, device: Device
) -> None:
    await _enrolled(world, operator, device)
    place = f"/api/organisations/{operator.id}/users/{operator.ids['Host']}/second-factor"
    stranger = (await new_operator()).headers["Owner"]
    assert (await world.client.delete(place, headers=stranger)).status_code == 404
    assert (await world.client.delete(place, headers=operator.headers["Host"])).status_code == 403
    owner = operator.headers["Owner"]
    own = place.replace(operator.ids["Host"], operator.ids["Owner"])
    assert (await world.client.delete(own, headers=owner)).status_code == 403
    for _ in range(2):
        assert (await world.client.delete(place, headers=owner)).status_code == 204
    assert (await world.client.get("/api/me", headers=operator.headers["Host"])).status_code == 401
    assert (await _login(world, operator.people["Host"])).status_code == 200
    trail = (await world.client.get("/api/audit", headers=owner)).json()["items"]
    line = next(line for line in trail if line["action"] == "second_factor.reset")
    assert (line["actor_id"], line["object_id"]) == (operator.ids["Owner"], operator.ids["Host"])


@pytest.fixture
async def strict(world: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    """Owners need a second factor; what was verified before is looked at again."""
    monkeypatch.setattr(world.settings, "second_factor_roles", frozenset({"Owner"}))
    world.front._verifier._entries.clear()
    yield
    world.front._verifier._entries.clear()


async def test_a_role_may_need_it(world: Any, operator: Any, device: Device, strict: None) -> None:
    headers = operator.headers["Owner"]
    for method, path in (
        ("GET", "/api/hosting/echo"),
        ("GET", "/api/organisations"),
        ("POST", "/api/api-keys"),
        ("GET", "/hosting/miner/m1/detail"),
    ):
        for _ in range(2):  # also when the credentials are at hand
            refused = await world.client.request(method, path, headers=headers)
            assert refused.status_code == 403
            assert refused.json()["code"] == "second_factor_required"
    assert (await world.client.get("/api/me", headers=headers)).status_code == 200
    assert (await world.client.get(OWN, headers=headers)).json()["required"]
    # The public stays public, and other roles are not asked.
    models = await world.client.get("/api/calculator/miner-models", headers=headers)
    assert models.status_code == 200
    host = await world.client.get("/api/hosting/echo", headers=operator.headers["Host"])
    assert host.status_code == 200

    pair = (await _login(world, operator.people["Owner"])).json()
    operator.headers["Owner"] = {"Authorization": f"Bearer {pair['access_token']}"}
    await _enrolled(world, operator, device, "Owner")
    refreshed = await world.client.post(
        "/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}
    )
    echo = await world.client.get("/api/hosting/echo", headers=_bearer(refreshed))
    assert echo.status_code == 200
    fresh = await _login(world, operator.people["Owner"], device.code())
    assert (await world.client.get("/api/hosting/echo", headers=_bearer(fresh))).status_code == 200
    # A login of before the device still owes it.
    old = await world.client.get("/api/hosting/echo", headers=headers)
    assert old.status_code == 403


async def test_an_elevated_admin_has_proven_what_it_had(
    world: Any, operator: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"/api/organisations/{operator.id}/elevate"
    inside = _bearer(await world.client.post(place, json={}, headers=admin))
    monkeypatch.setattr(world.settings, "second_factor_roles", frozenset({"Admin"}))
    world.front._verifier._entries.clear()
    for headers in (inside, admin):
        answer = await world.client.get("/api/hosting/echo", headers=headers)
        assert answer.json()["code"] == "second_factor_required"
    world.front._verifier._entries.clear()


async def test_an_erased_member_s_device_is_forgotten(
    world: Any, operator: Any, device: Device
) -> None:
    await _enrolled(world, operator, device)
    place = f"/api/organisations/{operator.id}/users/{operator.ids['Host']}"
    assert (await world.client.delete(place, headers=operator.headers["Owner"])).status_code == 204
    await forget_ended(world.runtime)
    count = text("SELECT count(*) FROM gateway.recovery_code WHERE user_id = :id")
    async with world.runtime.worker_session() as session:
        assert await session.scalar(count, {"id": operator.ids["Host"]}) == 0
