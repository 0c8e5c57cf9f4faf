"""Settings of the hosting service (prefix HOSTING_)."""

import base64
import binascii
from typing import Annotated, cast

from fastapi import Depends
from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from common.runtime import RuntimeDep
from common.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HOSTING_", extra="ignore", populate_by_name=True)

    port: int = Field(default=8102, ge=1, le=65535)
    ops_port: int = Field(default=9102, ge=1, le=65535)

    telemetry_url: str = "http://127.0.0.1:8103"
    telemetry_key: SecretStr = Field(min_length=32)
    """HMAC key of internal tokens whose audience is telemetry."""
    intelligence_url: str = "http://127.0.0.1:8104"
    intelligence_key: SecretStr = Field(min_length=32)
    """HMAC key of internal tokens whose audience is intelligence."""

    device_credential_key: SecretStr = Field(validation_alias="DEVICE_CREDENTIAL_KEY")
    """32 bytes in base64: seals the machines' credentials; telemetry opens them."""
    forbidden_cidrs: tuple[IPvAnyNetwork, ...] = ()
    """Networks that hold no machines whatever a tenant says: the cluster's pods, databases."""
    command_deadline_s: int = Field(default=600, ge=10, le=86_400)
    """How long telemetry may take to prove a start, shutdown or reboot ordered by hand."""
    import_rows_at_once: int = Field(default=10_000, ge=0, le=20_000)
    """A file of more rows is imported by a job instead of inside the request."""
    import_batch_rows: int = Field(default=500, ge=1, le=5_000)
    """So many rows of a file are one step of its job, and one transaction."""

    @field_validator("device_credential_key")
    @classmethod
    def _key_is_32_bytes(cls, key: SecretStr) -> SecretStr:
        try:
            size = len(base64.b64decode(key.get_secret_value(), validate=True))
        except binascii.Error as error:
            msg = "DEVICE_CREDENTIAL_KEY is not base64"
            raise ValueError(msg) from error
        if size != 32:  # noqa: PLR2004  (AES-256)
            msg = f"DEVICE_CREDENTIAL_KEY holds {size} bytes; AES-256 needs 32"
            raise ValueError(msg)
        return key


async def _settings(runtime: RuntimeDep) -> Settings:
    return cast("Settings", runtime.settings)


SettingsDep = Annotated[Settings, Depends(_settings)]
"""The settings of the running service, for a route."""
