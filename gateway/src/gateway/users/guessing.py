"""What somebody would try first: passwords made of words, runs and names that all attackers know.

The rule is about what remains. A password is taken apart into pieces that cost a guesser next to
nothing (a well-known word also in disguise, a walk over the keyboard, a run, a year, repetition,
what the person's address and organisation say); each counts as one character, like every character
that is left over. Long is not enough: `password1234` is two pieces.
"""

import re
import unicodedata
from collections.abc import Iterable

ENOUGH = 3
"""Unpredictable characters, or pieces, that a password needs. A rule that asks for more would
refuse what is safe behind a throttle of five guesses, and teach people to write it down."""
_MIN_PIECE = 4
_MIN_NAME = 3
_TRIED_FIRST = """
password passwort passwd passphrase passcode pass word secret secure security private
welcome hello letmein openup please enter access login logon signin account
admin administrator root superuser super user users guest owner host client manager operator
default change changeme changeit temp temporary test testing tester demo example sample
master service system server computer internet network office company business
spring summer autumn winter season january february march april june july august
september october november december monday tuesday wednesday thursday friday saturday sunday
love iloveyou loveyou forever friend family angel baby sunshine flower princess dragon monkey
tiger football soccer baseball hockey summertime holiday freedom trust trustno1 whatever
bitcoin satoshi nakamoto blockchain crypto mining miner miners antminer whatsminer hashrate
hashpower hashyard
"""
_WORDS = frozenset(_TRIED_FIRST.split())
_ROWS = (
    "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop",
    "qsdfghjklm", "wxcvbn", "abcdefghijklmnopqrstuvwxyz", "0123456789", "!@#$%^&*()",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujmikolp",
)  # fmt: skip
_WALKS = frozenset(
    row[start : start + length]
    for line in _ROWS
    for row in (line, line[::-1])
    for length in range(_MIN_PIECE, len(line) + 1)
    for start in range(len(line) - length + 1)
)
_DISGUISES = str.maketrans("@430!1$57", "aaeoiisst")
_YEAR = re.compile(r"(?:19|20)\d\d")
_REPEATED = re.compile(r"(.{1,6}?)\1+")
_SEPARATORS = re.compile(r"[\W_]+")


def unpredictable(password: str, about: Iterable[str]) -> int:
    """Return how many characters of a password a guesser does not get for free.

    about: what is known of its owner, such as the address and the organisation's name.
    """
    plain = unicodedata.normalize("NFKC", password).casefold()
    plain = _REPEATED.sub(_once, plain)
    words = _WORDS | _names(about)
    disguised = plain.translate(_DISGUISES)
    count = place = 0
    while place < len(plain):
        place += max(1, _piece(plain, disguised, place, words))
        count += 1
    return count


def is_easy(password: str, about: Iterable[str]) -> bool:
    """Return whether a guesser has a good chance."""
    return unpredictable(password, about) < ENOUGH


def _once(repeated: re.Match[str]) -> str:
    return repeated[1] if len(repeated[0]) >= _MIN_PIECE else repeated[0]


def _names(about: Iterable[str]) -> frozenset[str]:
    names: set[str] = set()
    for text in about:
        plain = unicodedata.normalize("NFKC", text).casefold()
        names |= {plain, *_SEPARATORS.split(plain), _SEPARATORS.sub("", plain)}
    names |= {_REPEATED.sub(_once, name) for name in names}  # as the password's own repeats are
    return frozenset(name for name in names if len(name) >= _MIN_NAME)


def _piece(plain: str, disguised: str, place: int, words: frozenset[str]) -> int:
    """Return the length of the longest known piece that begins here, or 0."""
    for end in range(len(plain), place + _MIN_NAME - 1, -1):
        if plain[place:end] in words or disguised[place:end] in words:
            return end - place
        if plain[place:end] in _WALKS:
            return end - place
    return _MIN_PIECE if _YEAR.match(plain, place) else 0
