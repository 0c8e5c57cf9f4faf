"""Request and response bodies of logging in."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from gateway.users.schemas import Email, NewPassword

Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=6, max_length=20)]


class Credentials(BaseModel):
    """Who wants to log in."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    code: Code | None = None
    """Of the second factor, where the person has one: of the device, or a recovery code."""


class PasswordChange(BaseModel):
    """A new password, from who knows the present one."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    new_password: NewPassword


class RefreshOrder(BaseModel):
    """A program's refresh token; a browser sends its cookie instead."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TokenPair(BaseModel):
    """Tokens for a program."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: Literal["Bearer"]


class BrowserSession(BaseModel):
    """A browser's session was begun or prolonged; the tokens are in its cookies."""

    expires_in: int
