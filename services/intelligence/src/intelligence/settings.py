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
