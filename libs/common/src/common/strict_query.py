"""Query parameters read strictly: a misspelt filter is refused, not ignored."""

from collections.abc import Callable, Iterator
from typing import get_args

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from common.errors import Invalid


def query_check(dependant: Dependant) -> Callable[[Request], None] | None:
    """Return what checks a request's query against what a route takes; None if it takes none.

    It costs nothing where there is no query: what FastAPI parses afterwards is parsed here.
    """
    known = dict(_parameters(dependant))
    if not known:
        return None
    exact = frozenset(name for name, field in known.items() if not _is_text(field.annotation))

    def check(request: Request) -> None:
        if not request.scope["query_string"]:
            return
        for name, value in request.query_params.multi_items():
            if name not in known:
                _refuse(name, f"No such query parameter; here are {', '.join(sorted(known))}.")
            if name in exact and value != value.strip():
                _refuse(name, "The value must not be surrounded by white space.")

    return check


def _refuse(name: str, why: str) -> None:
    place = {"pointer": f"/query/{name[:100]}", "detail": why, "code": "query_parameter"}
    raise Invalid(f"{name[:100]}: {why}", field=name[:100], errors=[place])


def _parameters(dependant: Dependant) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the query parameters of a route, its dependencies' and those that a model holds."""
    for one in dependant.query_params:
        annotation = one.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                yield field.alias or name, field
        else:
            yield one.alias, one.field_info
    for below in dependant.dependencies:
        yield from _parameters(below)


def _is_text(annotation: object) -> bool:
    return annotation is str or any(_is_text(part) for part in get_args(annotation))
