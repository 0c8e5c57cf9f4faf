"""Serial numbers: what makes two of them the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from hosting.domain.serial import like_pattern, serial_key


@given(st.text())
def test_the_key_is_stable(serial_number: str) -> None:
    assert serial_key(f" {serial_number}\t") == serial_key(serial_number)
    assert not re.search(r"\s", serial_key(serial_number))


def test_case_space_and_width_do_not_count() -> None:
    assert serial_key("htx 00\uff11A") == serial_key("HTX001a")


@given(st.text(alphabet="ab%_\\"), st.text(alphabet="ab%_\\"))
def test_a_pattern_finds_exactly_what_contains_it(search: str, serial_number: str) -> None:
    parts = re.findall(r"\\(.)|(%)|(_)|(.)", like_pattern(search)[1:-1])
    assert not any(percent or underscore for _, percent, underscore, _ in parts)
    literal = "".join(escaped or plain for escaped, _, _, plain in parts)
    assert (literal in serial_number) == (search in serial_number)
