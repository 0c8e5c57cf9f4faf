"""Serial numbers: what makes two of them the same."""

import unicodedata


def serial_key(serial_number: str) -> str:
    """Return the serial number without regard to case, spaces and width of its characters."""
    return "".join(unicodedata.normalize("NFKC", serial_number).casefold().split())


def like_pattern(search: str, *, escape: str = "\\") -> str:
    """Return a LIKE pattern that finds `search` anywhere in a serial key, `%` and `_` literally."""
    folded = serial_key(search)
    for special in (escape, "%", "_"):
        folded = folded.replace(special, escape + special)
    return f"%{folded}%"
