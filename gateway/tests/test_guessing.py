"""Which passwords are guessed first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.users.guessing import ENOUGH, is_easy, unpredictable

ABOUT = ("jane.miller@northgrid.example", "North Grid Mining GmbH")


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "P@ssw0rdP@ssw0rd",
        "1qaz2wsx3edc4rfv",
        "1q2w3e4r5t6y",
        "aaaaaaaaaaaaaaaa",
        "changemechangeme",
        "jane.miller@northgrid.example",
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff441234",  # in full width
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert is_easy(password, ABOUT)


@pytest.mark.parametrize(
    "password",
    [
        "a long pass phrase",
        "hashyard-demo",
        "correct-horse-battery",
        "kettle violin gravel",
        "x7!Rq2#vLm9z",
        "Wm3-kP8s-Zt1q",
        "01a1fde3-32f7-7dec-900c-7e2af13450b1",
        "vBc_9XQ2-lk0Jp8e",
    ],
)
def test_what_is_a_surprise_is_taken(password: str) -> None:
    assert not is_easy(password, ABOUT)


def test_only_the_owner_s_own_names_count() -> None:
    assert not is_easy("northgrid-kettle", ())
    assert unpredictable("northgrid-kettle", ABOUT) == unpredictable("northgrid-kettle", ()) - 8


@given(st.text(max_size=128), st.text(max_size=40))
def test_any_text_is_judged(password: str, name: str) -> None:
    assert 0 <= unpredictable(password, (name,)) <= max(len(password) * 18, ENOUGH)


def test_a_name_that_repeats_itself_is_still_a_name() -> None:
    assert is_easy("new-abab12121212@example.com!", ("new-abab12121212@example.com",))
