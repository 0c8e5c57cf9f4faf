"""The miner models that bitcoin is calculated for, and what each makes of a MWh at any time.

Their figures come from the calculator's catalogue by event, difficulty and subsidy from its epochs;
there is no figure here to fall back on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.errors import Invalid, Unavailable
from common.runtime import Runtime
from energy.domain.settlement import HALF_HOUR, Period, periods_of
from energy.domain.wind import btc_per_mwh
from energy.facts.models import MinerModel, NetworkEpoch
from energy.facts.reading import epoch_at, epochs_between, in_force, model_named

RATE_COLUMNS = (
    "settlement_period", "miner_model", "btc_per_mwh", "difficulty", "subsidy_btc",
    "epoch_height", "model_id", "hashrate_ths", "power_w", "simulated",
)  # fmt: skip


class MinerModelUnknown(Invalid):
    title: ClassVar[str] = "No such miner model"


class DifficultyUnavailable(Unavailable):
    title: ClassVar[str] = "The difficulty at that time is not known"


@dataclass(frozen=True, slots=True)
class Miner:
    """A miner model under the name that its results carry."""

    name: str
    model_id: UUID
    hashrate_ths: Decimal
    power_w: Decimal


async def miners_named(runtime: Runtime, names: Sequence[str], usual: Sequence[str]) -> list[Miner]:
    """Return the shared models of some names or aliases.

    A model that is one of the usual ones carries that name, whatever it was asked by.

    Raises:
        MinerModelUnknown: the calculator knows none of such a name.
    """
    # A tenant's own model must not change what everybody sees: the platform's session sees none.
    async with runtime.tenant_session(PLATFORM_ORGANISATION) as session:
        labels = {
            model.id: name
            for name in reversed(usual)
            if (model := await model_named(session, name)) is not None
        }
        found: dict[UUID, Miner] = {}
        for name in names:
            model = await model_named(session, name)
            if model is None:
                raise MinerModelUnknown(
                    f"The calculator knows no miner model named {name[:80]!r}.", field="models"
                )
            found.setdefault(model.id, _miner(labels.get(model.id, model.name), model))
    return list(found.values())


def _miner(name: str, model: MinerModel) -> Miner:
    # The event's number, not its binary neighbour.
    hashrate, power = Decimal(str(model.hashrate_ths)), Decimal(str(model.power_w))
    return Miner(name, model.id, hashrate, power)


async def epochs_of(session: AsyncSession, day: date) -> dict[int, NetworkEpoch]:
    """Return the epoch in force at the start of each period of a day; unknown ones are missing."""
    periods = periods_of(day)
    epochs = await epochs_between(
        session, periods[0].start, periods[-1].start + 30 * 48 * HALF_HOUR
    )
    found = {one.number: await _epoch(session, epochs, one) for one in periods}
    return {number: epoch for number, epoch in found.items() if epoch is not None}


async def _epoch(
    session: AsyncSession, epochs: Sequence[NetworkEpoch], period: Period
) -> NetworkEpoch | None:
    known = in_force(epochs, period.start, seen_until=None)
    if known is None and epochs and period.start >= epochs[-1].started_at:
        return await epoch_at(session, period.start)  # a quote may name its difficulty still
    return known


def rates_of(epochs: dict[int, NetworkEpoch], miners: Sequence[Miner]) -> list[tuple[object, ...]]:
    """Return a row of RATE_COLUMNS for each period with a known epoch, and each miner."""
    return [
        (
            number,
            miner.name,
            _rate(miner.hashrate_ths, miner.power_w, epoch.difficulty, epoch.subsidy_btc),
            epoch.difficulty,
            epoch.subsidy_btc,
            epoch.height,
            miner.model_id,
            miner.hashrate_ths,
            miner.power_w,
            epoch.simulated,
        )
        for number, epoch in sorted(epochs.items())
        for miner in miners
    ]


_rate = lru_cache(maxsize=4096)(btc_per_mwh)
