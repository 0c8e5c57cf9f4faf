"""Settings of this service, read from CALCULATOR_*."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of calculator. An empty address switches a source off."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, env_prefix="CALCULATOR_"
    )

    coingecko_url: str = "https://api.coingecko.com"
    coingecko_key: SecretStr | None = None
    """A demo key; without one CoinGecko answers a handful of questions a minute."""
    blockchain_url: str = "https://api.blockchain.info"
    mempool_url: str = "https://mempool.space"
    ankr_url: str = "https://rpc.ankr.com/btc"
    """The node's JSON-RPC address, with the key behind it where one is had."""

    batch_rows_at_once: int = Field(default=10_000, ge=0, le=10_000)
    """A batch of more rows is calculated by a job instead of inside the request."""
    batch_part_rows: int = Field(default=2_000, ge=1, le=10_000)
    """So many rows of a batch are one step of its job, and one transaction."""
