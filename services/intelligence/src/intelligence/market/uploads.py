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


async def uploaded(request: Request) -> bytes:
    """Return the file of a request.

    Raises:
        FileTooLarge: the file is larger than 8 MiB.
        BadUpload: the form has no file.
        UnknownUpload: the content type is neither a table's nor a form's.
        BadRequest: the form cannot be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _form(request)
    if kind in _TABLES:
        return await _body(request, MAX_FILE_BYTES)
    raise UnknownUpload(f"The content type {kind or 'none'} is not known here.")


async def _body(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise FileTooLarge(f"At most {MAX_FILE_BYTES} bytes fit one import; split the file.")
        parts.append(part)
    return b"".join(parts)


async def _form(request: Request) -> bytes:
    # Read whole first: the form parser would spool a file of any size to disk.
    body = await _body(request, MAX_FILE_BYTES + _FORM_OVERHEAD_BYTES)

    async def once() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, once).form(max_files=1, max_fields=10)
    except MultiPartException as error:
        raise BadRequest(f"The form cannot be read: {error.message}.") from error
    found = form.get("file")
    content = await found.read() if isinstance(found, UploadFile) else None
    await form.close()
    if content is None:
        raise BadUpload("The form has no part named file.", field="file")
    return content
