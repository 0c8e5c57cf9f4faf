import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from energy.currencies.models import ReferenceRate
from energy.domain.settlement import period_start, periods_in
from energy.domain.wind import WIND
from energy.wind.answers import Unit
from energy.wind.days import apply_day
from energy.wind.elexon import Told
from energy.wind.fetching import DATASETS, keep_answers
from energy.wind.miners import miners_named
from energy.wind.models import WindGeneration
from energy.wind.units import refresh

Deliver = Callable[..., Awaitable[Any]]
MODELS = {
    "S19J_PRO": ("Antminer S19j Pro 100T", 100.0, 3050.0),
    "M20S": ("WhatsMiner M20S 68T", 68.0, 3360.0),
    "S9": ("Antminer S9 13.5T", 13.5, 1323.0),
}
UNITS = (
    ("T_GORDW-1", "Gordonbush", "Beinn Power", "70.500"),
    ("T_GORDW-2", "Gordonbush", "Beinn Power", "38.000"),
    ("T_MOWEO-1", "Moray West", "=Sea Wind Ltd", "882.000"),
    ("E_STILL-1", "Stillmoor", "Quiet Energy", "20.000"),
)
D1, D2 = "110568428300952", "112149504190349"
EPOCHS = (
    (883008, datetime(2025, 2, 23, 20, 0, tzinfo=UTC), D1),
    (887040, datetime(2025, 3, 9, 18, 0, tzinfo=UTC), D2),
    (889056, datetime(2025, 3, 23, 12, 0, tzinfo=UTC), D1),
    (891072, datetime(2025, 4, 6, 12, 0, tzinfo=UTC), D2),
    (919296, datetime(2025, 10, 20, 12, 0, tzinfo=UTC), D1),
    (921312, datetime(2025, 11, 3, 12, 0, tzinfo=UTC), D2),
)
TABLES = (
    "bm_units", "elexon_answers", "settlement_days", "settlement_periods", "curtailment_records",
    "wind_generation_data", "wind_outputs", "system_prices", "ingestion_progress",
    "ingestion_runs", "bitcoin_rates", "historical_bitcoin_calculations", "daily_summaries",
    "monthly_summaries", "yearly_summaries", "bitcoin_daily_summaries",
    "bitcoin_monthly_summaries", "bitcoin_yearly_summaries", "farm_daily_summaries",
    "bitcoin_farm_daily_summaries", "network_epoch", "quote", "reference_rate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bid:
    """An accepted bid: a unit turned down by so many MWh, for so many GBP per MWh."""

    unit: str
    mwh: str
    price: str = "-80"
    so_flag: bool = True


@pytest.fixture
def bid() -> type[Bid]:
    """What makes accepted bids."""
    return Bid


Bids = Mapping[int, Sequence[Bid]]


@pytest.fixture(autouse=True)
async def clean(runtime: Runtime) -> None:
    """Facts of the platform belong to no test: each begins with none of them."""
    async with runtime.worker_session() as session:
        for table in TABLES:
            await session.execute(text(f"DELETE FROM energy.{table}"))
        await session.execute(
            text("DELETE FROM energy.miner_model WHERE organisation_id = :platform"),
            {"platform": PLATFORM_ORGANISATION},
        )


@pytest.fixture
async def models(deliver: Deliver) -> None:
    """The three models of document 002, as the calculator tells them."""
    for alias, (name, hashrate, power) in MODELS.items():
        body: dict[str, Any] = {
            "model_id": str(new_id()),
            "name": name,
            "aliases": [alias],
            "hashrate_ths": hashrate,
            "power_w": power,
        }
        kind = "calculator.miner-model.changed.v1"
        await deliver(kind, body, organisation_id=PLATFORM_ORGANISATION)


@pytest.fixture
def tell_epochs(deliver: Deliver) -> Callable[..., Awaitable[None]]:
    """Tell epochs in a row, each (height, start, difficulty), all with one subsidy."""

    async def tell(
        epochs: Sequence[tuple[int, datetime, str]] = EPOCHS, subsidy: str = "3.125"
    ) -> None:
        following = [height for height, _, _ in epochs[1:]] + [epochs[-1][0] + 2016]
        for (height, start, difficulty), after in zip(epochs, following, strict=True):
            body: dict[str, Any] = {
                "height": height,
                "next_height": after,
                "started_at": start.isoformat(),
                "difficulty": difficulty,
                "subsidy_btc": subsidy,
            }
            kind = "calculator.network-epoch.changed.v1"
            await deliver(kind, body, organisation_id=PLATFORM_ORGANISATION)

    return tell


@pytest.fixture
async def epochs(tell_epochs: Callable[..., Awaitable[None]]) -> None:
    """The epochs of 2025 that the tests need."""
    await tell_epochs()


@pytest.fixture
async def units(runtime: Runtime) -> None:
    """Four wind units of three lead parties."""
    told = [
        Unit(name, name[2:], farm, party, None, WIND, "T", Decimal(capacity))
        for name, farm, party, capacity in UNITS
    ]
    async with runtime.worker_session() as session:
        await refresh(session, told, date(2026, 1, 1), simulated=True)


@pytest.fixture
def tell_quote(deliver: Deliver) -> Callable[..., Awaitable[None]]:
    """Tell a quote of bitcoin, some seconds old."""

    async def tell(
        price: str = "100000", *, age_s: float = 30, stale: bool = False, version: int = 1
    ) -> None:
        body: dict[str, Any] = {
            "pair": "BTC/USD",
            "price_usd": price,
            "at": (now() - timedelta(seconds=age_s)).isoformat(),
            "source": "kraken",
            "stale": stale,
            "simulated": False,
        }
        kind = "calculator.quote.published.v1"
        await deliver(kind, body, version=version, organisation_id=PLATFORM_ORGANISATION)

    return tell


@pytest.fixture
async def pounds(runtime: Runtime) -> None:
    """Reference rates by which a pound is 1.25 dollars."""
    async with runtime.worker_session() as session:
        for currency, per_eur in (("USD", "1.05"), ("GBP", "0.84")):
            session.add(
                ReferenceRate(
                    day=now().date(),
                    currency=currency,
                    per_eur=Decimal(per_eur),
                    source="ECB",
                    simulated=False,
                    fetched_at=now(),
                )
            )


@pytest.fixture
async def market(pounds: None, tell_quote: Callable[..., Awaitable[None]]) -> None:
    """Bitcoin at 100,000 dollars, which are 80,000 pounds."""
    await tell_quote()


def stack(day: date, period: int, bids: Sequence[Bid]) -> bytes:
    """Return a bid stack as Elexon would send it."""
    rows = [
        {
            "settlementDate": day.isoformat(),
            "settlementPeriod": period,
            "startTime": period_start(day, period).isoformat(),
            "createdDateTime": f"{day + timedelta(days=1)}T12:00:00Z",
            "sequenceNumber": place,
            "id": bid.unit,
            "acceptanceId": 1000 + place,
            "bidOfferPairId": -1,
            "cadlFlag": None,
            "soFlag": bid.so_flag,
            "storProviderFlag": False,
            "originalPrice": float(bid.price),
            "finalPrice": None,
            "volume": -float(bid.mwh),
        }
        for place, bid in enumerate(bids, start=1)
    ]
    return json.dumps({"metadata": {"datasets": ["ISPSTACK"]}, "data": rows}).encode()


Ingest = Callable[..., Awaitable[None]]


@pytest.fixture
def ingest(runtime: Runtime) -> Ingest:
    """Take a day in by its stacks; periods without bids are empty, `missing` ones are not there."""

    async def take_in(
        day: date,
        bids: Bids,
        *,
        missing: Sequence[int] = (),
        names: Sequence[str] = tuple(MODELS),
        simulated: bool = False,
    ) -> None:
        taken: list[tuple[str, int, Told[list[Bid]], datetime]] = []
        for period in set(range(1, periods_in(day) + 1)) - set(missing):
            some = bids.get(period, ())
            for dataset, rows in zip(DATASETS, (some, ()), strict=True):
                told = Told(stack(day, period, rows), list(rows), now(), simulated)
                taken.append((dataset, period, told, now()))
        async with runtime.worker_session() as session:
            await keep_answers(session, day, taken)
        miners = await miners_named(runtime, names, tuple(MODELS)) if names else []
        await apply_day(runtime, day, miners)

    return take_in


@pytest.fixture
def generated(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Keep the country's wind generation of a day, the same MW in each of its periods."""

    async def keep(
        day: date, *, onshore: str | None, offshore: str | None, missing: Sequence[int] = ()
    ) -> None:
        parts = [None if one is None else Decimal(one) for one in (onshore, offshore)]
        async with runtime.worker_session() as session:
            for period in set(range(1, periods_in(day) + 1)) - set(missing):
                session.add(
                    WindGeneration(
                        settlement_date=day,
                        settlement_period=period,
                        wind_onshore=parts[0],
                        wind_offshore=parts[1],
                        total_wind=sum(one for one in parts if one is not None),
                        data_source="wind-and-solar",
                        published_at=None,
                        last_updated=now(),
                        simulated=True,
                    )
                )

    return keep


@pytest.fixture
def get(client: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Read a path below /api/wind, which answers so."""

    async def read(path: str, status: int = 200) -> dict[str, Any]:
        answer = await client.get(f"/api/wind/{path}")
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return read
