"""Settings of the gateway, prefix GATEWAY_."""

import base64
import binascii
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings, package_root
from gateway.roles import Role

_SEED_BYTES = 32
_KEY_BYTES = 32


class Settings(ServiceSettings):
    """What the gateway needs to know beyond what every service does."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    public_url: str
    """The address people use. Its scheme decides the cookies' form; its host, what Host may say."""
    allowed_hosts: tuple[str, ...] = ()
    """Further values of the Host header, `name:port` (in a cluster: the internal name)."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Peers whose X-Forwarded-For is believed; nobody by default."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose scripts may read answers, with a bearer token, never a cookie."""

    upstreams: dict[str, str]
    """Address of each service, by name."""
    upstream_keys: dict[str, SecretStr]
    """HMAC key of each service's internal token, by name."""
    upstream_in_flight: int = Field(default=256, ge=1)
    """Requests to one service at the same time; beyond it the gateway sheds with 503."""

    signing_key: SecretStr
    """Seed of the Ed25519 key that signs access tokens: 32 bytes in base64."""
    further_signing_keys: tuple[SecretStr, ...] = ()
    """Seeds of keys that verify and do not sign: the next before a rotation, the last after it."""
    api_key_pepper: SecretStr = Field(min_length=32)
    """HMAC key over stored API keys, refresh tokens and throttle names; seals second factors."""
    admin_email: str | None = None
    admin_password: SecretStr | None = None
    """The platform's first Admin, made at the first start."""

    contracts: Path = package_root(__file__).parent / "contracts" / "openapi"
    """Folder of the services' OpenAPI documents, from which the merged one is made."""

    access_token_s: int = Field(default=300, ge=1, le=300)
    elevated_token_s: int = Field(default=900, ge=1, le=900)
    refresh_idle_s: int = Field(default=7 * 86_400, ge=1)
    refresh_absolute_s: int = Field(default=30 * 86_400, ge=1)
    refresh_grace_s: float = Field(default=10, ge=0, le=60)

    user_rate_per_s: float = Field(default=200, gt=0)
    user_burst: int = Field(default=600, ge=1)
    anonymous_rate_per_s: float = Field(default=30, gt=0)
    anonymous_burst: int = Field(default=120, ge=1)
    login_failures: int = Field(default=5, ge=1)
    login_failures_per_address: int = Field(default=30, ge=1)
    second_factor_roles: frozenset[Role] = frozenset()
    """Roles that reach nothing but the setting up of a second factor until they have proven it."""
    login_window_s: int = Field(default=900, ge=1)
    replicas: int = Field(default=1, ge=1)
    """Gateways that share the limits; one grants its share while Redis is away."""

    header_timeout_s: float = Field(default=5, gt=0)
    body_timeout_s: float = Field(default=20, gt=0)
    cache_s: float = Field(default=30, ge=0, le=30)
    """How long a verified credential is believed without asking the database again."""
    streams_per_user: int = Field(default=10, ge=1)

    @field_validator("signing_key")
    @classmethod
    def _is_a_seed(cls, value: SecretStr) -> SecretStr:
        _check_seed("GATEWAY_SIGNING_KEY", value)
        return value

    @field_validator("further_signing_keys")
    @classmethod
    def _are_seeds(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for seed in value:
            _check_seed("GATEWAY_FURTHER_SIGNING_KEYS", seed)
        return value

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            msg = "GATEWAY_PUBLIC_URL must be an origin such as https://hashyard.example"
            raise ValueError(msg)
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            msg = "GATEWAY_PUBLIC_URL: plain http is accepted for loopback addresses only"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            local = _is_loopback(parts.hostname or "")
            if origin != f"{parts.scheme}://{parts.netloc}" or not parts.hostname or "@" in origin:
                msg = f"GATEWAY_CORS_ORIGINS: {origin} is no origin such as https://app.example"
                raise ValueError(msg)
            if parts.scheme != "https" and not (parts.scheme == "http" and local):
                msg = f"GATEWAY_CORS_ORIGINS: {origin} must be https (http for loopback only)"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _every_upstream_has_a_key(self) -> Self:
        for name in self.upstreams:
            key = self.upstream_keys.get(name)
            if key is None or len(key.get_secret_value()) < _KEY_BYTES:
                msg = f"GATEWAY_UPSTREAM_KEYS: {name} needs a key of at least {_KEY_BYTES} bytes"
                raise ValueError(msg)
        return self

    @property
    def secure(self) -> bool:
        """Whether people reach us over TLS."""
        return self.public_url.startswith("https://")

    def hosts(self) -> frozenset[bytes]:
        """Return the values that the Host header may have."""
        parts = urlsplit(self.public_url)
        default_port = 443 if self.secure else 80
        names = {parts.hostname or ""}
        if _is_loopback(parts.hostname or ""):
            names |= {"localhost", "127.0.0.1", "::1"}
        hosts = set(self.allowed_hosts)
        for name in names:
            shown = f"[{name}]" if ":" in name else name
            hosts.add(f"{shown}:{parts.port or default_port}")
            if (parts.port or default_port) == default_port:
                hosts.add(shown)
        return frozenset(host.encode() for host in hosts)


def _check_seed(name: str, value: SecretStr) -> None:
    try:
        seed = base64.b64decode(value.get_secret_value(), validate=True)
    except binascii.Error as error:
        msg = f"{name} is not base64"
        raise ValueError(msg) from error
    if len(seed) != _SEED_BYTES:
        msg = f"{name} must hold {_SEED_BYTES} bytes"
        raise ValueError(msg)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
