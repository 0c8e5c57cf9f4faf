"""Alert rules: they fire late enough, clear late enough, and never on what is missing."""

from hypothesis import given
from hypothesis import strategies as st

from telemetry.domain.alarm import Rule, Watch

LOW = Rule(name="low", severity="warning", enter=0.85, leave=0.92, needed=3, of=5, above=False)
HOT = Rule(name="hot", severity="critical", enter=90, leave=85, needed=2, of=3, above=True)


def _after(rule: Rule, *values: float | None) -> Watch:
    watch = Watch()
    for value in values:
        watch = watch.after(rule, value)
    return watch


def test_fires_at_m_of_n() -> None:
    assert not _after(LOW, 0.5, 0.5).firing
    assert _after(LOW, 0.5, 0.9, 0.5, 0.9, 0.5).firing
    assert not _after(LOW, 0.5, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5).firing
    assert _after(HOT, 91, 80, 90).firing


def test_between_the_thresholds_it_stays() -> None:
    assert _after(LOW, 0.5, 0.5, 0.5, *[0.9] * 50).firing
    assert not _after(LOW, *[0.9] * 50).firing
    assert not _after(LOW, 0.5, 0.5, 0.5, *[0.95] * 5).firing
    assert _after(LOW, 0.5, 0.5, 0.5, *[0.95] * 4, 0.9, *[0.95] * 4).firing


def test_missing_values_change_nothing() -> None:
    assert not _after(LOW, 0.5, None, None, 0.5, None).firing
    assert _after(LOW, 0.5, None, 0.5, None, 0.5).firing


def test_excused_values_clear() -> None:
    firing = _after(LOW, 0.5, 0.5, 0.5)
    assert firing.after(LOW, 0.1, suppressed=True) == Watch()


@given(st.lists(st.none() | st.floats(0.9200001, 2)))
def test_good_values_never_fire(values: list[float | None]) -> None:
    assert not _after(LOW, *values).firing


@given(st.lists(st.none() | st.floats(0, 2), max_size=60))
def test_state_survives_storage(values: list[float | None]) -> None:
    watch = _after(LOW, *values)
    assert Watch(watch.firing, watch.bad_bits, watch.good_run) == watch
    assert 0 <= watch.bad_bits < 2**LOW.of
