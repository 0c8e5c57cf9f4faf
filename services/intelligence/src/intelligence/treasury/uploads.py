"""Taking a table out of a request: as the body itself, or as the part `file` of a form."""

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
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)


class FileTooLarge(TooLarge):
    title: ClassVar[str] = "The file is too large"


class NoFile(Invalid):
    title: ClassVar[str] = "The form holds no file"


class UnknownUpload(UnsupportedMedia):
    title: ClassVar[str] = "Send the file as its own body or in a form as the part `file`"


async def uploaded(request: Request) -> bytes:
    """Return the file of a request.

    Raises:
        FileTooLarge: it is larger than 8 MiB.
        NoFile: the form has no part named `file`.
        UnknownUpload: the content type is neither a table's nor a form's.
        BadRequest: the form cannot be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _TABLES:
        return await _body(request, MAX_FILE_BYTES)
    if kind == "multipart/form-data":
        return await _form(request)
    raise UnknownUpload(f"The content type {kind or 'none'} is not known here.")


async def _body(request: Request, limit: int) -> bytes:
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > limit:
            raise FileTooLarge(f"At most {MAX_FILE_BYTES} bytes fit one import; split the file.")
    return bytes(read)


async def _form(request: Request) -> bytes:
    # Read whole first: the form parser would spool a file of any size to disk.
    body = await _body(request, MAX_FILE_BYTES + _FORM_OVERHEAD_BYTES)

    async def once() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, once).form(max_files=1, max_fields=10)
    except MultiPartException as error:
        raise BadRequest(f"The form cannot be read: {error.message}.") from error
    part = form.get("file")
    content = await part.read() if isinstance(part, UploadFile) else None
    await form.close()
    if content is None:
        raise NoFile("The form has no part named file.", field="file")
    return content
