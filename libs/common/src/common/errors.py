"""Problems: what a caller did that cannot be done, as RFC 9457 documents.

    Problem
    ├── BadRequest        400  the bytes are not a request
    ├── Unauthenticated   401  nobody we know
    ├── Forbidden         403  known, but without the right
    ├── NotFound          404  no such thing for this caller
    ├── Conflict          409  conflicts with the present state
    ├── PreconditionFailed 412 the object changed since it was read
    ├── TooLarge          413
    ├── UnsupportedMedia  415
    ├── Invalid           422  can never succeed as written
    ├── TooManyRequests   429
    └── Unavailable       503  a dependency is away; carries Retry-After

A feature raises its own subclass, declared beside the function that raises it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from structlog import get_logger

log = get_logger()
CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """Base of all expected failures. `detail` says what happened and what to do."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request cannot be carried out"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after_s: float | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.errors = errors
        self.retry_after_s = retry_after_s
        self.extensions = extensions

    @classmethod
    def code(cls) -> str:
        """Return the stable machine name: the class name in snake case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def type_uri(cls) -> str:
        """Return the stable type of this problem, a path below the gateway."""
        return "/problems/" + cls.code().replace("_", "-")

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the problem document."""
        document: dict[str, Any] = {
            "type": self.type_uri(),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request_id,
            "code": self.code(),
        }
        if self.field is not None:
            document["field"] = self.field
        if self.errors:
            document["errors"] = list(self.errors)
        return document | self.extensions

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to this problem."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after_s)))}


class BadRequest(Problem):
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request is malformed"


class Unauthenticated(Problem):
    status: ClassVar[int] = 401
    title: ClassVar[str] = "Authentication is required"

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    status: ClassVar[int] = 403
    title: ClassVar[str] = "The permission is missing"


class NotFound(Problem):
    status: ClassVar[int] = 404
    title: ClassVar[str] = "No such object"


class MethodNotAllowed(Problem):
    status: ClassVar[int] = 405
    title: ClassVar[str] = "The method is not allowed here"


class Conflict(Problem):
    status: ClassVar[int] = 409
    title: ClassVar[str] = "Conflicts with the present state"


class PreconditionFailed(Problem):
    status: ClassVar[int] = 412
    title: ClassVar[str] = "The object has changed"


class TooLarge(Problem):
    status: ClassVar[int] = 413
    title: ClassVar[str] = "The request is too large"


class UnsupportedMedia(Problem):
    status: ClassVar[int] = 415
    title: ClassVar[str] = "The content type is not supported"


class Invalid(Problem):
    status: ClassVar[int] = 422
    title: ClassVar[str] = "The request is not valid"


class TooManyRequests(Problem):
    status: ClassVar[int] = 429
    title: ClassVar[str] = "Too many requests"


class Unavailable(Problem):
    status: ClassVar[int] = 503
    title: ClassVar[str] = "A dependency is not available"


class ServerFault(Problem):
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side"


class FieldError(BaseModel):
    """One invalid field of a request."""

    pointer: str
    detail: str
    code: str


class ProblemDocument(BaseModel):
    """RFC 9457 problem; further members depend on `type`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    field: str | None = None
    errors: list[FieldError] | None = None


def problems(*types: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` entry that declares the problems a route may answer."""
    declared: dict[int | str, dict[str, Any]] = {}
    for kind in types:
        text = f"{kind.title} (`{kind.type_uri()}`)"
        entry = declared.setdefault(
            kind.status, {"description": "", "content": {CONTENT_TYPE: {"schema": _SCHEMA_REF}}}
        )
        entry["description"] = f"{entry['description']} · {text}".removeprefix(" · ")
    return declared


_SCHEMA_REF = {"$ref": "#/components/schemas/ProblemDocument"}
_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        BadRequest, Unauthenticated, Forbidden, NotFound, MethodNotAllowed, Conflict,
        PreconditionFailed, TooLarge, UnsupportedMedia, Invalid, TooManyRequests, Unavailable,
    )
}  # fmt: skip


def problem_response(problem: Problem, request_id: str) -> Response:
    """Return the HTTP answer for a problem."""
    return Response(
        orjson.dumps(problem.body(request_id), default=str),
        status_code=problem.status,
        headers={**problem.headers(), "Cache-Control": "no-store"},
        media_type=CONTENT_TYPE,
    )


def request_id_of(request: Request) -> str:
    """Return the id under which this request is logged."""
    return str(getattr(request.state, "request_id", ""))


def install_handlers(app: FastAPI) -> None:
    """Make every error of this application a problem document."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error, request_id_of(request))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(problem_of_validation(error), request_id_of(request))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, Problem):
            # FastAPI wraps whatever is raised while it reads a body.
            return problem_response(error.__cause__, request_id_of(request))
        kind = _BY_STATUS.get(error.status_code, BadRequest)
        response = problem_response(kind(str(error.detail)), request_id_of(request))
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def problem_of_validation(error: RequestValidationError) -> Problem:
    """Turn FastAPI's validation error into our 422 (or 400 when the body is no JSON at all)."""
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        reason = found[0].get("ctx", {}).get("error", "it cannot be parsed")
        return BadRequest(f"The body is not JSON: {reason}.")
    errors = [
        {"pointer": _pointer(e["loc"]), "detail": str(e["msg"]), "code": str(e["type"])}
        for e in found[:50]
    ]
    name = _field(found[0]["loc"])
    return Invalid(f"{name}: {errors[0]['detail']}.", field=name, errors=errors)


def _field(location: Sequence[int | str]) -> str:
    """Return the innermost name: neither a place in a list nor a branch that pydantic tried."""
    names = [part for part in location if isinstance(part, str) and part.isidentifier()]
    return names[-1] if names else str(location[-1])


def _pointer(location: Sequence[int | str]) -> str:
    """Return the place of the fault: `/body/name`, `/query/page`, `/path/id`."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location]
    return "/" + "/".join(parts)
