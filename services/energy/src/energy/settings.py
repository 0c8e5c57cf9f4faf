"""Settings of this service, read from ENERGY_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of energy."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, env_prefix="ENERGY_")

    carbon_url: str = "https://api.carbonintensity.org.uk"
    """Of the system operator's carbon intensities; empty: none are fetched."""
    carbon_every_s: float = Field(default=1800, gt=0)
    carbon_backfill_days: int = Field(default=35, ge=0, le=400)
    currencies_url: str = "https://data-api.ecb.europa.eu"
    """Of the European Central Bank's reference rates; empty: none are fetched."""
    currencies_every_s: float = Field(default=3600, gt=0)
    currencies_backfill_days: int = Field(default=400, ge=0, le=11_000)
    savings_every_s: float = Field(default=60, gt=0)
    """How often the savings of plans that are not final are reckoned anew."""
