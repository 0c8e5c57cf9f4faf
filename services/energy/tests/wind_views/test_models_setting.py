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
