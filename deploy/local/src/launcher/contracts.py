"""What the members promise each other and the world, written down from the live code.

`contracts/events/<type>.json` is a type's schema with a golden sample; `contracts/openapi/` holds
one document per service and `hashyard.json`, all of them in one.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from common.app import Service, service_app
from common.events import TOPICS, Event
from launcher.installation import SERVICES, Installation
from launcher.paths import ROOT
from launcher.samples import Sampler

FOLDER = ROOT / "contracts"
_MERGED = "hashyard"


def write() -> list[Path]:
    """Bring the committed files up to date; return those that changed."""
    wanted, changed = contracts(), list[Path]()
    for path in stale(wanted):
        changed.append(path)
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
        else:
            path.unlink()
    return changed


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """Return the files that are missing, different, or of something that is gone."""
    present = {path: path.read_text() for path in FOLDER.glob("*/*.json")}
    paths = sorted(wanted.keys() | present.keys())
    return [path for path in paths if wanted.get(path) != present.get(path)]


def contracts() -> dict[Path, str]:
    """Return every file with its content."""
    services = {name: cast("Service", import_module(f"{name}.main").SERVICE) for name in SERVICES}
    files: dict[Path, str] = {}
    for service in services.values():
        for event in service.events:
            files[FOLDER / "events" / f"{event.type}.json"] = _text(event_contract(event))
    documents = _documents(services)
    merge = cast(
        "Callable[[Mapping[str, Any]], dict[str, Any]]", import_module("gateway.openapi").merge
    )
    # The gateway's own document goes first, as everybody begins by logging in.
    for name, document in {**documents, _MERGED: merge(documents)}.items():
        files[FOLDER / "openapi" / f"{name}.json"] = _text(document)
    return files


def event_contract(event: type[Event]) -> dict[str, Any]:
    """Return what a consumer of one type may rely on."""
    schema = event.model_json_schema(mode="serialization")
    sample = Sampler(schema.get("$defs", {})).sample(schema)
    return {
        "type": event.type,
        "topic": event.topic(),
        "key": event.aggregate,
        "compacted": TOPICS[event.topic()].compacted,
        "schema": schema,
        # Through the class, so that the sample is what the relay would really send.
        "sample": event.model_validate(sample).model_dump(mode="json"),
    }


def _documents(services: Mapping[str, Service]) -> dict[str, dict[str, Any]]:
    """Return each application's document; they are built with settings of no installation."""
    with tempfile.TemporaryDirectory() as directory:
        nowhere = Installation(Path(directory))
        for name in services:
            os.environ.update(nowhere.environment_of(name))
        return {name: service_app(service).openapi() for name, service in services.items()}


def _text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
