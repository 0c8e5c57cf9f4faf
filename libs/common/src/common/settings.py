"""Settings: read from the environment once, validated, secrets without defaults."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common import mail_transport


class ServiceSettings(BaseSettings):
    """What every service needs to know. A service subclasses it with its own `env_prefix`.

    Names with an alias are shared by all services of an installation and carry no prefix.
    """

    # A value that is refused may be a secret: it is not repeated in the error.
    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    database_url: SecretStr
    """DSN of the role `<service>_app`: HTTP and consumers, behind row-level security."""
    worker_database_url: SecretStr
    """DSN of the role `<service>_worker`: relay, collector, roll-ups; sees every tenant."""
    owner_database_url: SecretStr | None = None
    """DSN of the role `<service>_owner`; given to the migration only."""
    database_pool_size: int = Field(default=10, ge=1, le=200)
    internal_key: SecretStr = Field(min_length=32)
    """HMAC key of the internal tokens whose audience is this service."""
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    ops_port: int = Field(ge=1, le=65535)
    ops_host: str = "127.0.0.1"

    environment: Literal["development", "test", "production"] = Field(
        default="production", validation_alias="ENVIRONMENT"
    )
    kafka_bootstrap: str = Field(validation_alias="KAFKA_BOOTSTRAP")
    kafka_topic_prefix: str = Field(default="", validation_alias="KAFKA_TOPIC_PREFIX")
    kafka_replication: int = Field(default=1, ge=1, validation_alias="KAFKA_REPLICATION")
    redis_url: str = Field(validation_alias="REDIS_URL")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="LOG_LEVEL"
    )
    allow_simulated_miners: bool = Field(default=False, validation_alias="ALLOW_SIMULATED_MINERS")

    links_url: str = Field(default="http://127.0.0.1:8080", validation_alias="GATEWAY_PUBLIC_URL")
    """Where people reach the installation; links in letters begin with it."""
    mail_smtp_url: SecretStr | None = Field(default=None, validation_alias="MAIL_SMTP_URL")
    """`smtp://` or `smtps://`, `user:password@host:port`. Without it letters go to a folder."""
    mail_from: str = Field(
        default="Hashyard <hashyard@localhost>", validation_alias="MAIL_FROM", max_length=320
    )
    mail_folder: str = Field(default="", validation_alias="MAIL_FOLDER")
    """Where letters are laid down while there is no server; neither: they wait."""
    message_key: SecretStr | None = Field(
        default=None, validation_alias="MESSAGE_KEY", min_length=32
    )
    """Secrets of webhooks and links to opt out follow from it; by default the internal key."""

    @field_validator("mail_smtp_url", "message_key", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("mail_smtp_url")
    @classmethod
    def _smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            mail_transport.smtp_server(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _one_sender(cls, value: str) -> str:
        mail_transport.mailbox(value)
        return value

    def message_secret(self) -> str:
        """Return the key from which secrets of messages follow."""
        return (self.message_key or self.internal_key).get_secret_value()

    @model_validator(mode="after")
    def _production_is_real(self) -> Self:
        if self.environment == "production" and self.allow_simulated_miners:
            msg = "ALLOW_SIMULATED_MINERS must not be set when ENVIRONMENT=production"
            raise ValueError(msg)
        return self


def package_root(package_file: str) -> Path:
    """Return the member's folder (the one with migrations/) from its package's `__file__`."""
    return Path(package_file).resolve().parents[2]
