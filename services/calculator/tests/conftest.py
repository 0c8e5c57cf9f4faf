import pytest

from calculator.main import SERVICE
from common.app import Service


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE
