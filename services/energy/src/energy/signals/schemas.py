"""Answers about signals."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, PlainSerializer, WithJsonSchema


def _places(count: int) -> PlainSerializer:
    return PlainSerializer(
        lambda value: f"{value:.{count}f}", return_type=str, when_used="unless-none"
    )


_TEXT = WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization")
Price = Annotated[Decimal, _places(9), _TEXT]
Percent = Annotated[Decimal, _places(2), _TEXT]
Efficiency = Annotated[Decimal, _places(4), _TEXT]
Reason = Literal[
    "no_tariff",
    "no_index_price",
    "no_exchange_rate",
    "unknown_miner_model",
    "no_quote",
    "quote_too_old",
]


class SignalView(BaseModel):
    """Whether a class of machine earns what its power costs at a site, now."""

    site_id: UUID
    miner_model: str
    efficiency_j_per_th: Efficiency | None
    state: Literal["run", "stop"] | None
    """null: it cannot be said, and `reason` says why."""
    reason: Reason | None
    price_usd_per_kwh: Price | None
    break_even_usd_per_kwh: Price | None
    hysteresis_percent: Percent
    rate_id: UUID | None
    rate_version: int | None
    quote_at: datetime | None
    quote_stale: bool
    simulated: bool
    valid_until: datetime | None
    """When the price changes, or is looked at anew."""
    changed_at: datetime
    at: datetime
