"""The byte-level guard: what is no honest HTTP request never reaches a policy or a service.

Nothing is repaired. A path with two readings is refused, because the policy would be asked about
one of them and the service would act on the other.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from common.errors import BadRequest, Invalid, NotFound, Problem, UnsupportedMedia
from gateway.problems import (
    ExpectationFailed,
    HeadersTooLarge,
    NotAcceptable,
    UriTooLong,
)

MAX_URL_BYTES = 8_192
MAX_HEADERS = 64
MAX_HEADER_BYTES = 16_384
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
UNDERSTOOD = METHODS | {"HEAD", "OPTIONS"}
"""What a route need not list: HEAD goes with GET, OPTIONS with anything."""

_BODILESS = frozenset({"GET", "OPTIONS"})
_SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"cookie",
        b"origin",
        b"expect",
    }
)
_SEGMENT = rb"[A-Za-z0-9_~:@!$&'()*+,=-][A-Za-z0-9._~:@!$&'()*+,=-]*"
_PLAIN_PATH = re.compile(rb"/|(?:/" + _SEGMENT + rb")+/?")
_ESCAPED_SEGMENT = rb"(?:[A-Za-z0-9_~:@!$&'()*+,=-]|%[0-9A-Fa-f]{2})(?:[A-Za-z0-9._~:@!$&'()*+,=-]|%[0-9A-Fa-f]{2})*"  # noqa: E501  (one expression)
_ESCAPED_PATH = re.compile(rb"(?:/" + _ESCAPED_SEGMENT + rb")+/?")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_FORBIDDEN_ESCAPED = frozenset(b"/\\.%;?#") | frozenset(range(0x20)) | {0x7F}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_QUERY = re.compile(rb"[!-~]*")
_SERVED = (
    b"*/*",
    b"application/*",
    b"application/json",
    b"application/problem+json",
    b"application/vnd.",
    b"text/",
)


class Head:
    """The head of a request, read once."""

    __slots__ = (
        "chunked", "content_length", "fields", "host", "method", "only_head", "path", "query",
    )  # fmt: skip

    def __init__(self, scope: Any, fields: dict[bytes, bytes]) -> None:
        method: str = scope["method"]
        self.only_head = method == "HEAD"
        """The client wants no body. For all else this is a GET, to the services too."""
        self.method = "GET" if self.only_head else method
        self.path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.fields = fields
        self.host = fields[b"host"]
        self.chunked = b"transfer-encoding" in fields
        length = fields.get(b"content-length")
        self.content_length = 0 if length is None else int(length)

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or self.content_length > 0


def read_head(scope: Any, hosts: frozenset[bytes]) -> Head:
    """Return the head of a request that is fit to be routed.

    Raises:
        Problem: the bytes have more than one reading, or are too many.
    """
    check_target(scope["raw_path"], scope["query_string"])
    fields = _fields(scope["headers"])
    host = fields.get(b"host")
    if host is None or host.lower() not in hosts:
        raise BadRequest("The Host header must name this gateway.")
    if b"transfer-encoding" in fields or b"content-length" in fields:
        _check_framing(fields, scope["http_version"])
    head = Head(scope, fields)
    if head.has_body:
        _check_body(head)
    expect = fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise ExpectationFailed("Only Expect: 100-continue is understood.")
    accept = fields.get(b"accept")
    if accept is not None and b"*/*" not in accept:
        _check_accept(accept)
    return head


def check_target(path: bytes, query: bytes) -> None:
    """Refuse a path or query that could be read in two ways."""
    if len(path) + len(query) > MAX_URL_BYTES:
        raise UriTooLong(f"An address has at most {MAX_URL_BYTES} bytes.")
    if not _PLAIN_PATH.fullmatch(path):
        _check_escaped(path)
    if len(path) > 1 and path.endswith(b"/"):
        raise NotFound("There is nothing at this path; try it without the slash at the end.")
    if query and (not _QUERY.fullmatch(query) or b"hy_live_" in query):
        raise _query_problem(query)
    if b"&" in query:
        _check_names(query)


def _check_names(query: bytes) -> None:
    """Refuse a name given twice: no route takes a list, and two readers may take another one."""
    seen: set[str] = set()
    for name, _ in parse_qsl(query.decode("ascii"), keep_blank_values=True):
        if name in seen:
            raise Invalid(f"{name} is given twice in the query; give it once.", field=name)
        seen.add(name)


def _query_problem(query: bytes) -> Problem:
    if b"hy_live_" in query:
        return BadRequest(
            "An API key stands in the address, where logs keep it. Revoke it, make a new one and "
            "send that as Authorization: Bearer."
        )
    return BadRequest("The query holds bytes that must be percent-encoded.")


def _check_escaped(path: bytes) -> None:
    problem = BadRequest("The path is ambiguous: send it plain, without empty or dotted segments.")
    if not _ESCAPED_PATH.fullmatch(path):
        raise problem
    for escape in _ESCAPE.findall(path):
        byte = int(escape[1:], 16)
        if byte in _FORBIDDEN_ESCAPED or byte in _UNRESERVED:
            raise problem
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise problem from error


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    size = count = 0
    for name, value in headers:
        count += 1
        size += len(name) + len(value)
        if name in fields:
            if name in _SINGLE:
                raise BadRequest(f"The header {name.decode('latin-1')} is given twice.")
            fields[name] += b", " + value
        elif b"_" in name:
            raise BadRequest(f"The header name {name.decode('latin-1')} holds an underscore.")
        else:
            fields[name] = value
    if count > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(
            f"A request has at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes in total."
        )
    return fields


def _check_framing(fields: dict[bytes, bytes], http_version: str) -> None:
    encoding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if encoding is not None:
        if length is not None:
            raise BadRequest("Content-Length and Transfer-Encoding exclude one another.")
        if encoding.lower() != b"chunked" or http_version != "1.1":
            raise BadRequest("The only transfer coding is chunked, in HTTP/1.1.")
    if length is not None and not length.isdigit():
        raise BadRequest("Content-Length is not a number.")


def _check_body(head: Head) -> None:
    if head.method in _BODILESS:
        raise BadRequest("GET, HEAD and OPTIONS take no body.")
    if head.fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("Send the body uncompressed.")


def _check_accept(accept: bytes) -> None:
    lowered = accept.lower()
    if lowered and not any(served in lowered for served in _SERVED):
        raise NotAcceptable("This API answers in application/json.")
