"""The rates to begin with: one flat, one by the time of use."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from energy.tariffs.activation import is_vacant, one_at_a_time
from energy.tariffs.models import ElectricityRate
from energy.tariffs.places import EVERYWHERE
from energy.tariffs.publishing import view_of
from energy.tariffs.registry import create_rate
from energy.tariffs.schemas import DefaultRates, NewRate

_WORKDAYS = [0, 1, 2, 3, 4]
DEFAULTS = (
    NewRate.model_validate(
        {
            "name": "Flat Rate - Residential",
            "description": "One price at all hours",
            "active": False,
            "timezone": "America/New_York",
            "rate_type": "flat",
            "flat_rate_usd_per_kwh": "0.12",
            "daily_service_charge_usd": "0.50",
        }
    ),
    NewRate.model_validate(
        {
            "name": "TOU - Summer",
            "description": "By the time of use from May to September, else the flat price",
            "timezone": "America/New_York",
            "rate_type": "tou",
            "flat_rate_usd_per_kwh": "0.12",
            "season_start_month": 5,
            "season_end_month": 9,
            "daily_service_charge_usd": "1.00",
            "demand_charge_usd_per_kw": "5.00",
            "tou_schedule": [
                {"name": "Off-Peak", "rate": "0.08", "start_hour": 21, "end_hour": 7},
                {
                    "name": "Shoulder",
                    "rate": "0.12",
                    "days": _WORKDAYS,
                    "start_hour": 7,
                    "end_hour": 17,
                },
                {
                    "name": "Peak",
                    "rate": "0.22",
                    "days": _WORKDAYS,
                    "start_hour": 17,
                    "end_hour": 21,
                },
                {
                    "name": "Weekend",
                    "rate": "0.09",
                    "days": [5, 6],
                    "start_hour": 7,
                    "end_hour": 21,
                },
            ],
        }
    ),
)


async def create_defaults(session: AsyncSession, principal: Principal) -> DefaultRates:
    """Create those that the organisation has not got; the second is put in force if none is."""
    await one_at_a_time(session, principal.organisation_id)
    names = [body.name for body in DEFAULTS]
    rows = await session.scalars(
        select(ElectricityRate)
        .where(ElectricityRate.name.in_(names), ElectricityRate.removed_at.is_(None))
        .order_by(func.lower(ElectricityRate.name), ElectricityRate.id)
    )
    rates = {row.name: view_of(row) for row in rows}
    missing = [body for body in DEFAULTS if body.name not in rates]
    vacant = await is_vacant(session, principal.organisation_id, EVERYWHERE)
    for body in missing:
        wish = body.model_copy(update={"active": vacant and body.active is None})
        rates[body.name] = await create_rate(session, principal, wish)
    ordered = [rates[name] for name in names]
    return DefaultRates(rates=ordered, count=len(ordered), created=len(missing))
