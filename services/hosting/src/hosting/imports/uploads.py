"""An import as it was sent: its file, and its options from the query or the form."""

from typing import Any

from fastapi import Request
from pydantic import ValidationError

from common import uploads
from common.uploads import BadUpload
from hosting.imports.sheets import ImportOptions


async def uploaded(request: Request) -> tuple[bytes, ImportOptions]:
    """Return the file of a request, and the options from its query or its form.

    Raises:
        FileTooLarge: the file is larger than 8 MiB.
        BadUpload: an option is unknown or malformed, or the form has no file.
        UnknownUpload: the content type is neither a table's nor a form's.
        BadRequest: the form cannot be read.
    """
    content, fields = await uploads.uploaded(request)
    return content, _options(dict(request.query_params) | fields)


def _options(given: dict[str, Any]) -> ImportOptions:
    try:
        return ImportOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        raise BadUpload(f"{name}: {first['msg']}.", field=name) from error
