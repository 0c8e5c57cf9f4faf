"""Settings of curtailment (prefix HOSTING_CURTAILMENT_)."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CurtailmentSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HOSTING_CURTAILMENT_", extra="ignore")

    max_age_s: float = Field(default=180, gt=0)
    """A reading older than this says nothing about what a machine draws now."""
    sleep_power_w: float = Field(default=50, ge=0)
    """What a sleeping machine still draws; a stop takes the rest off the meter."""
    margin: float = Field(default=0.005, ge=0, le=0.5)
    """Ordered beyond the target: readings are up to a slot old, and they are noisy."""
    stop_patience_s: float = Field(default=300, gt=0)
    """How long telemetry may take to prove a stop."""
    wake_patience_s: float = Field(default=900, gt=0)
    """How long telemetry may take to prove that a machine hashes again."""
    answer_grace_s: float = Field(default=60, ge=0)
    """So long after the deadline an order without any answer is given up."""
    wake_tries: int = Field(default=3, ge=1, le=20)
    restore_batch_size: int = Field(default=200, ge=1, le=10_000)
    restore_interval_s: int = Field(default=30, ge=1, le=3600)
    tick_s: float = Field(default=1.0, gt=0)
    """How often the scheduler looks for due plans."""
    watch_interval_s: float = Field(default=60, gt=0)
    """How often a plan's sleeping machines are checked for ones that hash again."""
    late_start_s: float = Field(default=900, ge=0)
    """A scheduled plan that could not start for so long is cancelled."""


@cache
def curtailment_settings() -> CurtailmentSettings:
    """Return the settings, read once."""
    return CurtailmentSettings()
