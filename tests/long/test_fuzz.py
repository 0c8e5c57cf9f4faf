"""Every operation of the merged document, with data that fits its schema and data that does not.

Nothing that a client can send makes the system fail: no answer is a 5xx (nothing is away here, so
503 is not excused), and every error is a problem in the documented form. A quarter of the
examples is sent as generated, a quarter speaks of things that exist, and half does so with one
value that programs stumble over.
"""

import json
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import suppress
from random import Random
from typing import Any, cast

import pytest
import requests
import schemathesis
from hypothesis import reject
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig
from schemathesis.specs.openapi import checks
from tests.running import Json, System, Systems

from common.ids import new_id
from launcher.paths import ROOT

pytestmark = pytest.mark.long
_EXAMPLES = 150
_SECONDS_PER_OPERATION = 4.0
_ANSWER_WITHIN_S = 60.0
_PROBLEM = "application/problem+json"
_CONFORMANCE: list[Any] = [
    # The library leaves a type parameter of its `Case` open.
    checks.content_type_conformance,  # pyright: ignore[reportUnknownMemberType]
    checks.response_schema_conformance,  # pyright: ignore[reportUnknownMemberType]
]
_SETTINGS = {
    # The limits are tested elsewhere; here they would only turn the examples away.
    "GATEWAY_USER_RATE_PER_S": "100000",
    "GATEWAY_USER_BURST": "100000",
    "GATEWAY_ANONYMOUS_RATE_PER_S": "100000",
    "GATEWAY_ANONYMOUS_BURST": "100000",
    "GATEWAY_LOGIN_FAILURES_PER_ADDRESS": "1000000",
}
_ODD: tuple[Any, ...] = (
    "", " ", "\x00", "a\x00b", "\ud800", "\u202e\u200b", "é" * 5_000, "a" * 200_000, "=1+1",
    "null", "NaN", "-0", "1e400", "9" * 400, "../../etc/passwd", "'; --", "%00", "{}",
    "9999-12-31T23:59:59.999999-14:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z",
    "2026-11-21T12:00:00", "2026-11-21", "00000000-0000-0000-0000-000000000000",
    "0.0.0.0/0", "::/0", "127.0.0.1", "127.64.0.1/10", "Factory", "Europe/../Oslo",
    0, -1, 2**31, 2**63, -(2**63) - 1, 10**40, 1e-320, 1e308, -0.0, 0.1 + 0.2,
    True, None, [], {}, [None], [[]], [{}], {"": None},
)  # fmt: skip


class Fuzzed:
    """A system under fuzzing, and what is real in it."""

    def __init__(self, system: System, session: requests.Session) -> None:
        self.system = system
        self._session = session
        self._known = _known(system)
        self._started: defaultdict[str, float] = defaultdict(time.monotonic)
        self._bearer = ""
        self._bearer_until = 0.0

    def has_time(self, case: Any) -> bool:
        """Whether this operation's share of the time is not used up."""
        return time.monotonic() - self._started[case.operation.label] < _SECONDS_PER_OPERATION

    def send(self, case: Any) -> schemathesis.Response:
        """Send one example in one of the four ways; which one is a property of the example."""
        dice = Random(f"{case.path_parameters}{case.query}{case.body!r}")
        way = dice.randrange(4)
        if way > 0:
            self._make_real(case)
        if way > 1:
            self._make_odd(case, dice)
        return case.call(
            base_url=self.system.url,
            session=self._session,
            headers={"Authorization": f"Bearer {self._token()}"},
            timeout=_ANSWER_WITHIN_S,
        )

    def _make_real(self, case: Any) -> None:
        if case.method != "DELETE":  # what exists is needed by the next examples
            self._fill(case.path_parameters)
        self._fill(case.query)
        self._fill(case.body)

    def _fill(self, place: Any) -> None:
        if not isinstance(place, dict):
            return
        named = cast("Json", place)
        if named.get("action") == "delete":
            return
        for name in set(named) & set(self._known):
            named[name] = self._known[name]
        if "miner_ids" in named:
            named["miner_ids"] = [self._known["miner_id"]]

    def _make_odd(self, case: Any, dice: Random) -> None:
        leaves = [*_leaves(case.body), *_leaves(case.body), *_leaves(case.query)]
        if leaves:
            place, name = dice.choice(leaves)
            odd = dice.choice(_ODD)
            # A query has no way to say half a character, nor to be longer than a line.
            fits = place is not case.query or _is_text(odd)
            place[name] = odd if fits else "\x00"

    def _token(self) -> str:
        if time.monotonic() > self._bearer_until:
            self._bearer = self.system.token("owner")
            self._bearer_until = time.monotonic() + 120.0
        return self._bearer


def _leaves(place: Any) -> Generator[tuple[Any, Any]]:
    """Return every place of a body or query that holds a value."""
    names: list[Any] = []
    if isinstance(place, dict):
        names = [*cast("Json", place)]
    elif isinstance(place, list):
        names = [*range(len(cast("list[Any]", place)))]
    for name in names:
        yield place, name
        yield from _leaves(place[name])


def _is_text(value: object) -> bool:
    with suppress(UnicodeEncodeError):
        return isinstance(value, str) and len(value.encode()) < 4_000
    return False


def _judge(case: Any, answer: schemathesis.Response) -> None:
    text = answer.content.decode(errors="replace")
    assert answer.status_code < 500, text
    if answer.status_code < 400:
        case.validate_response(answer, checks=_CONFORMANCE)
        return
    assert answer.headers["content-type"] == [_PROBLEM], text
    if case.method == "HEAD":
        return
    problem: Json = json.loads(text)
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"/problems/{problem['code'].replace('_', '-')}"
    assert problem["title"]
    assert problem["detail"]


@pytest.fixture(scope="module")
def fuzzed(systems: Systems) -> Generator[Fuzzed]:
    """A system of twenty machines with wide limits."""
    system = systems.use("fuzz", fleet=20, environment=_SETTINGS)
    system.fleet_hashes()
    with requests.Session() as session:
        session.trust_env = False
        yield Fuzzed(system, session)


def _known(system: System) -> dict[str, str]:
    """Return an id of each kind that paths, queries and bodies speak of."""
    owner, organisation_id = system.api(), system.stack.demo["organisation_id"]
    miner = next(one for one in system.miners() if one["firmware"] == "luxos")["id"]
    user = {"email": f"{new_id()}@hashyard.example", "role": "Host", "password": str(new_id())}
    command = owner.post(f"/api/hosting/miners/{miner}/reboot")
    plan = system.order(0.002)
    return {
        "organisation_id": organisation_id,
        "user_id": owner.post(f"/api/organisations/{organisation_id}/users", user)["id"],
        "site_id": system.site_id,
        "miner_id": miner,
        "rack_id": owner.get(f"/api/hosting/sites/{system.site_id}/racks")["items"][0]["id"],
        "command_id": command["command_id"],
        "plan_id": plan["id"],
        "model_id": owner.get("/api/calculator/miner-models")["items"][0]["id"],
    }


def _document() -> Any:
    """Return the merged document; that the gateway serves this one is tested elsewhere."""
    raw = json.loads((ROOT / "contracts" / "openapi" / "hashyard.json").read_text())
    generation = GenerationConfig(
        max_examples=_EXAMPLES, no_shrink=True, database="none", with_security_parameters=False
    )
    projects = ProjectsConfig(default=ProjectConfig(generation=generation))
    return schemathesis.openapi.from_dict(raw, config=schemathesis.Config(projects=projects))


every = _document().exclude(
    # It would end the session that the other examples need.
    path="/api/auth/logout"
)


# Files of a spreadsheet program are no text that could be made up; their readers have own tests.
@pytest.mark.filterwarnings("ignore:Skipped test cases with unsupported payload media types")
@every.parametrize()
def test_nothing_that_is_sent_makes_it_fail(case: Any, fuzzed: Fuzzed) -> None:
    if fuzzed.has_time(case):
        try:
            answer = fuzzed.send(case)
        except UnicodeEncodeError:
            reject()  # half a character: no client can put it into a request's target
        _judge(case, answer)


def test_the_fuzzed_system_still_works(fuzzed: Fuzzed) -> None:
    """Whatever was sent: no event was given up, and every process is the one that was started."""
    for service in ("gateway", "calculator", "hosting", "telemetry"):
        assert not fuzzed.system.sql(f'SELECT * FROM "{service}".dead_letter')
    restarts = {name: one.restarts for name, one in fuzzed.system.stack.status().programs.items()}
    assert not any(restarts.values()), restarts
