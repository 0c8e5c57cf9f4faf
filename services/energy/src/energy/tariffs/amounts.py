"""How numbers come in and go out here: exact decimals, read from their text, never floats."""

import re
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

_ALIASES = frozenset({"Factory", "localtime", "posixrules"})
"""Names that a machine's zone folder holds beside the zones."""
_FIRST_YEAR = 2000
_LAST_YEAR = 2100
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]|$)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _plain(value: object) -> object:
    # To pydantic `true` is the number 1.
    if isinstance(value, bool):
        msg = "must be a number or its text"
        raise ValueError(msg)  # noqa: TRY004  (pydantic makes a 422 of a ValueError only)
    return value


def _decimal_text(value: Decimal) -> str:
    return f"{value:f}"


def _six_places(value: Decimal) -> str:
    # A credit of nothing is -0 to Decimal; nobody owes that.
    return f"{value or abs(value):.6f}"


def _shortest_text(value: Decimal) -> str:
    # One number has one text: 0.5 and 0.50 are no different versions of a rate.
    return f"{value.normalize():f}"


def _known_zone(name: str) -> str:
    if name not in _zones():
        msg = "is not the name of an IANA time zone, as Europe/London"
        raise ValueError(msg)
    return name


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _ALIASES


def _written_day(value: object) -> object:
    # Pydantic would also take a number of seconds, and "20250304" for one.
    if not isinstance(value, date) and not (isinstance(value, str) and _DAY.fullmatch(value)):
        msg = "must be a day as 2025-03-04"
        raise ValueError(msg)
    return value


def _written_moment(value: object) -> object:
    # Pydantic would also take seconds since 1970.
    if not isinstance(value, datetime) and not (isinstance(value, str) and _TIME.match(value)):
        msg = "must be a time as 2026-03-04T17:00:00Z"
        raise ValueError(msg)
    return value


def _not_remote(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        msg = f"must lie between {_FIRST_YEAR} and {_LAST_YEAR}"
        raise ValueError(msg)
    return moment


Number = BeforeValidator(_plain)
_Out = PlainSerializer(_shortest_text, return_type=str)
_OutSchema = WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization")

Price = Annotated[
    Decimal, Number, _Out, _OutSchema, Field(ge=0, le=1_000_000, decimal_places=9, examples=[0.12])
]
"""Per kWh, in the rate's currency."""
SignedPrice = Annotated[
    Decimal, Number, _Out, _OutSchema, Field(ge=-1_000_000, le=1_000_000, decimal_places=9)
]
"""Of an index: it may be negative."""
PricePerMwh = Annotated[
    Decimal, Number, _Out, _OutSchema, Field(ge=-1_000_000, le=1_000_000, decimal_places=6)
]
Charge = Annotated[
    Decimal, Number, _Out, _OutSchema, Field(ge=0, le=1_000_000_000, decimal_places=6)
]
"""A sum of money, or per kW."""
SignedCharge = Annotated[
    Decimal, Number, _Out, _OutSchema, Field(ge=-1_000_000_000, le=1_000_000_000, decimal_places=6)
]
"""Of a credit: a negative one adds to the bill."""
Percent = Annotated[Decimal, Number, _Out, _OutSchema, Field(ge=0, le=100, decimal_places=6)]
Quantity = Annotated[
    Decimal, Number, _Out, _OutSchema, Field(gt=0, le=1_000_000_000_000, decimal_places=6)
]
PowerW = Annotated[Decimal, Number, Field(ge=0, le=10_000_000_000, decimal_places=6)]
Kwh = Annotated[Decimal, Number, Field(ge=-1_000_000_000, le=1_000_000_000, decimal_places=9)]
"""Negative where more was fed in than drawn."""
Whole = Annotated[int, Number]
Day = Annotated[date, BeforeValidator(_written_day)]
Moment = Annotated[datetime, BeforeValidator(_written_moment), AfterValidator(_not_remote)]
"""With an offset, or without one in a zone that the context names."""
AwareMoment = Annotated[
    AwareDatetime, BeforeValidator(_written_moment), AfterValidator(_not_remote)
]
"""With an offset."""
Zone = Annotated[
    str, Field(max_length=64, examples=["America/New_York"]), AfterValidator(_known_zone)
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]

Amount = Annotated[Decimal, PlainSerializer(_decimal_text, return_type=str), _OutSchema]
"""A number as it is shown."""
Rounded = Annotated[
    Decimal,
    PlainSerializer(_six_places, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{6}$"}, mode="serialization"),
]
"""A sum of money, of energy or of power as it is shown: always with six places."""
