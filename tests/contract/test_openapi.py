"""The merged document is one that strict readers accept."""

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

FOLDER = Path(__file__).parents[2] / "contracts" / "openapi"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_document_is_valid_openapi(path: Path) -> None:
    document: dict[str, Any] = json.loads(path.read_text())
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_merged_document_holds_every_operation() -> None:
    merged: dict[str, Any] = json.loads((FOLDER / "hashyard.json").read_text())
    for path in FOLDER.glob("*.json"):
        for route, operations in json.loads(path.read_text())["paths"].items():
            assert operations.keys() <= merged["paths"][route].keys(), route
