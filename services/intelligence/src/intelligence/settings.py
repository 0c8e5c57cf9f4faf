"""Settings of this service, read from INTELLIGENCE_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of intelligence."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, env_prefix="INTELLIGENCE_"
    )

    solver_processes: int = Field(default=2, ge=1, le=64)
    """Integer programmes that may run at once; each is a process of some 80 MB."""

    binance_url: str = "https://api.binance.com"
    """Where a venue is reached, without its path; empty: it is not asked."""
    okx_url: str = "https://www.okx.com"
    deribit_url: str = "https://www.deribit.com"
    bybit_url: str = "https://api.bybit.com"
    market_enabled: bool = True
    """Whether this installation's worker asks venues at all."""
    market_ticker_s: float = Field(default=60, ge=0.2, le=120)
    """Time between two questions for a venue's price; after three minutes a price is stale."""
    market_snapshot_s: float = Field(default=300, ge=0.2, le=86_400)
    """Time between two snapshots, each published."""
    market_daily_bars: int = Field(default=730, ge=400, le=5000)
    """Days of candles asked for on the first start."""
    market_bars: int = Field(default=1300, ge=10, le=20_000)
    """Candles of every shorter interval asked for on the first start: 1,000 and their warm-up."""

    forecast_check_seconds: float = Field(default=60, ge=0.2, le=86_400)
    """Time between two looks for new data to fit forecasts to."""
    forecast_limit_seconds: float = Field(default=10, ge=0.01, le=60)
    """What a forecast of a caller's own series may take; then its process is killed."""

    braiins_pool_url: str = "https://pool.braiins.com"
    """Where payouts are asked for; empty: it is not asked."""
    treasury_sweep_seconds: float = Field(default=60, ge=0.2, le=86_400)
    """Time between two looks for proposals whose time is over."""
    treasury_rules_seconds: float = Field(default=300, ge=0.2, le=86_400)
    """Time between two looks for what automatic rules have to propose."""

    def venue_urls(self) -> dict[str, str]:
        """Return where each venue is reached, by its name; empty: it is not asked."""
        return {
            "binance": self.binance_url,
            "okx": self.okx_url,
            "deribit": self.deribit_url,
            "bybit": self.bybit_url,
        }
