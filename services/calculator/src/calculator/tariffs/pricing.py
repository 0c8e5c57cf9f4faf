"""Which tariff a calculation means, and what a kilowatt-hour costs by it on average.

Bills are the energy service's. Here one figure stands for a tariff: its mean energy price over a
week, as the energy service published it, without service and demand charges.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.tariffs.models import Tariff

WEEK = timedelta(days=7)
Field = Literal["rate_id", "site_id"]
FIELDS: tuple[Field, Field] = ("rate_id", "site_id")
"""By which a tariff is asked for."""
INSTEAD = "Give electricity_usd_per_kwh instead."
ENERGY_ONLY = (
    "Electricity is a tariff's mean energy price over a week; service and demand charges are not "
    "part of it."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tariff as a caller names it: by its id, or by a site."""

    field: Field
    id: str


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why there is no price: the code and the sentence of an error."""

    code: Literal["rate_unknown", "rate_varies", "currency_unknown"]
    detail: str


@dataclass(frozen=True, slots=True)
class Price:
    """What a tariff costs, and which one it was."""

    rate_id: str
    rate_version: int
    name: str
    currency: str
    per_kwh: float
    """In `currency`."""
    said_at: str
    steady: bool
    """Whether the mean is the same in every week."""

    def age_s(self, now: datetime) -> float:
        """Return how long ago the mean was published."""
        return max(0.0, (now - datetime.fromisoformat(self.said_at)).total_seconds())

    def is_stale(self, now: datetime) -> bool:
        """Return whether the week of the mean is over, and the next may cost something else."""
        return not self.steady and self.age_s(now) > WEEK.total_seconds()


Answer = Price | Unpriced
Answers = Mapping[Wanted, Answer]


def document_of(answers: Answers) -> list[dict[str, Any]]:
    """Return answers as JSON."""
    return [
        asdict(wanted) | {"price" if isinstance(answer, Price) else "unpriced": asdict(answer)}
        for wanted, answer in answers.items()
    ]


def answers_of(document: Iterable[Mapping[str, Any]]) -> dict[Wanted, Answer]:
    """Return what `document_of` made."""
    return {
        Wanted(one["field"], one["id"]): Price(**one["price"])
        if "price" in one
        else Unpriced(**one["unpriced"])
        for one in document
    }


NOT_ALLOWED = Unpriced(
    "rate_unknown", f"Calculating with a tariff needs the permission tariffs:read. {INSTEAD}"
)


async def priced(session: AsyncSession, wanted: Collection[Wanted]) -> dict[Wanted, Answer]:
    """Return the price of each tariff that the session's organisation may mean, or why none."""
    ids = {one: _uuid(one.id) for one in wanted}
    by_rate = [found for one, found in ids.items() if found and one.field == "rate_id"]
    by_site = [found for one, found in ids.items() if found and one.field == "site_id"]
    if not by_rate and not by_site:
        return {one: _unknown(one) for one in wanted}
    concerned = Tariff.rate_id.in_(by_rate)
    if by_site:
        here = or_(Tariff.site_id.in_(by_site), Tariff.site_id.is_(None))
        concerned = or_(concerned, Tariff.active & here)
    rows = await session.scalars(
        select(Tariff)
        .where(Tariff.removed.is_(False), concerned)
        .order_by(Tariff.changed_at.desc(), Tariff.rate_id)
    )
    tariffs = list(rows)
    return {one: _answer(one, found, tariffs) for one, found in ids.items()}


def _answer(wanted: Wanted, id_: UUID | None, tariffs: Sequence[Tariff]) -> Answer:
    if id_ is None:
        return _unknown(wanted)
    if wanted.field == "rate_id":
        found = _first(one for one in tariffs if one.rate_id == id_)
        return _unknown(wanted) if found is None else _price(found)
    return _at_site(wanted, id_, [one for one in tariffs if one.active])


def _at_site(wanted: Wanted, site_id: UUID, active: Sequence[Tariff]) -> Answer:
    """Return what holds at a site: its own rate, else the organisation's default.

    Which sites a location has is not known here: where rates hold for locations, only a site's
    own rate can be told.
    """
    own = _first(one for one in active if one.site_id == site_id)
    if own is not None:
        return _price(own)
    if any(one.site_id is None and one.location for one in active):
        return Unpriced(
            "rate_unknown",
            "The site has no rate of its own, and there are rates for locations. Name the tariff "
            "by rate_id, or give electricity_usd_per_kwh.",
        )
    default = _first(one for one in active if one.site_id is None)
    return _unknown(wanted) if default is None else _price(default)


def _price(tariff: Tariff) -> Answer:
    if tariff.mean_per_kwh is None:
        return Unpriced(
            "rate_varies",
            f"What tariff {tariff.name!r} costs depends on an index or on how much is used. "
            f"{INSTEAD}",
        )
    return Price(
        rate_id=str(tariff.rate_id),
        rate_version=tariff.rate_version,
        name=tariff.name,
        currency=tariff.currency,
        per_kwh=float(tariff.mean_per_kwh),
        said_at=tariff.changed_at.isoformat(),
        steady=tariff.rate_type == "flat",
    )


def _unknown(wanted: Wanted) -> Unpriced:
    named = "There is no tariff" if wanted.field == "rate_id" else "No tariff is in force at site"
    return Unpriced("rate_unknown", f"{named} {wanted.id}. {INSTEAD}")


def _first(tariffs: Iterable[Tariff]) -> Tariff | None:
    return next(iter(tariffs), None)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
