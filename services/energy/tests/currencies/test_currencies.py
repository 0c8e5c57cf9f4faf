"""Reference rates: fetched, kept with day and source, and never made up."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from httpx import AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.party import NoAnswer, Party
from common.runtime import Runtime
from energy.currencies import keeping
from energy.currencies.models import ReferenceRate
from energy.currencies.reading import Conversion, CurrencyUnknown, Rates, RateUnavailable
from simulation.grid import Grid, GridFault
from simulation.grid.currencies import per_eur

HARMLESS = {GridFault.DUPLICATES, GridFault.DISORDER, GridFault.GAP, GridFault.TRUNCATED}
FRIDAY = date(2026, 11, 20)


def rate(currency: str, value: str, day: date = FRIDAY) -> ReferenceRate:
    return ReferenceRate(
        organisation_id=PLATFORM_ORGANISATION,
        day=day,
        currency=currency,
        per_eur=Decimal(value),
        source="ecb",
        simulated=False,
        fetched_at=datetime(2026, 11, 20, 15, tzinfo=UTC),
    )


def test_over_a_weekend_fridays_rate_counts() -> None:
    made = Rates([rate("USD", "1.1"), rate("GBP", "0.85")]).conversion(
        "USD", "GBP", date(2026, 11, 22)
    )
    assert made.day == FRIDAY
    assert made.of(Decimal("9.14")) == Decimal("7.062727")


def test_a_week_without_rates_is_not_bridged() -> None:
    with pytest.raises(RateUnavailable):
        Rates([rate("USD", "1.1")]).conversion("EUR", "USD", FRIDAY + timedelta(days=7))


def test_a_later_rate_says_nothing_of_an_earlier_day() -> None:
    with pytest.raises(RateUnavailable):
        Rates([rate("USD", "1.1")]).conversion("EUR", "USD", FRIDAY - timedelta(days=1))
    with pytest.raises(CurrencyUnknown):  # and no later day makes it known
        Rates([], FRIDAY).conversion("EUR", "USD", FRIDAY - timedelta(days=1))


def test_a_currency_without_a_rate_is_unknown_not_one_to_one() -> None:
    with pytest.raises(CurrencyUnknown) as refused:
        Rates([rate("USD", "1.1")]).conversion("USD", "XTS", FRIDAY)
    assert "XTS" in refused.value.detail


def test_both_rates_are_of_one_day() -> None:
    rates = [rate("USD", "1.1"), rate("USD", "1.2", FRIDAY - timedelta(days=1))]
    rates.append(rate("ISK", "150", FRIDAY - timedelta(days=1)))
    made = Rates(rates).conversion("USD", "ISK", FRIDAY)
    assert (made.day, made.rate) == (FRIDAY - timedelta(days=1), Decimal(125))


@given(
    amount=st.decimals(-(10**9), 10**9, places=6),
    source=st.decimals(Decimal("0.0001"), 10**5, places=4),
    wanted=st.decimals(Decimal("0.0001"), 10**5, places=4),
)
def test_a_conversion_is_exact_to_the_sixth_place(
    amount: Decimal, source: Decimal, wanted: Decimal
) -> None:
    made = Rates([rate("USD", str(source)), rate("GBP", str(wanted))]).conversion(
        "USD", "GBP", FRIDAY
    )
    exact = Fraction(amount) * Fraction(wanted) / Fraction(source)
    assert abs(Fraction(made.of(amount)) - exact) <= Fraction(1, 2 * 10**6) + abs(exact) / 10**27


def test_the_same_currency_keeps_every_digit() -> None:
    made = Rates([]).conversion("USD", "USD", FRIDAY)
    assert made.of(Decimal("0.123456789")) == Decimal("0.123456789")
    assert isinstance(made, Conversion)
    assert made.day is None


async def count(runtime: Runtime) -> int:
    async with runtime.worker_session() as session:
        return await session.scalar(select(func.count()).select_from(ReferenceRate)) or 0


async def test_the_past_is_fetched_once_and_then_the_week(
    runtime: Runtime, ecb: Party, grid: Grid
) -> None:
    told = await keeping.refresh(runtime, ecb)
    assert told == await count(runtime) > 3000
    calls = grid.calls["ecb"]
    assert 0 < await keeping.refresh(runtime, ecb) < 100
    assert (grid.calls["ecb"], await count(runtime)) == (calls + 1, told)


@pytest.mark.parametrize("fault", [fault for fault in GridFault if fault not in HARMLESS])
async def test_no_bad_answer_leaves_a_rate(
    runtime: Runtime, ecb: Party, grid: Grid, fault: GridFault
) -> None:
    grid.fault("ecb", fault)
    if fault is GridFault.NAN:  # what the source writes for a day without a rate
        await keeping.refresh(runtime, ecb)
    else:
        with pytest.raises(NoAnswer):
            await keeping.refresh(runtime, ecb)
    assert await count(runtime) == 0


async def test_repeated_and_disordered_rows_are_the_same_rates(
    runtime: Runtime, ecb: Party, grid: Grid
) -> None:
    told = await keeping.refresh(runtime, ecb)
    for fault in (GridFault.DUPLICATES, GridFault.DISORDER):
        grid.fault("ecb", fault)
        await keeping.refresh(runtime, ecb)
    assert await count(runtime) == told


async def test_of_half_an_answer_only_whole_rows_are_kept(
    runtime: Runtime, ecb: Party, grid: Grid
) -> None:
    grid.fault("ecb", GridFault.TRUNCATED)
    with suppress(NoAnswer):
        await keeping.refresh(runtime, ecb)
    async with runtime.worker_session() as session:
        for row in await session.scalars(select(ReferenceRate)):
            assert row.per_eur == Decimal(str(per_eur(7, row.currency, row.day)))


async def test_a_true_rate_gives_way_to_no_simulated_one(runtime: Runtime, ecb: Party) -> None:
    await keeping.refresh(runtime, ecb)
    async with runtime.worker_session() as session:
        true = text("UPDATE energy.reference_rate SET simulated = false, per_eur = 2")
        await session.execute(true)
    await keeping.refresh(runtime, ecb)
    async with runtime.worker_session() as session:
        values = await session.scalars(select(ReferenceRate.per_eur).distinct())
        assert list(values) == [Decimal(2)]


def last_working_day() -> date:
    # Today's rate may not be out yet: the day before it, or the Friday, surely is.
    day = now().date() - timedelta(days=1)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    return day


async def test_an_amount_is_converted_with_rate_day_and_source(
    client: AsyncClient, runtime: Runtime, ecb: Party
) -> None:
    await keeping.refresh(runtime, ecb)
    day = last_working_day()
    query = {"amount": "100", "from": "EUR", "to": "GBP", "on": day.isoformat()}
    answer = await client.get("/api/electricity/currencies/convert", params=query)
    assert answer.status_code == 200
    said: dict[str, Any] = answer.json()
    assert said["conversion"]["rate_date"] == day.isoformat()
    assert said["conversion"]["rate_source"] == "ecb"
    assert said["conversion"]["simulated"] is True
    expected = per_eur(7, "GBP", day)
    assert expected is not None
    assert Decimal(said["converted"]) == 100 * Decimal(str(expected))
    listed = (await client.get("/api/electricity/currencies")).json()
    assert listed["base"] == "EUR"
    assert {"USD", "GBP", "CHF"} <= {row["currency"] for row in listed["rates"]}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"to": "KZT"}, 422, "currency_unknown"),
        ({"to": "usd"}, 422, None),
        ({"amount": "NaN"}, 422, None),
        ({"amount": "1e30"}, 422, None),
        ({"on": "2026-02-30"}, 422, None),
        ({"on": "2999-01-01"}, 422, "day_in_future"),
        ({"on": "1999-01-05"}, 422, "currency_unknown"),
        ({"on": "0001-01-01"}, 422, "currency_unknown"),
    ],
)
async def test_bad_questions(
    client: AsyncClient, runtime: Runtime, ecb: Party, query: dict[str, str], status: int,
    code: str | None,
) -> None:  # fmt: skip
    await keeping.refresh(runtime, ecb)
    asked = {"amount": "1", "from": "USD", "to": "GBP"} | query
    answer = await client.get("/api/electricity/currencies/convert", params=asked)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["code"] == code


async def test_without_any_rate_nothing_is_converted(client: AsyncClient) -> None:
    query = {"amount": "1", "from": "USD", "to": "GBP"}
    answer = await client.get("/api/electricity/currencies/convert", params=query)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
