"""Who may call what, as parameter types."""

from typing import Annotated, ClassVar

from fastapi import Depends, Request

from common.auth import Principal, with_scope
from common.errors import Forbidden
from gateway.tokens import AccessClaims

OrganisationsReader = Annotated[Principal, with_scope("organisations:read")]
OrganisationsWriter = Annotated[Principal, with_scope("organisations:write")]
ApiKeysWriter = Annotated[Principal, with_scope("api-keys:write")]
AuditReader = Annotated[Principal, with_scope("audit:read")]


class LoginNeeded(Forbidden):
    title: ClassVar[str] = "Only a person who has logged in may do this"


def _login(request: Request) -> AccessClaims:
    claims: AccessClaims | None = getattr(request.state, "login", None)
    if claims is None:
        raise LoginNeeded("An API key cannot do this; log in and use the access token.")
    return claims


CurrentLogin = Annotated[AccessClaims, Depends(_login)]
"""The access token behind the request, which the front has verified."""
