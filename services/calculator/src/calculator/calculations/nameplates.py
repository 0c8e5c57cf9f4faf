"""What is printed on a model, by whatever name a caller uses for it."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.domain.naming import fold
from calculator.miner_models.models import MinerModel, MinerModelName
from calculator.miner_models.registry import MinerModelNotFound
from common.auth import PLATFORM_ORGANISATION, Principal
from common.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Nameplate:
    """A model's name, hashrate, power, and what it costs if that is known."""

    name: str
    hashrate_ths: float
    power_w: float
    reference_price_usd: float | None


@dataclass(frozen=True, slots=True)
class Wall:
    """Whose models and tariffs are meant: an operator's, as one of its clients sees them if so."""

    organisation_id: UUID
    client_id: UUID | None
    tariffs: bool
    """Whether the operator's tariffs may be calculated with: they are not a client's to see."""

    @classmethod
    def of(cls, caller: Principal) -> "Wall":
        """Return the wall that a caller stands behind."""
        tariffs = caller.client_id is None and "tariffs:read" in caller.scopes
        return cls(caller.organisation_id, caller.client_id, tariffs)


_PUBLIC_S = 5.0
_public: WeakKeyDictionary[Runtime, dict[str, tuple[float, Nameplate]]] = WeakKeyDictionary()
"""Shared models for callers without a login, who may ask often: at most so many seconds old."""


async def nameplate(runtime: Runtime, caller: Principal, name: str) -> Nameplate:
    """Return the nameplate of one model.

    Raises:
        MinerModelNotFound: nothing that the caller may see has this name or id.
    """
    folded = fold(name)
    public = _public.setdefault(runtime, {}) if caller.kind == "anonymous" else {}
    read_at, plate = public.get(folded, (-_PUBLIC_S, None))
    if plate is not None and time.monotonic() - read_at < _PUBLIC_S:
        return plate
    found = (await find(runtime, Wall.of(caller), [name])).get(folded)
    if found is None:
        raise MinerModelNotFound(
            f"There is no miner model {name!r}; GET /api/calculator/miner-models lists them.",
            field="model",
        )
    public[folded] = time.monotonic(), found
    return found


async def find(runtime: Runtime, wall: Wall, names: Collection[str]) -> dict[str, Nameplate]:
    """Return the known ones of these names, in a transaction of its own; see `nameplates`."""
    async with runtime.tenant_session(wall.organisation_id, wall.client_id) as session:
        return await nameplates(session, names)


async def nameplates(session: AsyncSession, names: Collection[str]) -> dict[str, Nameplate]:
    """Return the known ones of these names, aliases and ids, by the folded name.

    Where an organisation has given a shared name to a model of its own, its own is meant.
    """
    wanted = {fold(name) for name in names}
    ids = {one: folded for folded in wanted if (one := _id(folded)) is not None}
    named = (
        select(MinerModelName.name, MinerModel)
        .join(MinerModel, MinerModel.id == MinerModelName.model_id)
        .where(MinerModelName.name.in_(wanted), MinerModel.removed_at.is_(None))
    )
    rows = [(row[0], row[1]) for row in await session.execute(named)]
    if ids:
        by_id = select(MinerModel).where(MinerModel.id.in_(ids), MinerModel.removed_at.is_(None))
        rows += [(ids[model.id], model) for model in await session.scalars(by_id)]
    rows.sort(key=lambda row: row[1].organisation_id != PLATFORM_ORGANISATION)  # the own ones stay
    return {name: _plate(model) for name, model in rows}


def _plate(model: MinerModel) -> Nameplate:
    price = model.reference_price_usd
    return Nameplate(
        name=model.name,
        hashrate_ths=float(model.hashrate_ths),
        power_w=float(model.power_w),
        reference_price_usd=None if price is None else float(price),
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
