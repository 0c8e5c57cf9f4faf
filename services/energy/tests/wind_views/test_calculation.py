from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from common.clock import now

PATH = "/api/wind/calculate"
D1, D2 = "110568428300952", "112149504190349"
MACHINES: dict[str, dict[str, Any]] = {
    "S19J_PRO": {"hashrate_ths": 100, "power_w": 3050},
    "M20S": {"hashrate_ths": 68, "power_w": 3360},
    "S9": {"hashrate_ths": "13.5", "power_w": "1323"},
    "104/3068": {"hashrate_ths": 104, "power_w": 3068},
}
NETWORK = {"difficulty": D1, "subsidy_btc": "3.125"}


@pytest.mark.parametrize(
    ("machine", "whole", "btc", "miners"),
    [
        ("S19J_PRO", False, "0.00077671498787", "655.737705"),
        ("M20S", False, "0.00047943657287", "595.238095"),
        ("S9", False, "0.00024173272582", "1511.715797"),
        ("104/3068", False, "0.00080304430949", "651.890482"),
        ("S19J_PRO", True, "0.00077584118350", "655.000000"),
        ("M20S", True, "0.00047924479824", "595.000000"),
        ("S9", True, "0.00024161826537", "1511.000000"),
        ("104/3068", True, "0.00080194735096", "651.000000"),
    ],
)
async def test_one_mwh_as_it_was_reckoned_by_fractions(
    client: httpx.AsyncClient, machine: str, whole: bool, btc: str, miners: str
) -> None:
    body = {"mwh": 1, "whole_miners": whole, **MACHINES[machine], **NETWORK}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["btc"], found["miners"]) == (btc, miners)
    assert (found["difficulty"], found["subsidy_btc"]) == (f"{D1}.000000", "3.12500000")
    assert (found["height"], found["model"]) == (None, None)


async def test_a_subsidy_is_told_to_the_satoshi(client: httpx.AsyncClient) -> None:
    network = {"difficulty": D1, "subsidy_btc": "0.00000149"}
    answer = await client.post(PATH, json={"mwh": 1, **MACHINES["S9"], **network})
    assert answer.json()["subsidy_btc"] == "0.00000149"


@pytest.mark.parametrize(
    ("machine", "mwh", "miners"),
    [
        ("S19J_PRO", "0.001", 0),
        ("M20S", "0.001", 0),
        ("S9", "0.001", 1),
        ("S19J_PRO", "0.0015249", 0),
        ("S19J_PRO", "0.001525", 1),
    ],
)
async def test_whole_machines_need_energy_for_the_whole_half_hour(
    client: httpx.AsyncClient, machine: str, mwh: str, miners: int
) -> None:
    body = {"mwh": mwh, "whole_miners": True, **MACHINES[machine], **NETWORK}
    found = (await client.post(PATH, json=body)).json()
    assert found["miners"] == f"{miners}.000000"
    assert (Decimal(found["btc"]) > 0) == (miners > 0)
    linear = (await client.post(PATH, json=body | {"whole_miners": False})).json()
    assert Decimal(linear["btc"]) > 0


async def test_a_large_energy_keeps_its_digits(client: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"mwh": "47748.24", "subsidy_btc": "3.125"}
    body |= {"difficulty": "108105433845147"}
    for machine, btc in (
        ("104/3068", "39.21755275"),
        ("M20S", "23.41381274"),
        ("S9", "11.80528373"),
    ):
        found = (await client.post(PATH, json=body | MACHINES[machine])).json()
        assert round(Decimal(found["btc"]), 8) == Decimal(btc)


@pytest.mark.usefixtures("models", "epochs")
async def test_a_period_takes_the_difficulty_at_its_start(client: httpx.AsyncClient) -> None:
    """The retarget of 2025-03-09 18:00 falls between the starts of periods 36 and 37."""
    for period, difficulty, height in ((36, D1, 883008), (37, D2, 887040)):
        body = {
            "mwh": 1,
            "model": "S19J_PRO",
            "settlement_date": "2025-03-09",
            "settlement_period": period,
        }
        found = (await client.post(PATH, json=body)).json()
        assert found["difficulty"] == f"{difficulty}.000000"
        assert found["height"] == height
        assert found["model"] == "Antminer S19j Pro 100T"
    assert found["starts_at"] == "2025-03-09T18:00:00Z"
    at = {"mwh": 1, "model": "M20S", "at": "2025-03-09T17:59:59Z"}
    assert (await client.post(PATH, json=at)).json()["difficulty"] == f"{D1}.000000"


@pytest.mark.usefixtures("models", "epochs")
async def test_an_unknown_difficulty_is_503(client: httpx.AsyncClient) -> None:
    body = {"mwh": 1, "model": "S9", "at": "2016-01-01T00:00:00Z"}
    answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "difficulty_unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.usefixtures("models", "epochs")
async def test_the_periods_of_a_clock_change_day(client: httpx.AsyncClient) -> None:
    body = {"mwh": 1, "model": "S9"}
    for day, period, starts_at in (
        ("2025-03-30", 3, "2025-03-30T01:00:00Z"),
        ("2025-03-30", 46, "2025-03-30T22:30:00Z"),
        ("2025-10-26", 1, "2025-10-25T23:00:00Z"),
        ("2025-10-26", 5, "2025-10-26T01:00:00Z"),
        ("2025-10-26", 50, "2025-10-26T23:30:00Z"),
    ):
        asked = body | {"settlement_date": day, "settlement_period": period}
        found = await client.post(PATH, json=asked)
        assert found.json()["starts_at"] == starts_at, found.text
    for day, period in (("2025-03-30", 47), ("2025-10-26", 51), ("2025-03-04", 49)):
        asked = body | {"settlement_date": day, "settlement_period": period}
        refused = await client.post(PATH, json=asked)
        assert (refused.status_code, refused.json()["field"]) == (422, "settlement_period")


FINE: dict[str, Any] = {"mwh": 1, "hashrate_ths": 100, "power_w": 3050, **NETWORK}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mwh": -1}, "mwh"),
        ({"mwh": "NaN"}, "mwh"),
        ({"mwh": "Infinity"}, "mwh"),
        ({"mwh": "1e12"}, "mwh"),
        ({"mwh": True}, "mwh"),
        ({"mwh": None}, "mwh"),
        ({"mwh": "=1"}, "mwh"),
        ({"hashrate_ths": 0}, "hashrate_ths"),
        ({"hashrate_ths": -1}, "hashrate_ths"),
        ({"power_w": 0}, "power_w"),
        ({"power_w": "1e11"}, "power_w"),
        ({"difficulty": 0}, "difficulty"),
        ({"difficulty": "-5"}, "difficulty"),
        ({"subsidy_btc": -1}, "subsidy_btc"),
        ({"subsidy_btc": 51}, "subsidy_btc"),
        ({"power_w": None}, "power_w"),
        ({"subsidy_btc": None}, "subsidy_btc"),
        ({"model": "S9"}, "hashrate_ths"),
        ({"hashrate_ths": None, "power_w": None}, "model"),
        ({"at": "2025-03-04T00:00:00Z"}, "difficulty"),
        ({"difficulty": None, "subsidy_btc": None}, "at"),
        ({"whole_miners": "perhaps"}, "whole_miners"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_cannot_be_calculated_is_refused(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post(PATH, json=FINE | changes)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


@pytest.mark.parametrize(
    ("time", "field"),
    [
        ({"at": "2025-03-04T00:00:00"}, "at"),
        ({"at": "2199-03-04T00:00:00Z"}, "at"),
        ({"at": "2008-03-04T00:00:00Z"}, "at"),
        ({"at": "0001-01-01T00:00:00+23:59"}, "at"),
        ({"settlement_date": "2025-02-30", "settlement_period": 1}, "settlement_date"),
        ({"settlement_date": "20250304", "settlement_period": 1}, "settlement_date"),
        ({"settlement_date": 20250304, "settlement_period": 1}, "settlement_date"),
        ({"settlement_date": "2199-03-04", "settlement_period": 1}, "settlement_date"),
        ({"settlement_date": "2008-12-31", "settlement_period": 1}, "settlement_date"),
        ({"settlement_date": "2025-03-04", "settlement_period": 0}, "settlement_period"),
        ({"settlement_date": "2025-03-04", "settlement_period": "1"}, "settlement_period"),
        ({"settlement_date": "2025-03-04"}, "settlement_period"),
        ({"settlement_period": 1}, "settlement_date"),
    ],
)
@pytest.mark.usefixtures("models", "epochs")
async def test_a_time_that_is_none_is_refused(
    client: httpx.AsyncClient, time: dict[str, Any], field: str
) -> None:
    answer = await client.post(PATH, json={"mwh": 1, "model": "S9", **time})
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


@pytest.mark.usefixtures("models")
async def test_the_present_is_no_time_to_come(
    client: httpx.AsyncClient, tell_epochs: Callable[..., Awaitable[None]]
) -> None:
    await tell_epochs([(900000, now() - timedelta(days=1), D2)])
    found = await client.post(PATH, json={"mwh": 1, "model": "S9", "at": now().isoformat()})
    assert found.json()["height"] == 900000


@pytest.mark.usefixtures("models", "epochs")
async def test_an_unknown_model_is_refused(client: httpx.AsyncClient) -> None:
    for name in ("S99", "<script>", "x'; DROP TABLE"):
        body = {"mwh": 1, "model": name, "at": "2025-03-04T00:00:00Z"}
        answer = await client.post(PATH, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "miner_model_unknown")


async def test_nothing_is_left_behind(
    client: httpx.AsyncClient, published: Callable[..., Awaitable[list[Any]]]
) -> None:
    await client.post(PATH, json=FINE)
    assert await published() == []
