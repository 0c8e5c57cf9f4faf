import json

import pytest

from common import strict_json


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e-99999999999999999999"])
def test_an_exponent_that_no_decimal_has_is_no_number(number: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        strict_json.loads(f'{{"amount": {number}}}'.encode())
