"""What every pool module gives: payouts, read strictly, and a word for what went wrong."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from common.errors import Invalid, Unavailable

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_PAYOUTS = 20_000


@dataclass(frozen=True, slots=True)
class Payout:
    """One payout that is confirmed. `place` is its number in the pool's answer, from 1."""

    place: int
    reference: str
    received_at: datetime
    btc: Decimal


@dataclass(frozen=True, slots=True)
class BadPayout:
    """An entry that is no payout, and why."""

    place: int
    detail: str


@dataclass(frozen=True, slots=True)
class Payouts:
    """What a pool said."""

    good: tuple[Payout, ...]
    bad: tuple[BadPayout, ...]
    simulated: bool


class PoolRefused(Invalid):
    title: ClassVar[str] = "The pool does not accept the token"


class PoolUnavailable(Unavailable):
    title: ClassVar[str] = "The pool does not answer as it should"


class PoolOff(Unavailable):
    title: ClassVar[str] = "This pool is switched off here"
