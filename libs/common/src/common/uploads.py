"""Taking a file out of a request: as the body itself, or as the part `file` of a form."""

from typing import Any, ClassVar

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from common.errors import BadRequest, Invalid, TooLarge, UnsupportedMedia

MAX_FILE_BYTES = 8 * 1024 * 1024
_FORM_OVERHEAD_BYTES = 64 * 1024
_TABLES = frozenset(
    {
        "text/csv",
        "text/plain",
        "application/csv",
        "application/vnd.ms-excel",  # what a browser on Windows calls CSV
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)


class FileTooLarge(TooLarge):
    title: ClassVar[str] = "The file is too large"


class BadUpload(Invalid):
    title: ClassVar[str] = "The upload is not valid"


class UnknownUpload(UnsupportedMedia):
    title: ClassVar[str] = (
        "Send the file as its own body (CSV, xlsx) or in a form as the part `file`"
    )


async def uploaded(request: Request) -> tuple[bytes, dict[str, str]]:
    """Return the file of a request, and the other fields of its form.

    Raises:
        FileTooLarge: the file is larger than 8 MiB.
        BadUpload: the form has no file.
        UnknownUpload: the content type is neither a table's nor a form's.
        BadRequest: the form cannot be read.
    """
    too_large = FileTooLarge(f"At most {MAX_FILE_BYTES} bytes fit one import; split the file.")
    content, fields = await read_file(request, too_large)
    if content is None:
        raise BadUpload("The form has no part named file.", field="file")
    return content, fields


def media_type(request: Request) -> str:
    """Return the content type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_file(
    request: Request,
    too_large: TooLarge,
    *,
    unknown: type[UnsupportedMedia] = UnknownUpload,
    max_fields: int = 10,
) -> tuple[bytes | None, dict[str, str]]:
    """Return a file, None where a form has none, and the form's fields, in the caller's words."""
    kind = media_type(request)
    if kind == "multipart/form-data":
        return await _form(request, too_large, max_fields)
    if kind in _TABLES:
        return await read_body(request, too_large), {}
    raise unknown(f"The content type {kind or 'none'} is not known here.")


async def read_body(request: Request, too_large: TooLarge, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return a body; as soon as it exceeds the limit, `too_large` is raised."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


async def _form(
    request: Request, too_large: TooLarge, max_fields: int
) -> tuple[bytes | None, dict[str, str]]:
    # Read whole first: the form parser would spool a file of any size to disk.
    body = await read_body(request, too_large, MAX_FILE_BYTES + _FORM_OVERHEAD_BYTES)

    async def once() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, once).form(max_files=1, max_fields=max_fields)
    except MultiPartException as error:
        raise BadRequest(f"The form cannot be read: {error.message}.") from error
    content: bytes | None = None
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields[name] = value
        elif name == "file":
            content = await value.read()
    await form.close()
    return content, fields
