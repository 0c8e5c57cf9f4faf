"""How amounts of money leave: as text, rounded half up; USD to 6 places, BTC to 8."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import PlainSerializer


def _text(places: int) -> PlainSerializer:
    quantum = Decimal(1).scaleb(-places)
    return PlainSerializer(
        lambda amount: f"{amount.quantize(quantum, ROUND_HALF_UP):f}", return_type=str
    )


Usd = Annotated[Decimal, _text(6)]
Btc = Annotated[Decimal, _text(8)]
