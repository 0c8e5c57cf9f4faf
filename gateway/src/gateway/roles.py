"""Roles: named bundles of permissions. A permission is `resource:action`; services check those.

This table is the oracle of the access tests.
"""

from typing import Literal, get_args
from uuid import UUID

from common.auth import PLATFORM_ORGANISATION

Role = Literal["Admin", "Owner", "Host", "Client"]
ROLES: tuple[Role, ...] = get_args(Role)

_CLIENT = frozenset(
    {
        "miners:read",
        "telemetry:read",
        "calculations:run",
        "calculations:read",
        "market:read",
        "forecasts:read",
        "costs:read",
        "wind:read",
    }
)
_HOST = _CLIENT | frozenset(
    {
        "organisations:read",
        "audit:read",
        "sites:read",
        "miners:write",
        "miners:approve",
        "miners:command",
        "curtailment:read",
        "curtailment:command",
        "curtailment:approve",
        "telemetry:api",
        "recommendations:run",
        "insights:read",
        "treasury:read",
        "jobs:read",
        "tariffs:read",
    }
)
_OWNER = _HOST | {
    "organisations:write",
    "api-keys:write",
    "sites:write",
    "miner-models:write",
    "telemetry:history",
    "treasury:write",
    "treasury:approve",
    "tariffs:write",
    "costs:write",
    "wind:write",
}
_ADMIN = _CLIENT | frozenset(
    {
        "organisations:read",
        "organisations:write",
        "api-keys:write",
        "audit:read",
        "miner-models:write",
        "sites:read",
        "curtailment:read",
        "telemetry:api",
        "recommendations:run",
        "quotes:write",
        "market:write",
        "insights:read",
        "treasury:read",
        "jobs:read",
        "tariffs:read",
        "wind:write",
    }
)
SCOPES_OF: dict[str, frozenset[str]] = {
    "Admin": _ADMIN,
    "Owner": _OWNER,
    "Host": _HOST,
    "Client": _CLIENT,
}
"""What each role may do. An Admin's bundle is for the platform, where nobody has sites or machines
to change; inside a tenant an elevated Admin is an Owner, and the tenant sees it."""

SCOPES: frozenset[str] = frozenset[str]().union(*SCOPES_OF.values())


def scopes_within(role: str, organisation_id: UUID) -> frozenset[str]:
    """Return what somebody with this role may do in an organisation: an Admin's may be foreign."""
    entered = role == "Admin" and organisation_id != PLATFORM_ORGANISATION
    return SCOPES_OF["Owner" if entered else role]


def may_grant(granter: str, role: Role) -> bool:
    """Return whether somebody with the role `granter` may give `role` to another."""
    if granter == "Admin":
        return True
    return granter == "Owner" and role != "Admin"
