"""What telemetry answers about machines. Null means that the machine does not say."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Metric = Literal[
    "hashrate_ths",
    "power_w",
    "efficiency_j_per_th",
    "chip_temp_max_c",
    "board_temp_max_c",
    "inlet_temp_c",
    "fan_rpm",
    "accepted",
    "rejected",
    "stale",
    "hardware_errors",
]
Step = Literal["auto", "raw", "5m", "1h"]


class Pool(BaseModel):
    """One mining pool as the miner reports it."""

    url: str | None
    user: str | None
    status: str | None
    priority: int | None
    accepted: int | None
    rejected: int | None
    stale: int | None
    active: bool | None


class Latest(BaseModel):
    """The latest answer of a machine. A failed poll has an outcome and no values."""

    model_config = ConfigDict(from_attributes=True)

    miner_id: UUID
    outcome: Annotated[str | None, Field(description="How the poll ended; null before the first")]
    sampled_at: datetime | None
    hashrate_5s_ths: float | None
    hashrate_avg_ths: float | None
    hashrate_30m_ths: float | None
    power_w: float | None
    power_estimated: bool
    efficiency_j_per_th: float | None
    chip_temp_max_c: float | None
    board_temp_max_c: float | None
    inlet_temp_c: float | None
    fans_rpm: list[int]
    boards: int | None
    chips: int | None
    hardware_errors: int | None
    accepted: int | None
    rejected: int | None
    stale: int | None
    mining_uptime_s: int | None
    firmware: str | None
    model: str | None
    mac: str | None
    is_mining: bool | None
    pools: list[Pool]
    error_codes: list[str]
    flags: list[str]
    online: Annotated[
        bool | None, Field(description="False after three silent slots; null before a verdict")
    ]
    last_answer_at: Annotated[datetime | None, Field(description="When it last gave values")]
    curtailed_since: Annotated[
        datetime | None, Field(description="Asleep by an order of this platform since then")
    ]
    simulated: Annotated[bool, Field(description="A machine of the simulated world")]


class ApiLatest(Latest):
    """The latest answer, also under the names of the platform's published document."""

    hashrate: Annotated[float | None, Field(description="TH/s")]
    temperature: Annotated[float | None, Field(description="°C, of the hottest chip or board")]
    power_consumption: Annotated[float | None, Field(description="W")]
    fan_speed: Annotated[int | None, Field(description="rpm, of the fastest fan")]
    recorded_at: datetime | None


class Series(BaseModel):
    """A metric over time, as columns of equal length. Times without a value are left out."""

    model_config = ConfigDict(populate_by_name=True)

    miner_id: UUID
    metric: Metric
    unit: str
    step: Literal["raw", "5m", "1h"]
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime
    at: list[datetime]
    value: Annotated[list[float], Field(description="Average in the step; sum for counters")]
    min: list[float | None]
    max: list[float | None]


class Fleet(BaseModel):
    """The latest of every machine, as columns of equal length.

    `hashrate_ths` and `power_w` are the machine's last words, held over at most three missing
    slots; `sampled_at` is when it said them. Older than that, they are null.
    """

    site_id: UUID | None
    as_of: datetime
    columns: dict[str, list[Any]]
