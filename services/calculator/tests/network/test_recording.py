"""Epochs recorded by hand: as the network's rules allow, and never over what is true."""

from typing import Any

import pytest

from common.auth import PLATFORM_ORGANISATION

PATH = "/api/calculator/network/epochs"
NOTE = "From a block explorer"
EPOCHS = [
    {"height": 2016 * 100, "started_at": "2012-09-24T14:25:59Z", "difficulty": 2864140.51},
    {"height": 2016 * 101, "started_at": "2012-10-08T04:16:25Z", "difficulty": "3054627.53"},
]


@pytest.fixture
def admin(client_as: Any) -> Any:
    return client_as(organisation_id=PLATFORM_ORGANISATION, role="Admin")


async def test_what_is_recorded_is_in_force_and_published_once(
    admin: Any, published: Any, world: Any
) -> None:
    assert world is not None
    answer = await admin.post(PATH, json={"epochs": EPOCHS, "note": NOTE})
    assert answer.status_code == 201, answer.text
    assert answer.json() == {"recorded": 2, "known": 0}
    again = await admin.post(PATH, json={"epochs": EPOCHS, "note": NOTE})
    assert again.json() == {"recorded": 0, "known": 2}
    at = {"at": "2012-10-01T00:00:00Z"}
    shown = (await admin.get("/api/calculator/network/epoch", params=at)).json()
    assert (shown["height"], shown["source"], shown["simulated"]) == (201_600, "manual", False)
    assert shown["subsidy_btc"] == "50.00000000"
    type_ = "calculator.network-epoch.changed.v1"
    events = await published(type_, organisation_id=PLATFORM_ORGANISATION)
    assert [one["version"] for one in events if one["key"] == "201600"] == [1]


async def test_what_is_true_replaces_what_was_simulated(admin: Any, world: Any) -> None:
    assert world is not None
    told = [
        {"height": 2016 * 105, "started_at": "2012-12-09T00:00:00Z", "difficulty": 3_370_000},
        {"height": 2016 * 106, "started_at": "2012-12-23T00:00:00Z", "difficulty": 3_250_000},
    ]
    true = [told[0] | {"started_at": "2012-12-10T00:00:00Z"}]
    for epochs, simulated, recorded in ((told, True, 2), (true, False, 1), (told, True, 0)):
        body = {"epochs": epochs, "simulated": simulated, "note": NOTE}
        assert (await admin.post(PATH, json=body)).json()["recorded"] == recorded
    at = {"at": "2012-12-11T00:00:00Z"}
    shown = (await admin.get("/api/calculator/network/epoch", params=at)).json()
    assert (shown["simulated"], shown["started_at"]) == (False, "2012-12-10T00:00:00Z")


@pytest.mark.parametrize(
    "epoch",
    [
        {"height": 201_601},
        {"height": -2016},
        {"started_at": "2012-09-24T14:25:59"},
        {"started_at": "2999-01-01T00:00:00Z"},
        {"difficulty": 0},
        {"difficulty": "NaN"},
        {"difficulty": 10**19},
        {"difficulty": 3054627.53 * 40},
        {"bits": 1},
    ],
)
async def test_what_cannot_be_is_refused(admin: Any, epoch: dict[str, Any]) -> None:
    body = {"epochs": [EPOCHS[1] | {"height": 203_616}, EPOCHS[0] | epoch], "note": NOTE}
    answer = await admin.post(PATH, json=body)
    assert answer.status_code == 422, answer.text


async def test_only_the_platform_records(client_as: Any) -> None:
    body = {"epochs": EPOCHS, "note": NOTE}
    assert (await client_as().post(PATH, json=body)).status_code == 403
    powerless = client_as(organisation_id=PLATFORM_ORGANISATION, scopes=frozenset({"market:read"}))
    assert (await powerless.post(PATH, json=body)).status_code == 403
