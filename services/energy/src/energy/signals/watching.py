"""Keeps the signals: looks often, and at every half-hour's beginning; says what has changed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from common import webhooks
from common.clock import now
from common.runtime import Runtime
from energy.db import Outbox
from energy.domain.signalling import State, break_even, decide
from energy.facts.models import Miner, MinerModel, Quote, Site
from energy.facts.reading import latest_quote, model_named
from energy.messages.models import MESSAGING
from energy.settings import Settings
from energy.signals.events import QuoteRef, SignalChanged, TariffRef
from energy.signals.models import EnergySignal
from energy.signals.pricing import InDollars, PriceNow, Unknown, dollars, price_now
from energy.turns import each_organisation

STALE_AFTER = timedelta(hours=1)
TOO_OLD = timedelta(hours=24)
_LOCK = 7_201_353
_HALF_HOUR_S = 1800
_PLACES = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a signal follows from, as far as it is known."""

    model: MinerModel | None
    quote: Quote | None
    price: PriceNow | Unknown
    in_dollars: InDollars | Unknown


async def watch(runtime: Runtime) -> None:
    """Keep the signals of every organisation, for ever."""
    settings = cast("Settings", runtime.settings)
    while not runtime.stopping.is_set():
        await refresh_all(runtime)
        moment = now().timestamp()
        boundary = _HALF_HOUR_S - moment % _HALF_HOUR_S
        await asyncio.sleep(min(settings.signals_every_s, boundary + 0.01))


async def refresh_all(runtime: Runtime, *, at: datetime | None = None) -> None:
    """Look at every organisation that has machines."""
    settings = cast("Settings", runtime.settings)

    async def turn(session: AsyncSession, organisation_id: UUID) -> None:
        percent = settings.signals_hysteresis_percent
        await refresh(session, organisation_id, at or now(), percent)

    query = select(Miner.organisation_id).where(Miner.removed.is_(False)).distinct()
    await each_organisation(runtime, query, _LOCK, turn)


async def refresh(
    session: AsyncSession, organisation_id: UUID, at: datetime, hysteresis_percent: Decimal
) -> None:
    """Compute an organisation's signals anew, and publish what has changed."""
    classes = await _classes(session)
    known = {
        (row.site_id, row.miner_model): row for row in await session.scalars(select(EnergySignal))
    }
    bases = await _bases(session, classes, at)
    for key in classes:
        row = known.get(key) or _new(organisation_id, key, at)
        session.add(row)
        row.hysteresis_percent = hysteresis_percent
        _compute(row, bases[key], at)
        if _is_news(row, at):
            await _publish(session, row, at)
    gone = [key for key in known if key not in bases]
    if gone:
        keys = tuple_(EnergySignal.site_id, EnergySignal.miner_model)
        await session.execute(delete(EnergySignal).where(keys.in_(gone)))
    await session.flush()


async def _classes(session: AsyncSession) -> list[tuple[UUID, str]]:
    """Return which classes of machine stand at which sites."""
    closed = select(Site.id).where(Site.removed)
    rows = await session.execute(
        select(Miner.site_id, Miner.model)
        .where(
            Miner.removed.is_(False),
            Miner.status != "retired",
            Miner.model != "",
            Miner.site_id.not_in(closed),
        )
        .distinct()
        .order_by(Miner.site_id, Miner.model)
    )
    return [(row.site_id, row.model) for row in rows]


async def _bases(
    session: AsyncSession, classes: list[tuple[UUID, str]], at: datetime
) -> Mapping[tuple[UUID, str], Basis]:
    quote = await latest_quote(session, before=at)
    models = {name: await model_named(session, name) for name in {name for _, name in classes}}
    prices = {site: await price_now(session, site, at) for site in {site for site, _ in classes}}
    currencies = {one.rated.tariff.currency for one in prices.values() if isinstance(one, PriceNow)}
    rates = {currency: await dollars(session, currency, at) for currency in currencies}
    return {
        (site, name): Basis(models[name], quote, price, _rate(price, rates))
        for site, name in classes
        if (price := prices[site])
    }


def _rate(
    price: PriceNow | Unknown, rates: Mapping[str, InDollars | Unknown]
) -> InDollars | Unknown:
    return price if isinstance(price, Unknown) else rates[price.rated.tariff.currency]


def _new(organisation_id: UUID, key: tuple[UUID, str], at: datetime) -> EnergySignal:
    return EnergySignal(
        site_id=key[0],
        miner_model=key[1],
        organisation_id=organisation_id,
        state=None,
        published_price=None,
        published_until=None,
        changed_at=at,
        version=0,
    )


def _compute(row: EnergySignal, basis: Basis, at: datetime) -> None:
    """Write into a row what its basis says now."""
    model, quote, price, in_dollars = basis.model, basis.quote, basis.price, basis.in_dollars
    row.at = at
    row.reason = _missing(basis, at)
    row.quote_at = None if quote is None else quote.at
    row.quote_stale = quote is None or quote.stale or at - quote.at > STALE_AFTER
    row.simulated = bool(quote and quote.simulated)
    row.efficiency_j_per_th = None
    row.break_even_usd_per_kwh = row.price_usd_per_kwh = row.valid_until = None
    row.rate_id = row.rate_version = None
    if model is not None:
        row.efficiency_j_per_th = _exact(model.power_w) / _exact(model.hashrate_ths)
        if quote is not None and quote.hashprice_usd_per_ths_day is not None:
            row.break_even_usd_per_kwh = break_even(
                quote.hashprice_usd_per_ths_day, _exact(model.hashrate_ths), _exact(model.power_w)
            ).quantize(_PLACES)
    if isinstance(price, PriceNow):
        row.rate_id, row.rate_version = price.rated.rate_id, price.rated.version
        row.valid_until = price.until
        if isinstance(in_dollars, InDollars):
            row.price_usd_per_kwh = (price.price * in_dollars.rate).quantize(_PLACES)
            row.simulated = row.simulated or in_dollars.simulated
    _judge(row, at)


def _judge(row: EnergySignal, at: datetime) -> None:
    before = cast("State | None", row.state)
    after: State | None = None
    if row.reason is None:
        assert row.price_usd_per_kwh is not None
        assert row.break_even_usd_per_kwh is not None
        after = decide(
            before, row.price_usd_per_kwh, row.break_even_usd_per_kwh, row.hysteresis_percent
        )
    if after != before:
        row.state, row.changed_at = after, at


def _missing(basis: Basis, at: datetime) -> str | None:
    """Return why there can be no signal, or None: there can."""
    if isinstance(basis.price, Unknown):
        return basis.price.reason
    if isinstance(basis.in_dollars, Unknown):
        return basis.in_dollars.reason
    if basis.model is None:
        return "unknown_miner_model"
    if basis.quote is None or basis.quote.hashprice_usd_per_ths_day is None:
        return "no_quote"
    return "quote_too_old" if at - basis.quote.at > TOO_OLD else None


def _is_news(row: EnergySignal, at: datetime) -> bool:
    """Return whether to publish: another state or price, or what was said runs out."""
    if row.state is None:
        return False
    return (
        row.published_until is None
        or row.changed_at == at
        or row.published_price != row.price_usd_per_kwh
        or at >= row.published_until
    )


async def _publish(session: AsyncSession, row: EnergySignal, at: datetime) -> None:
    assert row.price_usd_per_kwh is not None
    assert row.break_even_usd_per_kwh is not None
    assert row.valid_until is not None
    assert row.rate_id is not None
    assert row.rate_version is not None
    assert row.quote_at is not None
    assert row.efficiency_j_per_th is not None
    row.version += 1
    row.published_price, row.published_until = row.price_usd_per_kwh, row.valid_until
    await session.flush()  # the row first, its event after it
    event = SignalChanged(
        organisation_id=row.organisation_id,
        version=row.version,
        signal_id=f"{row.site_id}:{row.miner_model}",
        site_id=row.site_id,
        miner_model=row.miner_model,
        efficiency_j_per_th=f"{row.efficiency_j_per_th:.4f}",
        state=cast("State", row.state),
        price_usd_per_kwh=f"{row.price_usd_per_kwh:f}",
        break_even_usd_per_kwh=f"{row.break_even_usd_per_kwh:f}",
        hysteresis_percent=f"{row.hysteresis_percent:f}",
        tariff=TariffRef(rate_id=row.rate_id, version=row.rate_version),
        quote=QuoteRef(at=row.quote_at, stale=row.quote_stale, simulated=row.simulated),
        valid_until=row.valid_until,
        at=at,
    )
    session.add(Outbox.of(event))
    if row.changed_at == at:  # not at each renewal: an endpoint acts on it
        await webhooks.announce(
            session,
            MESSAGING,
            organisation_id=row.organisation_id,
            kind="signal",
            facts=event.model_dump(mode="json", exclude={"organisation_id", "version"}),
            dedupe_key=f"signal:{event.signal_id}:{event.version}",
        )


def _exact(value: float) -> Decimal:
    """Return a nameplate's figure as it is written."""
    return Decimal(repr(value))
