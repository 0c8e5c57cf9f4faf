"""What a machine of some model is rated for: from the registry, or as its owner says."""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.errors import Invalid
from hosting.miners.models import MinerModel


class UnknownModel(Invalid):
    title: ClassVar[str] = "The model is not in the registry"


@dataclass(frozen=True, slots=True)
class Nameplate:
    """A model's name and rating."""

    model: str
    hashrate_ths: float
    power_w: float


class Nameplates:
    """The models that a tenant may name, by every name they have, without regard to case."""

    def __init__(self, models: list[MinerModel]) -> None:
        self._by_name: dict[str, Nameplate] = {}
        # The platform's first: whatever a tenant calls a model of its own takes their place.
        shared = [one for one in models if one.organisation_id == PLATFORM_ORGANISATION]
        own = [one for one in models if one.organisation_id != PLATFORM_ORGANISATION]
        for owned in (shared, own):
            for model in owned:
                for alias in model.aliases:
                    self._by_name[fold(alias)] = _plate(model)
            for model in owned:  # names after aliases: no model hides another's name
                self._by_name[fold(model.name)] = _plate(model)

    def of(self, model: str, hashrate_ths: float | None, power_w: float | None) -> Nameplate:
        """Return the rating of a machine; what its owner says of it counts more.

        Raises:
            UnknownModel: nobody knows the model, and the owner gave no rating.
        """
        known = self._by_name.get(fold(model))
        if known is not None:
            return Nameplate(
                known.model, hashrate_ths or known.hashrate_ths, power_w or known.power_w
            )
        if hashrate_ths is None or power_w is None:
            raise UnknownModel(
                f"The model {model!r} is not in the registry: give hashrate_ths and power_w, "
                "or a name that the calculator lists.",
                field="model",
            )
        return Nameplate(model, hashrate_ths, power_w)


def _plate(model: MinerModel) -> Nameplate:
    return Nameplate(model.name, model.hashrate_ths, model.power_w)


async def known_nameplates(session: AsyncSession) -> Nameplates:
    """Return the models of the platform and of the caller's organisation."""
    return Nameplates(list(await session.scalars(select(MinerModel).where(~MinerModel.removed))))


def fold(name: str) -> str:
    """Return a model's name without regard to case and spacing."""
    return " ".join(name.casefold().split())
