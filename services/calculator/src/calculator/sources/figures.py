"""What a market source says, read strictly: every figure is one that can be true."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from calculator.domain.readings import Kind, Reading, objection
from common.party import Answer, NoAnswer, member


class Figures:
    """The JSON of an answer, with what is needed to make readings of it."""

    def __init__(self, answer: Answer, *path: str) -> None:
        """Read an answer from the member at a path on.

        Raises:
            NoAnswer: it is no JSON, or there is no such member.
        """
        self.source = answer.party
        self.simulated = answer.simulated
        self.content: Any = answer.member(*path)
        self._asked_at = answer.asked_at

    def value(self, *path: str) -> Any:
        """Return the member at a path.

        Raises:
            NoAnswer: there is none.
        """
        return member(self.source, self.content, path)

    def number(self, *path: str) -> Decimal:
        """Return the number at a path; some parties write numbers as text."""
        return self.decimal(self.value(*path))

    def decimal(self, value: Any) -> Decimal:
        """Return a member as a finite number.

        Raises:
            NoAnswer: it is not one.
        """
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise NoAnswer(f"{self.source}: a number was expected")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise NoAnswer(f"{self.source}: a number was expected") from None
        if not number.is_finite():
            raise NoAnswer(f"{self.source}: a finite number was expected")
        return number

    def rows(self, value: Any) -> list[Any]:
        """Return a member as a list.

        Raises:
            NoAnswer: it is none.
        """
        if not isinstance(value, list):
            raise NoAnswer(f"{self.source}: a list was expected")
        return cast("list[Any]", value)

    def moment(self, seconds: Decimal) -> datetime:
        """Return the time that a Unix timestamp stands for.

        Raises:
            NoAnswer: it is no time of this or the next century.
        """
        if not 0 < seconds < 5 * 10**9:
            raise NoAnswer(f"{self.source}: {seconds:.6g} is no time")
        return datetime.fromtimestamp(float(seconds), UTC)

    def reading(self, kind: Kind, value: Decimal, at: datetime | None = None) -> Reading:
        """Return a reading, if it can be true.

        Raises:
            NoAnswer: it cannot.
        """
        asked_at = self._asked_at
        made = Reading(kind, self.source, value, at or asked_at, asked_at, self.simulated)
        if why := objection(made):
            raise NoAnswer(f"{self.source}: {why}")
        return made
