"""Settings of telemetry, prefix TELEMETRY_."""

import base64
import binascii
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings

HALF_HOUR_S = 1800


class Settings(ServiceSettings):
    """What telemetry needs to know."""

    model_config = SettingsConfigDict(
        env_prefix="TELEMETRY_", extra="ignore", populate_by_name=True
    )

    port: int = Field(default=8103, ge=1, le=65535)
    ops_port: int = Field(default=9103, ge=1, le=65535)
    device_credential_key: SecretStr = Field(validation_alias="DEVICE_CREDENTIAL_KEY")
    """Base64 of 32 bytes; opens the device credentials that hosting sealed (AES-GCM)."""

    slot_seconds: int = Field(default=60, ge=1, le=900)
    """Each miner is polled once in every slot of this length."""
    socket_budget: int = Field(default=400, ge=1, le=5000)
    """Sockets that one worker holds open at a time."""
    sockets_per_subnet: int = Field(default=32, ge=1)
    """Sockets open into one /24 at a time; the simulated range is excepted."""
    instance_id: str | None = None
    """Static member of the consumer group (pod name on Kubernetes); without: dynamic."""
    silent_slots: int = Field(default=3, ge=1)
    """So many silent slots make a miner offline."""
    queue_rows: int = Field(default=20_000, ge=1000)
    flush_rows: int = Field(default=5000, ge=1)
    flush_seconds: float = Field(default=1.0, gt=0)
    sample_days: int = Field(default=14, ge=2)
    """Days for which single samples are kept."""

    proof_poll_seconds: float = Field(default=5.0, gt=0)
    """Commanded miners are polled this often until their effect is proven."""
    proof_power_w: float = Field(default=150.0, gt=0)
    """A sleeping miner draws less than this."""
    command_lease_seconds: float = Field(default=30.0, gt=0)
    """A claimed command that nobody finished in this time is claimed again."""
    ramp_seconds: int = Field(default=1200, ge=0)
    """After a wake or boot, low hashrate is no alert for so long."""

    hot_chip_c: float = 95.0
    hot_board_c: float = 85.0
    half_hour_grace_seconds: float = Field(default=120.0, ge=0)
    """A half-hour is closed so long after its end."""
    hold_slots: int = Field(default=3, ge=0)
    """Power is held over at most so many missing slots."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if HALF_HOUR_S % self.slot_seconds:
            msg = "TELEMETRY_SLOT_SECONDS must divide 1800, so that half-hours hold whole slots"
            raise ValueError(msg)
        try:
            size = len(
                base64.b64decode(self.device_credential_key.get_secret_value(), validate=True)
            )
        except binascii.Error:
            size = 0
        if size != 32:  # noqa: PLR2004  (the key length of AES-256)
            msg = "DEVICE_CREDENTIAL_KEY must be base64 of 32 bytes"
            raise ValueError(msg)
        return self
