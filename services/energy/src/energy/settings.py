"""Settings of this service, read from ENERGY_*."""

from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of energy."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, env_prefix="ENERGY_")
