"""What a reader asks for beside the span: whose energy, which rows count, which miner model."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, cast

from fastapi import Depends, Path, Query
from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement

from common.errors import NotFound
from common.runtime import RuntimeDep
from energy.facts.reading import model_named
from energy.settings import Settings
from energy.wind.miners import MinerModelUnknown
from energy.wind.models import BmUnit, CurtailmentRecord
from energy.wind.schemas import TEXT
from energy.wind.summary_models import BitcoinYearlySummary, FarmDailySummary
from energy.wind_views.figures import Currency

SoFlag = Literal["true", "any"]
NO_MODEL = ""
"""For sums of which the bitcoin is not asked."""
MAX_NAME = 128


class NoWindData(NotFound):
    title: ClassVar[str] = "Nothing is known of this time"


class UnknownLeadParty(NotFound):
    title: ClassVar[str] = "No such lead party"


class UnknownFarm(NotFound):
    title: ClassVar[str] = "No such wind farm"


@dataclass(frozen=True, slots=True)
class Filter:
    """Whose energy is meant, and whether bids without the SO flag count too."""

    lead_party: str | None = None
    farm_id: str | None = None
    any_flag: bool = False

    @property
    def is_open(self) -> bool:
        """Return whether everybody's energy is meant."""
        return self.lead_party is None and self.farm_id is None

    def of_summaries(self) -> list[ColumnElement[bool]]:
        """Return the conditions on a farm's days."""
        table = FarmDailySummary
        return self._conditions(table.lead_party_name, table.farm_id)

    def of_records(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the accepted bids."""
        table = CurtailmentRecord
        conditions = self._conditions(table.lead_party_name, table.farm_id)
        return conditions if self.any_flag else [*conditions, table.so_flag.is_(True)]

    def _conditions(
        self, party: InstrumentedAttribute[str], farm: InstrumentedAttribute[str]
    ) -> list[ColumnElement[bool]]:
        wanted = ((party, self.lead_party), (farm, self.farm_id))
        return [column == value for column, value in wanted if value is not None]


LeadPartyQuery = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_NAME, pattern=TEXT, description="Only this lead party's"),
]
FarmQuery = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_NAME, pattern=TEXT, description="Only this BM unit's"),
]
SoFlagQuery = Annotated[
    SoFlag,
    Query(description="`any`: all accepted bids of wind; else those with the SO flag only"),
]
CurrencyQuery = Annotated[Currency, Query(description="Of the current price and the values")]


FarmId = Annotated[
    str, Path(min_length=1, max_length=MAX_NAME, pattern=TEXT, description="A BM unit's id")
]
PartyName = Annotated[
    str, Path(min_length=1, max_length=MAX_NAME, pattern=TEXT, description="A lead party's name")
]


def filter_of(
    so_flag: SoFlag, *, lead_party: str | None = None, farm_id: str | None = None
) -> Filter:
    """Return a filter as it is asked for."""
    return Filter(lead_party=lead_party, farm_id=farm_id, any_flag=so_flag == "any")


async def _of_party(lead_party: LeadPartyQuery = None, so_flag: SoFlagQuery = "true") -> Filter:
    return filter_of(so_flag, lead_party=lead_party)


async def _of_farm(
    lead_party: LeadPartyQuery = None, farm_id: FarmQuery = None, so_flag: SoFlagQuery = "true"
) -> Filter:
    return filter_of(so_flag, lead_party=lead_party, farm_id=farm_id)


async def _model(
    runtime: RuntimeDep,
    miner_model: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_NAME,
            pattern=TEXT,
            description="Name of a miner model; else the first that is calculated by itself",
        ),
    ] = None,
) -> str:
    return miner_model or cast("Settings", runtime.settings).miner_models()[0]


ModelQuery = Annotated[str, Depends(_model)]
PartyFilter = Annotated[Filter, Depends(_of_party)]
FarmFilter = Annotated[Filter, Depends(_of_farm)]


async def chosen_model(session: AsyncSession, name: str) -> str:
    """Return a miner model's name as the calculations spell it, whatever it was asked by.

    Raises:
        MinerModelUnknown: nobody knows it.
    """
    calculated = list(await session.scalars(select(BitcoinYearlySummary.miner_model).distinct()))
    by_name = {_folded(one): one for one in calculated}
    if _folded(name) in by_name:
        return by_name[_folded(name)]
    model = await model_named(session, name)
    if model is None:
        told = ", ".join(sorted(calculated)) or "none yet"
        raise MinerModelUnknown(
            f"There is no miner model {name[:80]!r}; calculated are: {told}.", field="miner_model"
        )
    known = [by_name[other] for other in map(_folded, model.aliases) if other in by_name]
    return known[0] if known else model.name


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


async def require_known(session: AsyncSession, wanted: Filter) -> None:
    """Refuse a lead party or farm that nobody knows: its nothing is no figure.

    Raises:
        UnknownLeadParty: no unit ever was its own, and nothing was curtailed in its name.
        UnknownFarm: the same of a unit.
    """
    unit, row = BmUnit, FarmDailySummary
    if wanted.lead_party is not None:
        named = or_(
            exists().where(unit.lead_party_name == wanted.lead_party),
            exists().where(row.lead_party_name == wanted.lead_party),
        )
        if not await session.scalar(select(named)):
            raise UnknownLeadParty(
                f"No wind farm has the lead party {wanted.lead_party!r}; "
                "GET /api/wind/lead-parties lists them."
            )
    if wanted.farm_id is not None:
        named = or_(
            exists().where(unit.bm_unit == wanted.farm_id),
            exists().where(row.farm_id == wanted.farm_id),
        )
        if not await session.scalar(select(named)):
            raise UnknownFarm(f"There is no wind unit {wanted.farm_id!r}.")
