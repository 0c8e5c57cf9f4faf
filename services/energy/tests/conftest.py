import pytest

from common.app import Service
from energy.main import SERVICE


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE
