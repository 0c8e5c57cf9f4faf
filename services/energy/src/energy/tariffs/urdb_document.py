"""The members of a Utility Rate Database document that make a bill, read as hostile input."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, BeforeValidator, Field

from common.errors import Invalid

Number = Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000)]
Slot = Annotated[int, Field(ge=0, le=200)]
Grid = Annotated[
    list[Annotated[list[Slot], Field(min_length=24, max_length=24)]],
    Field(min_length=12, max_length=12),
]
NINE = Decimal("1e-9")
SIX = Decimal("1e-6")


class DocumentRefused(Invalid):
    title: ClassVar[str] = "The document says what no rate here can"


class EnergyTier(BaseModel):
    """A step of a period's energy price."""

    max: Annotated[Decimal, Field(gt=0, le=1_000_000_000_000)] | None = None
    unit: str = "kWh"
    rate: Number = Decimal(0)
    adj: Number = Decimal(0)
    sell: Annotated[Decimal, Field(ge=0, le=1_000_000_000)] | None = None

    def price(self) -> Decimal:
        """Return the price with its adjustment."""
        return short(self.rate + self.adj)


class DemandTier(BaseModel):
    """A step of a period's demand charge."""

    max: Annotated[Decimal, Field(gt=0, le=1_000_000_000_000)] | None = None
    rate: Number = Decimal(0)
    adj: Number = Decimal(0)


def _kept(value: object) -> object:
    # Absent lists come as null in some exports.
    return [] if value is None else value


EnergyStructure = list[Annotated[list[EnergyTier], Field(min_length=1, max_length=50)]]
DemandStructure = Annotated[
    list[Annotated[list[DemandTier], Field(min_length=1, max_length=50)]], BeforeValidator(_kept)
]


class UrdbRate(BaseModel):
    """The members of a document that make a bill; all others are left unread."""

    name: str | None = None
    utility: str | None = None
    label: str | None = None
    description: str | None = None
    energyratestructure: Annotated[EnergyStructure, Field(min_length=1, max_length=200)]
    energyweekdayschedule: Grid
    energyweekendschedule: Grid
    demandratestructure: DemandStructure = Field(default_factory=list[list[DemandTier]])
    demandweekdayschedule: Grid | None = None
    demandweekendschedule: Grid | None = None
    demandrateunit: str = "kW"
    demandwindow: int | None = None
    flatdemandstructure: DemandStructure = Field(default_factory=list[list[DemandTier]])
    flatdemandmonths: Annotated[list[Slot], Field(min_length=12, max_length=12)] | None = None
    flatdemandunit: str = "kW"
    fixedchargefirstmeter: Number = Decimal(0)
    fixedchargeunits: str = "$/month"
    fixedmonthlycharge: Number = Decimal(0)
    mincharge: Number = Decimal(0)
    minmonthlycharge: Number = Decimal(0)
    annualmincharge: Number = Decimal(0)
    minchargeunits: str = "$/month"
    dgrules: str | None = None
    usenetmetering: bool = False
    lookbackpercent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(0)
    lookbackrange: Annotated[int, Field(ge=0, le=60)] = 0
    lookbackmonths: list[Literal[0, 1]] | None = None

    def periods(self) -> list[int]:
        """Return the energy's periods that its schedule names; others have no hours."""
        grids = self.energyweekdayschedule, self.energyweekendschedule
        return sorted({period for grid in grids for month in grid for period in month})


def lower_names(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with its members' names as the database writes them, absent ones out."""
    return {name.lower(): value for name, value in document.items() if value is not None}


def only_rate(document: object) -> dict[str, Any]:
    """Return the rate of a document; the database's answers wrap it in `items`.

    Raises:
        DocumentRefused: it is none, or several.
    """
    if isinstance(document, dict):
        found = cast("dict[str, Any]", document)
        items = found.get("items")
        if not isinstance(items, list):
            return found
        several = cast("list[Any]", items)
        if len(several) == 1 and isinstance(several[0], dict):
            return cast("dict[str, Any]", several[0])
    raise DocumentRefused("The document must be one rate.", field="document")


def refusal(field: str, why: str) -> DocumentRefused:
    """Return the refusal of a member of the document."""
    place = {"pointer": f"/body/document/{field}", "detail": why, "code": "not_supported"}
    return DocumentRefused(f"{field}: {why}.", field=field, errors=[place])


def short(value: Decimal) -> Decimal:
    """Return a price without what a binary float has left behind its ninth place."""
    return value.quantize(NINE).normalize() + 0


def limits_of(name: str, period: Sequence[EnergyTier | DemandTier]) -> list[Decimal | None]:
    """Return where a period's steps end, the last of them nowhere.

    Raises:
        DocumentRefused: a step before the last has no end, or the last has one.
    """
    *limits, last = [tier.max for tier in period]
    if None in limits:
        raise refusal(name, "a step before the last has no max")
    if last is not None:
        raise refusal(name, "the last step has a max, and nothing is said of what lies beyond")
    return [limit.quantize(SIX) if limit is not None else None for limit in [*limits, last]]


Steps = tuple[tuple[Decimal | None, Decimal], ...]
"""Of a demand charge: until how many kW, and how much per kW."""


def demand_steps(name: str, structure: Sequence[Sequence[DemandTier]], place: int) -> Steps:
    """Return a period's charge per kW by its steps; none where demand is free.

    Raises:
        DocumentRefused: there is no such period, or its steps do not end as steps do.
    """
    if place >= len(structure):
        raise refusal(name, f"has no period {place}, which its schedule names")
    period = structure[place]
    limits = limits_of(name, period)
    charges = [(tier.rate + tier.adj).quantize(SIX).normalize() + 0 for tier in period]
    if len(set(charges)) == 1:
        return ((None, charges[0]),) if charges[0] else ()
    return tuple(zip(limits, charges, strict=True))


def monthly_steps(rate: UrdbRate) -> list[Steps]:
    """Return the monthly demand charge of each month.

    Raises:
        DocumentRefused: it has several, and no months for them, or `demand_steps` refuses one.
    """
    if not rate.flatdemandstructure:
        return [()] * 12
    if rate.flatdemandmonths is None and len(rate.flatdemandstructure) > 1:
        raise refusal("flatdemandmonths", "is missing beside several of flatdemandstructure")
    months = rate.flatdemandmonths or [0] * 12
    return [demand_steps("flatdemandstructure", rate.flatdemandstructure, one) for one in months]


def rows_of(steps: Steps) -> list[dict[str, Any]]:
    """Return steps as they stand in a rate of ours."""
    return [{"up_to_kw": top, "usd_per_kw": charge} for top, charge in steps]


def charges_by_hours(rate: UrdbRate) -> bool:
    """Return whether demand costs anything by the hour."""
    return any(tier.rate + tier.adj for period in rate.demandratestructure for tier in period)
