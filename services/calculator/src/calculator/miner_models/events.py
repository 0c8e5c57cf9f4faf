"""What the registry of miner models publishes."""

from typing import ClassVar, Literal
from uuid import UUID

from common.events import Event


class MinerModelChanged(Event):
    """A model as it now is. `organisation_id` is the platform's for a shared one."""

    type: ClassVar[str] = "calculator.miner-model.changed.v1"
    aggregate: ClassVar[str] = "model_id"

    model_id: UUID
    name: str
    manufacturer: str
    aliases: list[str]
    hashrate_ths: float
    power_w: float
    efficiency_j_per_th: float
    cooling: Literal["air", "hydro", "immersion"]
    released_year: int | None
    removed: bool
