"""What is published of the signals."""

from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

from common.events import Event
from energy.domain.signalling import State


class TariffRef(BaseModel):
    """The version of the rate that the price is from."""

    rate_id: UUID
    version: int


class QuoteRef(BaseModel):
    """The quote that the break-even price is from."""

    at: AwareDatetime
    stale: bool
    simulated: bool


class SignalChanged(Event):
    """Whether a class of machine earns what its power costs at a site.

    It follows from tariff, quote and class alone, never from the load that it may switch. After
    `valid_until` it says nothing any more: it has been renewed by then, or is not known.
    """

    type: ClassVar[str] = "energy.signal.changed.v1"
    aggregate: ClassVar[str] = "signal_id"

    signal_id: str
    """The site and the class: `<site_id>:<miner_model>`."""
    site_id: UUID
    miner_model: str
    efficiency_j_per_th: str
    state: State
    price_usd_per_kwh: str
    break_even_usd_per_kwh: str
    hysteresis_percent: str
    tariff: TariffRef
    quote: QuoteRef
    valid_until: AwareDatetime
    at: AwareDatetime
