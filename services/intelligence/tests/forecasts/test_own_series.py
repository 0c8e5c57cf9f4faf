"""POST /api/intelligence/forecasts/btc-price: 90 points in, 30 predictions and intervals out."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from httpx import AsyncClient, Response

from common.testing import ClientFor

PATH = "/api/intelligence/forecasts/btc-price"
Closes = Callable[..., list[float]]


async def ask(reader: AsyncClient, points: Any, **fields: Any) -> Response:
    return await reader.post(PATH, json={"points": points, **fields})


async def test_ninety_points_in_thirty_predictions_and_intervals_out(
    reader: AsyncClient, closes: Closes
) -> None:
    points = closes(90)
    answer = await ask(reader, points)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["horizon"], body["points_used"], body["step"]) == (30, 90, "day")
    assert body["origin"] == {"at": None, "value": points[-1]}
    assert "ARIMA(5,1,0)" in body["method"]
    assert body["warnings"] == []
    assert [one["step"] for one in body["predictions"]] == list(range(1, 31))
    widths: list[float] = []
    for one in body["predictions"]:
        inside = [
            one[name] for name in ("lower_95", "lower_80", "predicted", "upper_80", "upper_95")
        ]
        assert inside == sorted(inside)
        assert inside[0] > 0
        assert one["mean"] > one["predicted"]
        widths.append(math.log(one["upper_95"] / one["lower_95"]))
    assert all(earlier < later for earlier, later in pairwise(widths))


async def test_it_stands_beside_the_no_change_baseline_with_measured_errors(
    reader: AsyncClient, closes: Closes
) -> None:
    points = closes(400)
    body = (await ask(reader, points, days=30)).json()
    assert {one["predicted"] for one in body["baseline"]["predictions"]} == {points[-1]}
    assert "no change" in body["baseline"]["method"]
    assert [row["horizon"] for row in body["accuracy"]] == [1, 7, 14, 30]
    for row in body["accuracy"]:
        for method in ("model", "baseline"):
            assert row[method]["mae"] > 0
            assert row[method]["mape_percent"] > 0
            assert 0.5 < row[method]["coverage_80"] <= row[method]["coverage_95"] <= 1
    assert body["coverage"]["horizon"] == 30
    assert body["coverage"]["coverage_95"] == body["accuracy"][-1]["model"]["coverage_95"]


@pytest.mark.parametrize("days", [0, 366, -1])
async def test_days_0_366_and_negative_are_refused(
    reader: AsyncClient, closes: Closes, days: int
) -> None:
    posted = await ask(reader, closes(90), days=days)
    got = await reader.get(PATH, params={"days": days})
    for answer in (posted, got):
        assert (answer.status_code, answer.json()["field"]) == (422, "days")


@pytest.mark.parametrize("days", [1, 365])
async def test_the_ends_of_the_range_are_answered(
    reader: AsyncClient, closes: Closes, days: int
) -> None:
    answer = await ask(reader, closes(90), days=days)
    assert len(answer.json()["predictions"]) == days


@pytest.mark.parametrize("count", [0, 1, 59])
async def test_fewer_than_60_points_are_refused(
    reader: AsyncClient, closes: Closes, count: int
) -> None:
    answer = await ask(reader, closes(count))
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (422, "too_few_points", "points")
    assert (body["points"], body["least_points"]) == (count, 60)


@pytest.mark.parametrize("count", [60, 89])
async def test_60_to_89_points_are_answered_with_a_warning(
    reader: AsyncClient, closes: Closes, count: int
) -> None:
    answer = await ask(reader, closes(count))
    assert answer.status_code == 200
    assert answer.json()["points_used"] == count
    assert any(f"Only {count} points" in text for text in answer.json()["warnings"])


async def test_a_constant_series_has_a_zero_width_band_and_is_flagged(reader: AsyncClient) -> None:
    body = (await ask(reader, [64_000] * 90)).json()
    assert body["zero_width"] is True
    assert any("no width" in text for text in body["warnings"])
    for one in body["predictions"]:
        assert one["lower_95"] == one["upper_95"] == one["predicted"] == 64_000


@pytest.mark.parametrize("bad", [0, -1, -0.5, "NaN", "Infinity", "1e400", None, "a", [], {}])
async def test_zeros_negatives_and_no_numbers_are_rejected(
    reader: AsyncClient, closes: Closes, bad: object
) -> None:
    points: list[Any] = [*closes(89), bad]
    answer = await ask(reader, points)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/body/points/89")


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "NaN", "Infinity"])
async def test_literals_beyond_a_double_are_no_5xx(reader: AsyncClient, literal: str) -> None:
    content = '{"points": [' + ",".join([literal] * 90) + "]}"
    answer = await reader.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


async def test_a_series_is_bounded(reader: AsyncClient, closes: Closes) -> None:
    assert (await ask(reader, closes(2001))).status_code == 422
    assert (await ask(reader, closes(90), colour="red")).status_code == 422


def dated(prices: list[float], *, left_out: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    first = date(2026, 1, 1)
    return [
        {"date": str(first + timedelta(days=place)), "price": price}
        for place, price in enumerate(prices)
        if place not in left_out
    ]


async def test_dated_points_are_sorted_and_their_predictions_dated(
    reader: AsyncClient, closes: Closes
) -> None:
    points = dated(closes(90))
    body = (await ask(reader, points[::-1], days=2)).json()
    plain = (await ask(reader, closes(90), days=2)).json()
    assert body["origin"]["at"] == "2026-03-31T00:00:00Z"
    assert [one["at"] for one in body["predictions"]] == [
        "2026-04-01T00:00:00Z",
        "2026-04-02T00:00:00Z",
    ]
    undated = [{**one, "at": None} for one in body["predictions"]]
    assert undated == plain["predictions"]


async def test_short_holes_are_filled_and_said(reader: AsyncClient, closes: Closes) -> None:
    body = (await ask(reader, dated(closes(100), left_out=(50, 51, 52)))).json()
    assert body["warnings"] == ["3 missing days were filled with the price before."]


async def test_what_lies_before_a_long_hole_is_left_out(
    reader: AsyncClient, closes: Closes
) -> None:
    body = (await ask(reader, dated(closes(120), left_out=tuple(range(20, 30))))).json()
    assert body["points_used"] == 90
    assert body["warnings"] == ["What lies before a hole of more than a week was left out."]


async def test_dates_twice_or_of_some_only_are_refused(reader: AsyncClient, closes: Closes) -> None:
    points = dated(closes(90))
    twice = await ask(reader, [*points, points[4]])
    some = await ask(reader, [*points, 50_000])
    far = await ask(reader, [*points[:2], {"date": "9999-12-31", "price": 1}])
    assert [one.status_code for one in (twice, some, far)] == [422, 422, 422]
    assert "twice" in twice.json()["detail"]
    assert "every point" in some.json()["detail"]


async def test_without_the_permission_it_is_403(client_as: ClientFor, closes: Closes) -> None:
    answer = await client_as(scopes={"miners:read"}).post(PATH, json={"points": closes(90)})
    assert answer.status_code == 403
