"""Two bills of one period beside each other, and why they differ: pure.

The causes of all differences add up to the whole difference exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

Kind = Literal["energy", "demand", "fixed", "tax", "credit", "unknown"]
Cause = Literal[
    "energy_kwh", "energy_rate", "demand_kw", "demand_rate", "without_quantity", "fixed_charges",
    "taxes", "credits", "unknown_lines",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = ("energy", "demand", "fixed", "tax", "credit", "unknown")
CAUSES: Final[tuple[Cause, ...]] = (
    "energy_kwh", "energy_rate", "demand_kw", "demand_rate", "without_quantity", "fixed_charges",
    "taxes", "credits", "unknown_lines",
)  # fmt: skip
UNITS: Final[dict[Kind, str]] = {"energy": "kWh", "demand": "kW"}
_ONE_CAUSE: Final[dict[Kind, Cause]] = {
    "fixed": "fixed_charges", "tax": "taxes", "credit": "credits", "unknown": "unknown_lines",
}  # fmt: skip
_PLACES = Decimal("0.000001")
_RATE_PLACES = Decimal("1e-9")
ZERO = Decimal("0.000000")


@dataclass(frozen=True, slots=True)
class BillLine:
    """A line of either bill. A credit's amount is negative."""

    kind: Kind
    name: str
    quantity: Decimal | None
    """In kWh or kW; None: the line states none, or in another unit."""
    rate: Decimal | None
    amount: Decimal
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """The lines of one kind (and one name, where both bills use it) on either side."""

    kind: Kind
    name: str | None
    """None: all lines of the kind that have no namesake."""
    unit: str | None
    their_quantity: Decimal | None
    our_quantity: Decimal | None
    their_rate: Decimal | None
    our_rate: Decimal | None
    their_amount: Decimal
    our_amount: Decimal
    causes: dict[Cause, Decimal]

    @property
    def difference(self) -> Decimal:
        """Return theirs less ours."""
        return self.their_amount - self.our_amount


def compare(theirs: Sequence[BillLine], ours: Sequence[BillLine]) -> list[Difference]:
    """Return what stands on either side, kind by kind; kinds that neither has are left out."""
    found: list[Difference] = []
    for kind in KINDS:
        their_lines = [line for line in theirs if line.kind == kind]
        our_lines = [line for line in ours if line.kind == kind]
        shared = _names(their_lines) & _names(our_lines) if kind in UNITS else set[str]()
        for name in [*sorted(shared), None]:
            pair = (_bucket(their_lines, name, shared), _bucket(our_lines, name, shared))
            if pair[0] or pair[1]:
                found.append(_difference(kind, name, *pair))
    return found


def sums(differences: Iterable[Difference]) -> dict[Cause, Decimal]:
    """Return the whole difference by cause."""
    total = dict.fromkeys(CAUSES, ZERO)
    for one in differences:
        for cause, amount in one.causes.items():
            total[cause] += amount
    return total


def _names(lines: Iterable[BillLine]) -> set[str]:
    return {folded(line.name) for line in lines}


def folded(name: str) -> str:
    """Return a name without regard to case and spacing."""
    return " ".join(name.casefold().split())


def _bucket(lines: Iterable[BillLine], name: str | None, shared: set[str]) -> list[BillLine]:
    if name is None:
        return [line for line in lines if folded(line.name) not in shared]
    return [line for line in lines if folded(line.name) == name]


def _difference(
    kind: Kind, name: str | None, theirs: Sequence[BillLine], ours: Sequence[BillLine]
) -> Difference:
    their_quantity, our_quantity = (_quantity(kind, lines) for lines in (theirs, ours))
    their_amount, our_amount = (
        sum((line.amount for line in lines), ZERO) for lines in (theirs, ours)
    )
    made = Difference(
        kind=kind,
        name=name if not ours or name is None else ours[0].name,
        unit=UNITS.get(kind),
        their_quantity=their_quantity,
        our_quantity=our_quantity,
        their_rate=_rate(their_amount, their_quantity),
        our_rate=_rate(our_amount, our_quantity),
        their_amount=their_amount,
        our_amount=our_amount,
        causes={},
    )
    made.causes.update(_causes(made))
    return made


def _quantity(kind: Kind, lines: Sequence[BillLine]) -> Decimal | None:
    """Return the sum of what the lines state; None where one of them states nothing."""
    if kind not in UNITS:
        return None
    known = [line.quantity for line in lines if line.quantity is not None]
    return sum(known, ZERO) if len(known) == len(lines) else None


def _rate(amount: Decimal, quantity: Decimal | None) -> Decimal | None:
    if not quantity:
        return None
    return (amount / quantity).quantize(_RATE_PLACES, ROUND_HALF_UP)


def _causes(one: Difference) -> dict[Cause, Decimal]:
    """Return why the two sides differ: other quantity at our rate, and the rest by the rate."""
    whole = one.difference
    if one.kind == "energy":
        by_quantity, by_rate = "energy_kwh", "energy_rate"
    elif one.kind == "demand":
        by_quantity, by_rate = "demand_kw", "demand_rate"
    else:
        return {_ONE_CAUSE[one.kind]: whole}
    if one.their_quantity is None or one.our_quantity is None:
        return {"without_quantity": whole}
    if not one.our_quantity:
        # A kind that our bill lacks has no rate of ours: all of it is quantity.
        return {by_quantity: whole}
    more = one.their_quantity - one.our_quantity
    amount = (more * one.our_amount / one.our_quantity).quantize(_PLACES, ROUND_HALF_UP)
    return {by_quantity: amount, by_rate: whole - amount}
