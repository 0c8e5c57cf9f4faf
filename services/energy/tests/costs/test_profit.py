"""What was mined against what it cost, at the quote of each day."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.ids import new_id

DAY = datetime(2026, 5, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]
WHEN = {"start_date": "2026-05-04", "end_date": "2026-05-05"}
PATH = "/api/electricity/profit-and-loss"
PERIODS = "/api/electricity/profit-by-period"


@pytest.fixture
async def quote(deliver: Make, worker_session: Any) -> Any:
    """Publish a quote of bitcoin; all tests share the platform's, so each begins without."""

    async def clear() -> None:
        async with worker_session() as session:
            await session.execute(text("DELETE FROM energy.quote"))

    async def publish(at: datetime, price: str, hashprice: str | None, **more: Any) -> None:
        data = {
            "pair": "BTC/USD", "price_usd": price, "at": at, "source": "test",
            "hashprice_btc_per_ths_day": hashprice,
        } | more  # fmt: skip
        await deliver(
            "calculator.quote.published.v1", data, version=int(at.timestamp()),
            organisation_id=PLATFORM_ORGANISATION,
        )  # fmt: skip

    await clear()
    yield publish
    await clear()


async def got(client: AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params=WHEN | params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_each_machine_client_and_site_by_the_quote_of_the_day(
    client: AsyncClient,
    new_site: Make,
    new_miner: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    quote: Make,
    deliver: Make,
) -> None:
    site, one = await new_site(), new_id()
    await deliver(
        "identity.organisation.changed.v1", {"id": one, "parent_id": new_id(), "name": "Ada"}
    )
    machine = await new_miner(site, client_id=one)
    await new_rate(daily_service_charge_usd="0.25")
    await close(site, DAY, [(machine, one, 1.0, 120.0), (new_id(), None, 1.0, 24.0)])
    await close(site, NEXT, [(machine, one, 1.0, 120.0)])
    await rate()
    # 120 TH·h are 5 TH/s for a day.
    await quote(DAY + timedelta(hours=20), "100000", "0.000001")
    await quote(NEXT + timedelta(hours=1), "50000", "0.000001")
    await quote(NEXT + timedelta(hours=5), "80000", "0.000001")
    lines = (await got(client, PATH, by="machine"))["items"]
    assert [one["profit_usd"] for one in lines] == ["0.660000", "-0.020000"]
    first = lines[0]
    assert (first["id"], first["client_id"], first["bitcoin"]) == (
        str(machine), str(one), "0.00001000",
    )  # fmt: skip
    assert (first["revenue_usd"], first["energy_cost_usd"]) == ("0.900000", "0.240000")
    assert first["break_even_usd_per_kwh"] == "0.450000"
    clients = (await got(client, PATH, by="client"))["items"]
    assert [(one["name"], one["profit_usd"]) for one in clients] == [
        ("Ada", "0.660000"), ("Own machines", "-0.020000"),
    ]  # fmt: skip
    for by in ("machine", "client", "site"):
        [alone] = (await got(client, PATH, by=by, miner_id=machine))["items"]
        assert (alone["profit_usd"], alone["fixed_charges_usd"]) == ("0.660000", None)
    answer = await got(client, PATH, by="site")
    [whole] = answer["items"]
    assert (whole["energy_cost_usd"], whole["fixed_charges_usd"]) == ("0.360000", "0.500000")
    assert whole["profit_usd"] == "0.140000"
    assert [one["price_usd"] for one in answer["quotes"]] == ["100000.000000", "80000.000000"]
    assert answer["notes"] == []


async def test_a_quote_that_is_old_is_said_and_one_that_is_missing_leaves_no_profit(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    quote: Make,
) -> None:
    site = await new_site()
    await new_rate()
    await close(site, DAY, [(new_id(), None, 1.0, 24.0)])
    await rate()
    await quote(DAY - timedelta(days=8), "100000", "0.000001")
    none = await got(client, PATH)
    assert (none["items"][0]["profit_usd"], none["items"][0]["revenue_usd"]) == (None, None)
    assert none["quotes"][0]["missing"] is True
    assert "no quote" in none["notes"][0]
    await quote(DAY - timedelta(days=1), "100000", None, difficulty="110568428300952",
                subsidy_btc="3.125", simulated=True)  # fmt: skip
    old = await got(client, PATH)
    share = Decimal(24 * 3600 * 10**12) * Decimal("3.125") / (110568428300952 * 2**32)
    assert old["items"][0]["bitcoin"] == f"{share:.8f}"
    assert old["quotes"][0]["stale"] is True
    assert "stale" in old["notes"][0]
    assert "simulated" in old["notes"][1]


async def test_what_no_tariff_priced_has_no_profit(
    client: AsyncClient, new_site: Make, close: Make, rate: Make, quote: Make
) -> None:
    site = await new_site()
    await close(site, DAY, [(new_id(), None, 1.0, 24.0)])
    await rate()
    await quote(DAY, "100000", "0.000001")
    for by in ("machine", "client", "site"):
        answer = await got(client, PATH, by=by)
        assert (answer["items"][0]["profit_usd"], answer["items"][0]["revenue_usd"]) == (
            None, "0.100000",
        )  # fmt: skip
        assert "no tariff" in answer["notes"][0]
    periods = (await got(client, PERIODS))["periods"]
    assert [(one["name"], one["energy_cost_usd"], one["profit_usd"]) for one in periods] == [
        ("No rate", None, None)
    ]


async def test_another_currency_needs_its_reference_rate(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    quote: Make,
    worker_session: Any,
) -> None:
    site = await new_site()
    await new_rate(currency="ZAR")
    await close(site, DAY, [(new_id(), None, 1.0, 24.0)])
    await rate()
    await quote(DAY, "100000", "0.000001")
    unknown = await got(client, PATH)
    assert unknown["items"][0]["profit_usd"] is None
    assert "ZAR" in unknown["notes"][0]
    async with worker_session() as session:
        for currency, per_eur in (("USD", "1.2"), ("ZAR", "24")):
            await session.execute(
                text(
                    "INSERT INTO energy.reference_rate (organisation_id, day, currency, per_eur, "
                    "source, simulated, fetched_at) VALUES (:org, '2026-05-04', :currency, "
                    ":per_eur, 'test', false, now())"
                ),
                {"org": PLATFORM_ORGANISATION, "currency": currency, "per_eur": Decimal(per_eur)},
            )
    for by in ("machine", "client", "site"):
        known = await got(client, PATH, by=by)
        assert known["items"][0]["energy_cost_usd"] == "0.006000"
        assert known["items"][0]["profit_usd"] == "0.094000"
        assert (known["conversions"][0]["from"], known["conversions"][0]["day"]) == (
            "ZAR", "2026-05-04",
        )  # fmt: skip
    async with worker_session() as session:
        await session.execute(text("DELETE FROM energy.reference_rate WHERE source = 'test'"))


async def test_each_period_of_the_tariff_against_what_it_mined(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    quote: Make,
) -> None:
    site: UUID = await new_site()
    machine = new_id()
    schedule = [
        {"name": "Night", "rate": "0.05", "days": list(range(7)), "start": "00:00",
         "end": "06:15"},
        {"name": "Day", "rate": "0.20", "days": list(range(7)), "start": "06:15",
         "end": "24:00"},
    ]  # fmt: skip
    await new_rate(rate_type="tou", flat_rate_usd_per_kwh=None, tou_schedule=schedule)
    for at in (DAY, DAY + timedelta(hours=6), DAY + timedelta(hours=12)):
        await close(site, at, [(machine, None, 2.0, 48.0)])
    await rate()
    await quote(DAY, "100000", "0.000001")
    for scope in ({}, {"miner_id": str(machine)}):
        found = await got(client, PERIODS, **scope)
        assert [
            (one["name"], one["total_kwh"], one["energy_cost_usd"], one["profit_usd"])
            for one in found["periods"]
        ] == [
            ("Day", "3.000000", "0.600000", "-0.300000"),
            ("Night", "3.000000", "0.150000", "0.150000"),
        ]


async def test_a_periods_cost_is_converted_at_each_days_reference_rate(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    quote: Make,
    worker_session: Any,
) -> None:
    site = await new_site()
    await new_rate(currency="ZAR")
    for at in (DAY, NEXT):
        await close(site, at, [(new_id(), None, 1.0, 24.0)])
        await quote(at, "100000", "0.000001")
    await rate()
    insert = text(
        "INSERT INTO energy.reference_rate (organisation_id, day, currency, per_eur, source, "
        "simulated, fetched_at) VALUES (:org, :day, :currency, :per_eur, 'test', false, now())"
    )
    async with worker_session() as session:
        for day, per_eur in ((DAY, "24"), (NEXT, "12")):
            for currency, amount in (("USD", "1.2"), ("ZAR", per_eur)):
                row = {"org": PLATFORM_ORGANISATION, "day": day.date(), "currency": currency,
                       "per_eur": Decimal(amount)}  # fmt: skip
                await session.execute(insert, row)
    found = await got(client, PERIODS)
    [period] = found["periods"]
    # 0.12 rand on each day: 0.006 dollars, and 0.012.
    assert (period["energy_cost_usd"], period["profit_usd"]) == ("0.240000", "0.182000")
    assert [(one["from"], one["day"]) for one in found["conversions"]] == [
        ("ZAR", "2026-05-04"), ("ZAR", "2026-05-05"),
    ]  # fmt: skip
    async with worker_session() as session:
        await session.execute(text("DELETE FROM energy.reference_rate WHERE source = 'test'"))
