"""Settings of this service, read from CALCULATOR_*."""

from pydantic import SecretStr
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
