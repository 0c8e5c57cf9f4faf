"""What tests over several services share: stacks of their own, one running at a time."""

from collections.abc import Generator

import pytest

pytest.register_assert_rewrite(
    "tests.running", "tests.books", "tests.breaking", "tests.metering", "tests.stacks"
)

from tests.books import Books  # noqa: E402  (after the line above)
from tests.breaking import SecondWorker  # noqa: E402
from tests.running import Json, System, Systems  # noqa: E402

__all__ = ["Json", "System", "Systems"]


@pytest.fixture(scope="session")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Generator[Systems]:
    """Stacks by name."""
    made = Systems(tmp_path_factory.mktemp("systems"))
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def whole(system: System) -> Generator[System]:
    """The system, whole before the test and whole after it: nothing lost, no effect twice."""
    system.fleet_hashes()
    yield system
    system.fleet_hashes()
    Books(system).agree()


@pytest.fixture
def second_worker(whole: System) -> Generator[SecondWorker]:
    """A second telemetry worker that has taken its share of the fleet."""
    worker = SecondWorker(whole)
    try:
        worker.has_joined()
        yield worker
    finally:
        worker.stop()
