"""Settings of this service, read from ENERGY_*."""

from decimal import Decimal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings

_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"


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

    tariffs_every_s: float = Field(default=3600, gt=0)
    """How often to look whether the mean price of a rate's week to come is another."""
    signals_every_s: float = Field(default=30, gt=0)
    """How often prices are compared with what machines earn; at each half-hour's start as well."""
    signals_hysteresis_percent: Decimal = Field(default=Decimal(5), ge=0, le=50)
    """How far the price must pass the break-even before a signal changes."""
    alerts_every_s: float = Field(default=60, gt=0)
    """How often the rules about high costs are looked at."""
    budgets_every_s: float = Field(default=300, gt=0)
    """How often budgets are looked at."""

    elexon_url: str = "https://data.elexon.co.uk/bmrs/api/v1"
    """Base address of Elexon's Insights API."""
    wind_enabled: bool = False
    """Follow new settlement periods, and reconcile by schedule."""
    wind_parallel: int = Field(default=8, ge=1, le=50)
    """Calls to Elexon at once."""
    wind_rate_per_s: float = Field(default=10.0, gt=0, le=1000)
    """Calls to Elexon a second, at most."""
    wind_timeout_s: float = Field(default=30.0, gt=0)
    wind_tries: int = Field(default=4, ge=1, le=20)
    """How often a call is made before it has failed: once, and three times again."""
    wind_batch_periods: int = Field(default=12, ge=1, le=50)
    """Settlement periods in one step of a job."""
    wind_pause_s: float = Field(default=0.0, ge=0, le=30)
    """Rest between two such steps."""
    wind_window: str = Field(default="22:00-06:00", pattern=rf"^{_CLOCK}-{_CLOCK}$")
    """When history is filled in, in British time; the same time twice means always."""
    wind_models: str = Field(default="S19J_PRO,M20S,S9", pattern=r"[^\s,]")
    """Miner models that bitcoin is calculated for, by name or alias, with commas between; one at
    least, the first of which a read means that names none."""
    wind_poll_s: float = Field(default=60.0, gt=0)
    """How often to look whether a new period is published."""
    wind_publication_s: float = Field(default=900.0, ge=0)
    """How long after its end a period is published at the earliest."""

    def miner_models(self) -> list[str]:
        """Return the names of the usual miner models."""
        return [name.strip() for name in self.wind_models.split(",") if name.strip()]
