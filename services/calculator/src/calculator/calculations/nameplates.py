"""What is printed on a model, by whatever name a caller uses for it."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.domain.naming import fold
from calculator.miner_models.models import MinerModel, MinerModelName
from calculator.miner_models.registry import MinerModelNotFound
from common.auth import PLATFORM_ORGANISATION


@dataclass(frozen=True, slots=True)
class Nameplate:
    """A model's name, hashrate, power, and what it costs if that is known."""

    name: str
    hashrate_ths: float
    power_w: float
    reference_price_usd: float | None


async def nameplate(session: AsyncSession, name: str) -> Nameplate:
    """Return the nameplate of one model.

    Raises:
        MinerModelNotFound: nothing that the caller may see has this name or id.
    """
    found = await nameplates(session, [name])
    if fold(name) not in found:
        raise MinerModelNotFound(
            f"There is no miner model {name!r}; GET /api/calculator/miner-models lists them.",
            field="model",
        )
    return found[fold(name)]


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
