"""Saying what a rate now is: to callers as a view, to other services as an event."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from energy.db import AuditEvent, Outbox
from energy.domain.schedule import half_hour_prices
from energy.domain.tariff import Tariff
from energy.tariffs.events import TariffChanged
from energy.tariffs.models import ElectricityRate
from energy.tariffs.schemas import RateView
from energy.tariffs.terms import StoredTerms

_PRIVATE = {"account_number", "notes"}
_HALF_HOUR_S = 1800
_WEEK_HALF_HOURS = 7 * 48
_NANO = 10**9


def view_of(rate: ElectricityRate) -> RateView:
    """Return a rate as it is shown."""
    return RateView.model_validate(
        rate.body
        | {
            "id": rate.id,
            "active": rate.active,
            "version": rate.rate_version,
            "version_from": rate.valid_from,
            "removed": rate.removed_at is not None,
            "created_at": rate.created_at,
            "updated_at": rate.updated_at,
        }
    )


def announce(session: AsyncSession, rate: ElectricityRate, *, at: datetime | None = None) -> None:
    """Publish the rate as it is now, or at an instant. Flush it first."""
    terms = StoredTerms.model_validate(rate.body)
    said_at = at or now()
    mean = mean_price(terms.tariff(), said_at)
    rate.announced_at, rate.announced_mean = said_at, mean
    session.add(
        Outbox.of(
            TariffChanged(
                organisation_id=rate.organisation_id,
                version=rate.revision,
                rate_id=rate.id,
                rate_version=rate.rate_version,
                site_id=rate.site_id,
                location=rate.location,
                name=rate.name,
                active=rate.active,
                rate_type=terms.rate_type,
                currency=rate.currency,
                timezone=rate.timezone,
                tariff=terms.model_dump(mode="json", exclude=_PRIVATE),
                mean_usd_per_kwh=f"{mean:f}" if mean is not None else None,
                valid_from=rate.valid_from,
                removed=rate.removed_at is not None,
                changed_at=said_at,
            )
        )
    )


def mean_price(tariff: Tariff, at: datetime) -> Decimal | None:
    """Return the mean energy price of the seven days from the next local midnight on.

    None where it depends on more than the time: an index, or tiers.
    """
    tiered = tariff.rate_type == "tiered" or any(window.tiers for window in tariff.windows)
    if tariff.rate_type == "index" or tiered:
        return None
    zone = ZoneInfo(tariff.timezone)
    tomorrow = at.astimezone(zone).date() + timedelta(days=1)
    first = datetime.combine(tomorrow, time(), zone).astimezone(UTC)
    starts = [first + timedelta(seconds=_HALF_HOUR_S * n) for n in range(_WEEK_HALF_HOURS)]
    prices = half_hour_prices(tariff, starts).nano_per_kwh
    mean = Decimal(int(prices.sum())) / _WEEK_HALF_HOURS / _NANO
    return round(mean, 9).normalize() + 0


async def note(
    session: AsyncSession,
    principal: Principal,
    action: str,
    object_id: UUID,
    *,
    object_type: str = "electricity-rate",
    **detail: Any,
) -> None:
    """Write an audit line."""
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type=object_type,
        object_id=object_id,
        detail=detail,
    )
