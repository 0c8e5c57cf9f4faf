"""Roles: named bundles of permissions. A permission is `resource:action`; services check those.

This table is the oracle of the access tests.
"""

from typing import Literal, get_args

Role = Literal["Admin", "Owner", "Host", "Client"]
ROLES: tuple[Role, ...] = get_args(Role)

_HOST = frozenset(
    {
        "organisations:read",
        "audit:read",
        "sites:read",
        "miners:read",
        "miners:write",
        "miners:approve",
        "miners:command",
        "curtailment:read",
        "curtailment:command",
        "curtailment:approve",
        "telemetry:read",
        "telemetry:api",
        "recommendations:run",
        "jobs:read",
    }
)
_OWNER = _HOST | {
    "organisations:write",
    "api-keys:write",
    "sites:write",
    "miner-models:write",
    "telemetry:history",
}
SCOPES_OF: dict[str, frozenset[str]] = {
    "Admin": _OWNER,
    "Owner": _OWNER,
    "Host": _HOST,
    "Client": frozenset({"miners:read", "telemetry:read"}),
}
"""What each role may do. An Admin holds it for the platform; in a tenant only when elevated."""

SCOPES: frozenset[str] = frozenset[str]().union(*SCOPES_OF.values())


def may_grant(granter: str, role: Role) -> bool:
    """Return whether somebody with the role `granter` may give `role` to another."""
    if granter == "Admin":
        return True
    return granter == "Owner" and role != "Admin"
