"""Settings of this service, read from CALCULATOR_*."""

from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of calculator: only the common ones so far."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, env_prefix="CALCULATOR_"
    )
