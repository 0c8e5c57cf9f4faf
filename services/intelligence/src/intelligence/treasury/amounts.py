"""How money and bitcoin come in and go out: decimal strings, six and eight places, never floats."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer

from common.clock import now

_GENESIS = datetime(2009, 1, 3, tzinfo=UTC)
_CLOCK_SKEW = timedelta(seconds=60)


def _no_truth(value: object) -> object:
    # To pydantic `true` is the number 1.
    if isinstance(value, bool):
        msg = "must be a number or its text"
        raise ValueError(msg)  # noqa: TRY004  (pydantic makes a 422 of a ValueError only)
    return value


def _past(value: datetime) -> datetime:
    if value > now() + _CLOCK_SKEW:
        msg = "lies in the future"
        raise ValueError(msg)
    if value < _GENESIS:
        msg = "lies before the first bitcoin"
        raise ValueError(msg)
    return value.astimezone(UTC)


_Number = BeforeValidator(_no_truth)
BtcIn = Annotated[
    Decimal, _Number, Field(gt=0, le=21_000_000, decimal_places=8, examples=["0.25000000"])
]
BtcOrNoneIn = Annotated[Decimal, _Number, Field(ge=0, le=21_000_000, decimal_places=8)]
"""Bitcoin, or none of it."""
PriceIn = Annotated[
    Decimal, _Number, Field(gt=0, le=1_000_000_000, decimal_places=6, examples=["95000.00"])
]
UsdIn = Annotated[
    Decimal, _Number, Field(ge=0, le=1_000_000_000_000, decimal_places=6, examples=["1000.00"])
]
HashrateIn = Annotated[Decimal, _Number, Field(gt=0, le=1_000_000_000, decimal_places=3)]
MultipleIn = Annotated[Decimal, _Number, Field(gt=0, le=100, decimal_places=6)]
PercentIn = Annotated[Decimal, _Number, Field(gt=0, le=100, decimal_places=6)]
TimePassed = Annotated[AwareDatetime, AfterValidator(_past)]

Usd = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:.6f}", return_type=str),
    Field(examples=["95000.000000"]),
]
Btc = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:.8f}", return_type=str),
    Field(examples=["0.25000000"]),
]
Percent = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:.6f}", return_type=str),
    Field(examples=["12.500000"]),
]
Hashrate = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:.3f}", return_type=str),
    Field(examples=["100000.000"]),
]
