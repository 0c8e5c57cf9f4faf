"""A system to be broken."""

import pytest
from tests.running import System, Systems


@pytest.fixture(scope="module")
def system(systems: Systems) -> System:
    """A running system of the fault tests' own."""
    return systems.use("faults")
