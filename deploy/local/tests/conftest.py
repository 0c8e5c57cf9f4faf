"""What the launcher's tests share."""

from pathlib import Path

import pytest

from launcher.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """An installation with the usual ports; nothing of it runs."""
    return Installation(tmp_path)
