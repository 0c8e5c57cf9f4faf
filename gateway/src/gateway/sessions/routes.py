"""HTTP of logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from common.auth import AnyPrincipal
from common.errors import Forbidden, TooManyRequests, Unauthenticated, Unavailable, problems
from common.runtime import RuntimeDep
from gateway.auth import CurrentLogin, LoginNeeded
from gateway.csrf import CrossSite, check_own_page
from gateway.security import SecurityDep
from gateway.sessions import login as logins
from gateway.sessions import password, rotation
from gateway.sessions.cookies import clear_cookies, refresh_cookie, set_cookies
from gateway.sessions.login import SecondFactorNeeded, WrongSecondFactor
from gateway.sessions.password import WrongPassword
from gateway.sessions.rotation import Issued
from gateway.sessions.schemas import (
    BrowserSession,
    Credentials,
    PasswordChange,
    RefreshOrder,
    TokenPair,
)
from gateway.throttle import Throttle
from gateway.users.registry import WeakPassword

router = APIRouter(prefix="/api/auth", tags=["auth"])


async def _password_login(
    body: Credentials, request: Request, runtime: RuntimeDep, security: SecurityDep
) -> Issued:
    throttle = Throttle.of(security, runtime)
    address = request.client.host if request.client else ""
    await throttle.begin(body.email, address)
    try:
        issued = await logins.log_in(runtime, security, throttle, body, request.state.request_id)
    except SecondFactorNeeded:  # the password was right, and no code was guessed
        await throttle.succeeded(body.email, address)
        raise
    await throttle.succeeded(body.email, address)
    return issued


def _own_page(request: Request, security: SecurityDep) -> None:
    check_own_page(dict(request.headers.raw), security.settings.public_url, strict=False)


PasswordLogin = Annotated[Issued, Depends(_password_login)]
_LOGIN = problems(
    Unauthenticated, SecondFactorNeeded, WrongSecondFactor, TooManyRequests, Unavailable
)


@router.post("/token", responses=_LOGIN)
async def create_token(issued: PasswordLogin) -> TokenPair:
    """Log in as a program: tokens in the answer, to be sent as `Authorization: Bearer`."""
    return _pair(issued)


@router.post(
    "/login", responses={**_LOGIN, **problems(CrossSite)}, dependencies=[Depends(_own_page)]
)
async def log_in(
    response: Response, security: SecurityDep, issued: PasswordLogin
) -> BrowserSession:
    """Log in as a browser: the tokens go into cookies that JavaScript cannot read."""
    return _in_cookies(response, security, issued)


@router.post("/refresh", responses=problems(Unauthenticated, CrossSite))
async def refresh(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    security: SecurityDep,
    body: RefreshOrder | None = None,
) -> TokenPair | BrowserSession:
    """Exchange a refresh token for new tokens. Each is used once; an old one ends the session."""
    if body is not None:
        return _pair(
            await rotation.refresh(runtime, security, body.refresh_token, request.state.request_id)
        )
    token = request.cookies.get(refresh_cookie(secure=security.settings.secure))
    if token is None:
        raise Unauthenticated("Send a refresh token, in the body or as the cookie.")
    check_own_page(dict(request.headers.raw), security.settings.public_url, strict=True)
    issued = await rotation.refresh(runtime, security, token, request.state.request_id)
    return _in_cookies(response, security, issued)


@router.post("/logout", status_code=204, responses=problems(Forbidden))
async def log_out(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    security: SecurityDep,
    body: RefreshOrder | None = None,
) -> None:
    """End the session of the access token, the cookie or the refresh token, if it has not ended."""
    claims = getattr(request.state, "login", None)
    await rotation.log_out(
        runtime,
        security,
        claims.session_id if claims else None,
        body.refresh_token if body else None,
        request.state.request_id,
    )
    clear_cookies(response, secure=security.settings.secure)


@router.post(
    "/password",
    status_code=204,
    responses=problems(WrongPassword, WeakPassword, TooManyRequests, Unavailable, LoginNeeded),
)
async def change_password(
    body: PasswordChange,
    login: CurrentLogin,
    principal: AnyPrincipal,
    runtime: RuntimeDep,
    security: SecurityDep,
) -> None:
    """Change the own password. All other sessions end; this one goes on after a refresh."""
    async with Throttle.of(security, runtime).code_try(login.user_id):
        await password.change_password(runtime, security, login, principal, body)


def _pair(issued: Issued) -> TokenPair:
    return TokenPair(
        access_token=issued.access_token,
        refresh_token=issued.refresh_token,
        expires_in=issued.access_s,
        token_type="Bearer",  # noqa: S106  (the name of a scheme)
    )


def _in_cookies(response: Response, security: SecurityDep, issued: Issued) -> BrowserSession:
    set_cookies(
        response,
        issued.access_token,
        issued.refresh_token,
        secure=security.settings.secure,
        access_s=issued.access_s,
        refresh_s=issued.refresh_s,
    )
    return BrowserSession(expires_in=issued.access_s)
