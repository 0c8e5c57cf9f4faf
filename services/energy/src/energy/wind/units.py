"""The register of BM units: which are wind, whose they are and of which farm, and since when."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, ClassVar

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import NotFound
from common.ids import new_id
from energy.domain.settlement import EARLIEST_DAY
from energy.domain.wind import WIND
from energy.wind.answers import Unit
from energy.wind.models import BmUnit

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7201504)")
_PART = re.compile(
    r"[\s,\-]*\b(?:bmu|module|unit|phase|wf|wind ?farm|windfarm)?[\s\-]*"
    r"(?:\d{1,2}|[ivx]{1,4}|[a-d])?\s*$",
    re.IGNORECASE,
)
_LABELS = (
    "lead_party_name", "lead_party_id", "fuel_type", "bm_unit_type", "name",
    "national_grid_bm_unit", "generation_capacity_mw",
)  # fmt: skip
_OWNERSHIP = ("lead_party_name", "fuel_type")
"""What a day's rows and sums depend on: a change of these opens a new span of time."""


class UnitUnknown(NotFound):
    title: ClassVar[str] = "No such BM unit"


@dataclass(frozen=True, slots=True)
class Registered:
    """What the sums need to know of a unit on a day."""

    fuel_type: str | None
    lead_party_name: str


async def units_on(session: AsyncSession, day: date) -> dict[str, Registered]:
    """Return every unit that was registered on a day."""
    rows = await session.execute(
        select(BmUnit.bm_unit, BmUnit.fuel_type, BmUnit.lead_party_name).where(
            BmUnit.valid_from <= day, (BmUnit.valid_to.is_(None)) | (BmUnit.valid_to > day)
        )
    )
    return {unit: Registered(fuel, party) for unit, fuel, party in rows}


async def wind_units_on(session: AsyncSession, day: date) -> list[str]:
    """Return the wind units of a day, in order."""
    return sorted(
        name for name, one in (await units_on(session, day)).items() if one.fuel_type == WIND
    )


async def refresh(
    session: AsyncSession, told: Iterable[Unit], today: date, *, simulated: bool
) -> dict[str, int]:
    """Bring the register to what Elexon says; return how many units are new, changed and gone.

    A unit that is no longer told is kept: days before today still need it. The first register
    that is read holds for all of history, as Elexon tells no older one.
    """
    await session.execute(_ONE_AT_A_TIME)
    stored = {
        row.bm_unit: row
        for row in await session.scalars(select(BmUnit).where(BmUnit.valid_to.is_(None)))
    }
    counts = {"new": 0, "changed": 0, "units": 0}
    for unit in told:
        counts["units"] += 1
        current = stored.get(unit.bm_unit)
        if current is None:
            session.add(_opened(unit, EARLIEST_DAY, farm_of(unit), simulated=simulated))
            counts["new"] += 1
        else:
            counts["changed"] += _revised(session, current, unit, today, simulated=simulated)
    await session.flush()
    return counts


def _revised(
    session: AsyncSession, current: BmUnit, unit: Unit, today: date, *, simulated: bool
) -> bool:
    changed = [name for name in _LABELS if getattr(current, name) != getattr(unit, name)]
    if not changed:
        return False
    if not any(name in _OWNERSHIP for name in changed) or current.valid_from >= today:
        for name in changed:
            setattr(current, name, getattr(unit, name))
        return True
    current.valid_to = today
    farm = current.farm_name if current.farm_is_stated else farm_of(unit)
    opened = _opened(unit, today, farm, simulated=simulated)
    opened.farm_is_stated = current.farm_is_stated
    session.add(opened)
    return True


def _opened(unit: Unit, since: date, farm: str, *, simulated: bool) -> BmUnit:
    values: dict[str, Any] = asdict(unit)
    return BmUnit(
        id=new_id(),
        farm_name=farm,
        farm_is_stated=False,
        valid_from=since,
        valid_to=None,
        simulated=simulated,
        **values,
    )


def farm_of(unit: Unit) -> str:
    """Guess a unit's farm from its name, without what tells one part of a farm from another."""
    name = unit.name.strip()
    if name == unit.bm_unit:
        return re.sub(r"-\d+$", "", name)
    shorter = _PART.sub("", name).strip(" ,-")
    while shorter not in ("", name):
        name, shorter = shorter, _PART.sub("", shorter).strip(" ,-")
    return name


async def state_farm(session: AsyncSession, bm_unit: str, farm_name: str) -> BmUnit:
    """State which farm a unit belongs to; no guess replaces it.

    Raises:
        UnitUnknown: there is no such unit.
    """
    rows = list(
        await session.scalars(
            select(BmUnit).where(BmUnit.bm_unit == bm_unit).order_by(BmUnit.valid_from)
        )
    )
    if not rows:
        raise UnitUnknown(f"There is no BM unit {bm_unit[:40]!r}.", field="bm_unit")
    for row in rows:
        row.farm_name, row.farm_is_stated = farm_name, True
    await session.flush()
    return rows[-1]
