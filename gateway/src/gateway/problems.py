"""The problems that only a front door has.

Problem
├── SecondFactorRequired 403
├── NotAcceptable       406
├── RequestTimeout      408  the body came too slowly
├── UriTooLong          414
├── ExpectationFailed   417
├── HeadersTooLarge     431
├── UpstreamUnreachable 502  the service does not answer, or answers no HTTP
├── Shed                503  the service is known to be away, or full
└── UpstreamTimeout     504
"""

from typing import ClassVar

from common.errors import Forbidden, MethodNotAllowed, Problem, Unavailable


class WrongMethod(MethodNotAllowed):
    """405 with the methods that would do."""

    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(sorted(self.extensions["allowed"]))}


class SecondFactorRequired(Forbidden):
    title: ClassVar[str] = "The role asks for a second factor"


class NotAcceptable(Problem):
    status: ClassVar[int] = 406
    title: ClassVar[str] = "None of the accepted types is served"


class RequestTimeout(Problem):
    status: ClassVar[int] = 408
    title: ClassVar[str] = "The request took too long to arrive"


class UriTooLong(Problem):
    status: ClassVar[int] = 414
    title: ClassVar[str] = "The address is too long"


class ExpectationFailed(Problem):
    status: ClassVar[int] = 417
    title: ClassVar[str] = "The expectation cannot be met"


class HeadersTooLarge(Problem):
    status: ClassVar[int] = 431
    title: ClassVar[str] = "The header fields are too large"


class UpstreamUnreachable(Problem):
    status: ClassVar[int] = 502
    title: ClassVar[str] = "The service cannot be reached"


class Shed(Unavailable):
    title: ClassVar[str] = "The service is busy or away"


class UpstreamTimeout(Problem):
    status: ClassVar[int] = 504
    title: ClassVar[str] = "The service did not answer in time"
