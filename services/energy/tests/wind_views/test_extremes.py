"""The largest and smallest figures that may be asked with have an answer, or are refused."""

from itertools import product

import httpx
import pytest

PATH = "/api/wind/calculate"
TINY = "0." + "0" * 11 + "1"
TINIER = "0." + "0" * 37 + "1"
EXTREMES = list(
    product(["0", "0.000001", "1000000000"], [TINY, "1000000000"], [TINY, "10000000000"])
)


@pytest.mark.parametrize("difficulty", ["1", "1000000000000000000"])
@pytest.mark.parametrize("whole", [True, False])
async def test_extreme_figures(client: httpx.AsyncClient, difficulty: str, whole: bool) -> None:
    for mwh, hashrate, power in EXTREMES:
        body = {
            "mwh": mwh,
            "hashrate_ths": hashrate,
            "power_w": power,
            "difficulty": difficulty,
            "subsidy_btc": "50",
            "whole_miners": whole,
        }
        answer = await client.post(PATH, json=body)
        assert answer.status_code == 200, (body, answer.text)
        assert "E" not in answer.json()["btc"]


@pytest.mark.parametrize("field", ["mwh", "hashrate_ths", "power_w", "difficulty", "subsidy_btc"])
async def test_what_is_too_small_to_be_anything_is_refused(
    client: httpx.AsyncClient, field: str
) -> None:
    body = dict.fromkeys(("mwh", "hashrate_ths", "power_w", "difficulty", "subsidy_btc"), "1")
    answer = await client.post(PATH, json=body | {field: TINIER})
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_a_lead_partys_name_may_hold_a_slash(client: httpx.AsyncClient) -> None:
    path = "/api/wind/production/curtailment-percentage/lead-party/Nordic%20A%2FS/2025-03-04"
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_lead_party")
    assert "'Nordic A/S'" in answer.json()["detail"]
