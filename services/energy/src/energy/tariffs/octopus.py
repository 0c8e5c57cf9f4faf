"""Unit rates as Octopus Energy publishes them: pence per kWh by the half-hour, newest first."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from common.errors import Invalid
from energy.tariffs.amounts import Moment
from energy.tariffs.index_schemas import MOST_PRICES
from energy.tariffs.index_series import Price, in_order
from energy.tariffs.schedules import instant

ZONE = "Europe/London"
"""Of times without offset."""
CURRENCY = "GBP"
_POUNDS_PER_MWH = 10
"""Of one penny per kWh."""
_SIX = Decimal("1e-6")
Vat = Literal["included", "excluded"]
Pence = Annotated[Decimal, Field(ge=-100_000, le=100_000)]


class UnitRatesRefused(Invalid):
    title: ClassVar[str] = "These unit rates are not clear"


class UnitRate(BaseModel):
    """The price of an interval."""

    value_exc_vat: Pence | None = None
    value_inc_vat: Pence | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    payment_method: str | None = None


class UnitRates(BaseModel):
    """A page of unit rates."""

    results: Annotated[list[UnitRate], Field(min_length=1, max_length=MOST_PRICES)]
    next: str | None = None


def page_of(document: object) -> object:
    """Return a document as a page; a bare list is its results."""
    return {"results": cast("object", document)} if isinstance(document, list) else document


def prices_of(
    page: UnitRates, *, vat: Vat, payment_method: str | None, zone: str = ZONE
) -> list[Price]:
    """Return the prices of a page, oldest first.

    Raises:
        UnitRatesRefused: a price or a time is missing, or there are several payment methods.
        PricesOverlap: two prices claim the same time.
    """
    rows = _of_method(page.results, payment_method)
    where = ZoneInfo(zone)
    found = dict.fromkeys(_price(row, place, vat, where) for place, row in rows)
    return in_order(list(found))


def _of_method(
    results: Sequence[UnitRate], payment_method: str | None
) -> list[tuple[int, UnitRate]]:
    methods = {row.payment_method for row in results if row.payment_method is not None}
    if payment_method is None and len(methods) > 1:
        raise UnitRatesRefused(
            f"There are prices for {' and '.join(sorted(methods))}: say which payment_method.",
            field="payment_method",
        )
    rows = [
        (place, row)
        for place, row in enumerate(results)
        if payment_method is None or row.payment_method in (None, payment_method)
    ]
    if not rows:
        raise UnitRatesRefused(f"There are no prices for {payment_method}.", field="payment_method")
    return rows


def _price(row: UnitRate, place: int, vat: Vat, zone: ZoneInfo) -> Price:
    name = "value_inc_vat" if vat == "included" else "value_exc_vat"
    value: Decimal | None = getattr(row, name)
    if value is None:
        raise _refusal(place, name, "is missing")
    if row.valid_from is None:
        raise _refusal(place, "valid_from", "is missing: a price needs its start")
    start = instant(row.valid_from, zone)
    end = instant(row.valid_to, zone) if row.valid_to is not None else None
    if end is not None and end <= start:
        raise _refusal(place, "valid_to", "must lie after valid_from")
    return Price(start, end, (value * _POUNDS_PER_MWH).quantize(_SIX))


def _refusal(place: int, name: str, why: str) -> UnitRatesRefused:
    pointer = f"/body/document/results/{place}/{name}"
    error = {"pointer": pointer, "detail": why, "code": "unit_rate_refused"}
    return UnitRatesRefused(f"results[{place}].{name} {why}.", field=name, errors=[error])


def fields_of(name: str | None, starts: datetime) -> dict[str, Any]:
    """Return the fields of a rate that takes its prices from such a series."""
    return {
        "name": name or f"Half-hourly unit rates from {starts:%Y-%m-%d}",
        "rate_type": "index",
        "currency": CURRENCY,
        "timezone": ZONE,
    }
