"""Parts of a body that are read by themselves, refused as the body would have been."""

from collections.abc import Callable
from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from common.errors import problem_of_validation

R = TypeVar("R")


def read_part(read: Callable[[object], R], value: object, place: str) -> R:
    """Read a member of a body.

    Raises:
        Problem: it is not what it should be (422, with the field named).
    """
    try:
        return read(value)
    except ValidationError as error:
        found = [one | {"loc": ("body", place, *one["loc"])} for one in error.errors()]
        raise problem_of_validation(RequestValidationError(found)) from error
