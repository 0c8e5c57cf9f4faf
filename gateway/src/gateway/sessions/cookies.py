"""The browser's session: two cookies that JavaScript never sees."""

from typing import Literal

from fastapi import Response

REFRESH_PATH = "/api/auth/refresh"


def access_cookie(*, secure: bool) -> str:
    """Return the name of the cookie with the access token."""
    return "__Host-at" if secure else "at"


def refresh_cookie(*, secure: bool) -> str:
    """Return the name of the cookie with the refresh token (`__Host-` demands Path=/)."""
    return "__Secure-rt" if secure else "rt"


def set_cookies(
    response: Response, access: str, refresh: str, *, secure: bool, access_s: int, refresh_s: int
) -> None:
    """Give the browser its session."""
    _set(response, access_cookie(secure=secure), access, "/", access_s, secure=secure)
    _set(response, refresh_cookie(secure=secure), refresh, REFRESH_PATH, refresh_s, secure=secure)


def clear_cookies(response: Response, *, secure: bool) -> None:
    """Take it away again."""
    _set(response, access_cookie(secure=secure), "", "/", 0, secure=secure)
    _set(response, refresh_cookie(secure=secure), "", REFRESH_PATH, 0, secure=secure)


def _set(
    response: Response, name: str, value: str, path: str, max_age_s: int, *, secure: bool
) -> None:
    same_site: Literal["strict"] = "strict"
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=path,
        secure=secure,
        httponly=True,
        samesite=same_site,
    )
