"""One spelling per mailbox."""

import re
import unicodedata

_FORM = re.compile(r"[^@\s\x00-\x1f\x7f<>(),;:\\\"\[\]]{1,64}@[^@\s\x00-\x1f\x7f<>(),;:\\\"\[\]]+")


def normalise(email: str) -> str:
    """Return the address in NFKC and lower case.

    Raises:
        ValueError: it has not the form of an address.
    """
    plain = unicodedata.normalize("NFKC", email).lower()
    if not _FORM.fullmatch(plain):
        msg = "not an e-mail address"
        raise ValueError(msg)
    return plain
