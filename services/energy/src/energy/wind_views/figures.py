"""How figures are written: exact decimals as text, never with an exponent."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Annotated, Literal

from pydantic import PlainSerializer, WithJsonSchema

Currency = Literal["GBP", "USD"]
_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization")
_DIGITS = 80


def rounded(value: Decimal, places: int) -> Decimal:
    """Return a number with so many places, halves to even; a zero has no sign."""
    with localcontext(prec=_DIGITS):
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN) + 0


def _text(places: int) -> PlainSerializer:
    return PlainSerializer(lambda value: f"{rounded(value, places):f}", return_type=str)


Mwh = Annotated[Decimal, _text(6), _SCHEMA]
Money = Annotated[Decimal, _text(6), _SCHEMA]
Bitcoin = Annotated[Decimal, _text(8), _SCHEMA]
BitcoinRate = Annotated[Decimal, _text(14), _SCHEMA]
"""Of one MWh, or of one machine: there a satoshi would be too coarse."""
Difficulty = Annotated[Decimal, _text(6), _SCHEMA]
Percent = Annotated[Decimal, _text(4), _SCHEMA]
Quantity = Annotated[Decimal, _text(6), _SCHEMA]


def ratio(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Return part / whole, or None where one is unknown or the whole is nothing."""
    return None if part is None or not whole else part / whole


def percent(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Return how many percent of a whole a part is, or None where that is unknown."""
    share = ratio(part, whole)
    return None if share is None else share * 100
