"""Bitcoin held in lots: what a sale takes from which lot, and what that had cost.

A lot is an amount received at one moment at one price; its cost is what it was worth then (mined
bitcoin is income at that price). Money is kept to six places, bitcoin to eight, rounded half up;
what rounding leaves over stays in the lots, so that no cent is ever lost: the costs of all that
was sold and of all that is held always add up to the costs of all that was received.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from enum import StrEnum
from uuid import UUID

CENT = Decimal("0.000001")
SATOSHI = Decimal("0.00000001")
ZERO = Decimal(0)
_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
"""Wide enough for every product of an amount and a price before it is rounded once."""


class CostBasis(StrEnum):
    """Which lots a sale takes first, and at what cost."""

    FIFO = "fifo"
    """The oldest lot first, each at its own cost."""
    AVERAGE = "average"
    """Every bitcoin at the average cost of all that is held; the oldest lot gives it."""
    SPECIFIC = "specific"
    """The lots that the seller names, each at its own cost."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What is left of a lot."""

    lot_id: UUID
    received_at: datetime
    btc: Decimal
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Taken:
    """What a sale takes from one lot."""

    lot_id: UUID
    btc: Decimal
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Sale:
    """What a sale takes, and what all the lots that were offered hold after it."""

    taken: tuple[Taken, ...]
    left: tuple[Holding, ...]

    @property
    def cost_usd(self) -> Decimal:
        """What the bitcoin sold had cost."""
        return sum((one.cost_usd for one in self.taken), ZERO)


class NotEnough(Exception):
    """More is to be sold than is held."""

    def __init__(self, wanted_btc: Decimal, held_btc: Decimal) -> None:
        super().__init__(f"{wanted_btc} BTC are to be sold, {held_btc} BTC are held.")
        self.wanted_btc = wanted_btc
        self.held_btc = held_btc


class WrongLots(Exception):
    """The lots that were named do not make up this sale."""


def money(value: Decimal) -> Decimal:
    """Return an amount of money to six places, half up."""
    return value.quantize(CENT, rounding=ROUND_HALF_UP, context=_EXACT)


def bitcoin(value: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Return an amount of bitcoin to eight places."""
    return value.quantize(SATOSHI, rounding=rounding, context=_EXACT)


def worth(btc: Decimal, price_usd: Decimal) -> Decimal:
    """Return what an amount of bitcoin is worth at a price."""
    return money(_EXACT.multiply(btc, price_usd))


def part(whole: Decimal, numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the share of an amount of money; where the share is 1, all to the last place."""
    if numerator == denominator:
        return whole
    with localcontext(_EXACT):
        return money(whole * numerator / denominator)


def realised_usd(proceeds_usd: Decimal, fee_usd: Decimal, cost_usd: Decimal) -> Decimal:
    """Return the profit (or loss, below zero) of a sale: proceeds less fee less cost."""
    return money(proceeds_usd - fee_usd - cost_usd)


def held_btc(holdings: Iterable[Holding]) -> Decimal:
    """Return how much is held together."""
    return sum((one.btc for one in holdings), ZERO)


def held_cost_usd(holdings: Iterable[Holding]) -> Decimal:
    """Return what all that is held had cost."""
    return sum((one.cost_usd for one in holdings), ZERO)


def average_cost_usd(holdings: Sequence[Holding]) -> Decimal | None:
    """Return what one held bitcoin had cost on average; None where none is held."""
    held = held_btc(holdings)
    if held == 0:
        return None
    with localcontext(_EXACT):
        return money(held_cost_usd(holdings) / held)


def sell(
    holdings: Sequence[Holding],
    btc: Decimal,
    method: CostBasis,
    chosen: Mapping[UUID, Decimal] | None = None,
) -> Sale:
    """Return what a sale takes. `chosen` names the lots and amounts of a specific-lot sale.

    Raises:
        NotEnough: the lots hold less.
        WrongLots: a specific-lot sale without lots, with others than these, or with another sum;
            or lots named where the method chooses them itself.
    """
    held = held_btc(holdings)
    if btc > held:
        raise NotEnough(btc, held)
    if method is CostBasis.SPECIFIC:
        return _sell_chosen(holdings, btc, chosen or {})
    if chosen:
        raise WrongLots(f"The cost basis {method} chooses the lots itself; name none.")
    sale = _sell_oldest(holdings, btc)
    return _at_average(holdings, sale, btc) if method is CostBasis.AVERAGE else sale


def _sell_oldest(holdings: Sequence[Holding], btc: Decimal) -> Sale:
    wanted: dict[UUID, Decimal] = {}
    missing = btc
    for one in sorted(holdings, key=lambda each: (each.received_at, each.lot_id)):
        give = min(one.btc, missing)
        if give > 0:
            wanted[one.lot_id] = give
            missing -= give
    return _take(holdings, wanted)


def _sell_chosen(holdings: Sequence[Holding], btc: Decimal, chosen: Mapping[UUID, Decimal]) -> Sale:
    held = {one.lot_id: one.btc for one in holdings}
    if not chosen:
        raise WrongLots("The cost basis is specific lots: name the lots that are sold.")
    if any(lot_id not in held for lot_id in chosen):
        raise WrongLots("A lot that was named is not among those that can be sold here.")
    for lot_id, amount in chosen.items():
        if amount > held[lot_id]:
            raise NotEnough(amount, held[lot_id])
    total = sum(chosen.values(), ZERO)
    if total != btc:
        raise WrongLots(f"The lots add up to {total} BTC, the sale to {btc} BTC.")
    return _take(holdings, chosen)


def _take(holdings: Sequence[Holding], wanted: Mapping[UUID, Decimal]) -> Sale:
    taken: list[Taken] = []
    left: list[Holding] = []
    for one in sorted(holdings, key=lambda each: (each.received_at, each.lot_id)):
        give = wanted.get(one.lot_id, ZERO)
        if give == 0:
            left.append(one)
            continue
        cost = part(one.cost_usd, give, one.btc)
        taken.append(Taken(one.lot_id, give, cost))
        left.append(replace(one, btc=one.btc - give, cost_usd=one.cost_usd - cost))
    return Sale(tuple(taken), tuple(left))


def _at_average(holdings: Sequence[Holding], sale: Sale, btc: Decimal) -> Sale:
    """Spread the pool's cost anew: over what is taken, and over what is left."""
    pool = held_cost_usd(holdings)
    sold = part(pool, btc, held_btc(holdings))
    taken_costs = _spread(sold, [one.btc for one in sale.taken])
    left_costs = _spread(pool - sold, [one.btc for one in sale.left])
    return Sale(
        tuple(
            replace(one, cost_usd=cost) for one, cost in zip(sale.taken, taken_costs, strict=True)
        ),
        tuple(replace(one, cost_usd=cost) for one, cost in zip(sale.left, left_costs, strict=True)),
    )


def _spread(whole: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Divide an amount by weight so that the parts add up to it exactly."""
    parts: list[Decimal] = []
    left, weight = whole, sum(weights, ZERO)
    for one in weights:
        share = part(left, one, weight) if weight else ZERO
        parts.append(share)
        left, weight = left - share, weight - one
    return parts
