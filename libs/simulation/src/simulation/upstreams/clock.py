"""A clock that tests turn by hand."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 14, 49, 29, tzinfo=UTC)


class HandClock:
    """Stands still until it is moved; call it for the time, as `serve(now=...)` does."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    @property
    def s(self) -> float:
        """The time as seconds since 1970."""
        return self.at.timestamp()

    def forward(self, seconds: float) -> None:
        """Move the clock; a negative number moves it back."""
        self.at += timedelta(seconds=seconds)
