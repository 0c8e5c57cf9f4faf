from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from common.app import Service


@pytest.mark.parametrize("none_named", [",", " , ,", ""])
def test_a_setting_that_names_no_miner_model_is_refused(
    make_settings: Callable[..., Any], service: Service, none_named: str
) -> None:
    with pytest.raises(ValidationError, match="wind_models"):
        make_settings(service, wind_models=none_named)
    assert make_settings(service, wind_models="S9,").miner_models() == ["S9"]


@pytest.mark.parametrize(
    "window",
    ["25:00-06:00", "24:00-06:00", "22:60-06:00", "22:00-06:61", "2:00-6:00", "22:00", "22-06", ""],
)
def test_a_window_that_no_clock_shows_is_refused(
    make_settings: Callable[..., Any], service: Service, window: str
) -> None:
    with pytest.raises(ValidationError, match="wind_window"):
        make_settings(service, wind_window=window)
    for usual in ("22:00-06:00", "00:00-23:59", "05:00-05:00"):
        assert make_settings(service, wind_window=usual).wind_window == usual
