import numpy as np

from intelligence.domain.indicators import Bars, in_order, lingering, shifted, vwap

DAY = 86_400.0


def _bars(times: list[float], close: list[float], volume: list[float]) -> Bars:
    prices = np.array(close, dtype=np.float64)
    at, volumes = np.array(times, dtype=np.float64), np.array(volume, dtype=np.float64)
    return Bars(at, prices, prices, prices, prices, volumes)


def test_candles_are_sorted_and_the_last_sent_of_a_time_counts() -> None:
    kept, place = in_order(_bars([20, 10, 30, 10], [2, 1, 3, 9], [1, 1, 1, 1]))
    assert kept.time_s.tolist() == [10, 20, 30]
    assert kept.close.tolist() == [9, 2, 3]
    assert place.tolist() == [0, 0, 1, 2]  # every candle sent, in the order of time


def test_no_candles_are_in_order() -> None:
    kept, place = in_order(_bars([], [], []))
    assert len(kept) == len(place) == 0


def test_a_mask_lingers() -> None:
    mask = np.array([False, True, False, False, False, True])
    assert lingering(mask, 3).tolist() == [False, True, True, True, False, True]
    assert lingering(mask, 1).tolist() == mask.tolist()


def test_values_move_later_and_earlier() -> None:
    values = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(shifted(values, 1), [np.nan, 1, 2])
    np.testing.assert_array_equal(shifted(values, -2), [3, np.nan, np.nan])
    np.testing.assert_array_equal(shifted(values, 0), values)
    for far in (3, 26, -3, -26):
        assert np.isnan(shifted(values, far)).all()


def test_vwap_begins_anew_every_day_of_utc() -> None:
    hours = [DAY - 7200, DAY - 3600, DAY, DAY + 3600]
    found = vwap(_bars(hours, [10, 20, 30, 60], [1, 3, 2, 1]))
    np.testing.assert_allclose(found, [10, (10 + 60) / 4, 30, (60 + 60) / 3])


def test_vwap_of_daily_candles_begins_anew_every_month() -> None:
    days = [DAY * day for day in (29, 30, 31, 32)]  # 30 and 31 January, 1 and 2 February 1970
    found = vwap(_bars(days, [10, 20, 30, 60], [1, 1, 1, 2]))
    np.testing.assert_allclose(found, [10, 15, 30, 50])


def test_vwap_is_null_while_nothing_is_traded() -> None:
    found = vwap(_bars([0, 60, 120], [10, 20, 30], [0, 0, 5]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, 30])
    assert len(vwap(_bars([], [], []))) == 0
