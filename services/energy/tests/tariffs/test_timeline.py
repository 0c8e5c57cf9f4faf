"""Which version of which rate holds when: pure."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from energy.tariffs.timeline import Edition, Reign, Timeline

A, B = UUID(int=1), UUID(int=2)
T0 = datetime(2026, 1, 1, tzinfo=UTC)
HERE, EVERYWHERE = "site:1", ""


def day(number: int) -> datetime:
    return T0 + timedelta(days=number)


def editions(*rows: tuple[UUID, int, int]) -> list[Edition]:
    return [Edition(rate_id, version, day(since)) for rate_id, version, since in rows]


def reign(place: str, rate_id: UUID, start: int, end: int | None) -> Reign:
    return Reign(place, rate_id, day(start), day(end) if end is not None else None)


def test_nothing_holds_where_nothing_was_ever_active() -> None:
    line = Timeline([HERE, EVERYWHERE], [], [])
    assert line.at(T0) is None
    assert list(line.between(day(0), day(1))) == [(day(0), day(1), None)]


def test_ends_are_half_open() -> None:
    reigns = [reign(HERE, A, 0, 5), reign(HERE, B, 5, None)]
    line = Timeline([HERE], reigns, editions((A, 1, 0), (B, 1, 0)))
    assert line.at(day(5) - timedelta(microseconds=1)) == (A, 1)
    assert line.at(day(5)) == (B, 1)


def test_the_nearest_place_decides_and_a_gap_there_falls_back() -> None:
    reigns = [reign(HERE, A, 2, 4), reign(EVERYWHERE, B, 0, None)]
    line = Timeline([HERE, EVERYWHERE], reigns, editions((A, 1, 0), (B, 1, 0)))
    assert list(line.between(day(0), day(6))) == [
        (day(0), day(2), (B, 1)),
        (day(2), day(4), (A, 1)),
        (day(4), day(6), (B, 1)),
    ]


def test_before_the_first_activation_the_first_rate_counts() -> None:
    reigns = [reign(HERE, A, 10, 20), reign(HERE, B, 20, None)]
    line = Timeline([HERE], reigns, editions((A, 1, 10), (A, 2, 15), (B, 1, 20)))
    assert line.at(day(-100)) == (A, 1)


def test_a_deactivation_is_meant() -> None:
    line = Timeline([HERE], [reign(HERE, A, 0, 5)], editions((A, 1, 0)))
    assert line.at(day(6)) is None


def test_of_versions_that_have_begun_the_newest_counts() -> None:
    rows = editions((A, 1, 0), (A, 2, 10), (A, 3, 5))  # the third corrects the second
    line = Timeline([HERE], [reign(HERE, A, 0, None)], rows)
    assert [line.at(day(n)) for n in (0, 4, 5, 9, 10, 11)] == [
        (A, 1), (A, 1), (A, 3), (A, 3), (A, 3), (A, 3),
    ]  # fmt: skip


numbers = st.integers(0, 30)
reigns_of = st.lists(
    st.tuples(st.sampled_from([HERE, EVERYWHERE]), st.sampled_from([A, B]), numbers, numbers),
    max_size=6,
)


@given(reigns_of, st.lists(st.tuples(st.sampled_from([A, B]), numbers), max_size=5))
def test_the_stretches_say_what_each_instant_says(
    rows: list[tuple[str, UUID, int, int]], versions: list[tuple[UUID, int]]
) -> None:
    reigns = [reign(place, rate, start, start + 1 + more) for place, rate, start, more in rows]
    known = editions((A, 1, 3), (B, 1, 3), *((r, n, d) for n, (r, d) in enumerate(versions, 2)))
    line = Timeline([HERE, EVERYWHERE], reigns, known)
    stretches = list(line.between(day(0), day(40)))
    assert stretches[0][0] == day(0)
    assert stretches[-1][1] == day(40)
    for (_, until, held), (since, _, following) in pairwise(stretches):
        assert until == since
        assert held != following
    for since, until, held in stretches:
        hours = int((until - since) / timedelta(hours=12))
        assert {line.at(since + timedelta(hours=12 * hour)) for hour in range(hours)} == {held}
