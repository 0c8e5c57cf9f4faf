"""`make check-deploy`: renders what is deployed elsewhere and holds it against the schemas."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from launcher import manifests
from launcher.paths import ROOT

_KUBERNETES = "1.32"
_COMPOSE = ROOT / "docker-compose.yml"


class NotInstalledError(Exception):
    """A program that renders is missing."""


def check() -> bool:
    """Print what is wrong with each rendering; whether nothing is."""
    if shutil.which("kubectl") is None:
        raise NotInstalledError("kubectl is needed to render deploy/k8s.")
    faults: list[str] = []
    for folder in sorted(path.parent for path in (ROOT / "deploy/k8s").rglob("kustomization.yaml")):
        objects, found = _kustomization(folder)
        faults += found
        print(f"{'✗' if found else '✓'} {folder.relative_to(ROOT)}: {len(objects)} objects")
    faults += _compose()
    for fault in faults:
        print(fault)
    return not faults


def _kustomization(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(folder)], check=False, capture_output=True, text=True
    )
    if rendered.returncode:
        return [], [f"{folder.relative_to(ROOT)}: {rendered.stderr.strip()}"]
    objects = [one for one in yaml.safe_load_all(rendered.stdout) if one]
    faults = [fault for one in objects if (fault := _fault(one))]
    return objects, faults + manifests.findings(objects)


def _fault(one: dict[str, Any]) -> str | None:
    name = f"{one['kind']}/{one['metadata']['name']}"
    try:
        kubernetes_validate.validate(one, _KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return None  # a custom resource: its schema lives in the cluster
    except kubernetes_validate.ValidationError as error:
        return f"{name}: {error}"
    return None


def _compose() -> list[str]:
    if not _COMPOSE.exists():
        return ["docker-compose.yml is missing."]
    words = ["docker", "compose", "-f", str(_COMPOSE)]
    if (
        shutil.which("docker") is None
        or subprocess.run([*words, "version"], check=False, capture_output=True).returncode
    ):
        print("- docker-compose.yml: not rendered, Docker Compose is not on this machine")
        return []
    done = subprocess.run(
        [*words, "config", "--quiet", "--no-interpolate"],
        check=False,
        capture_output=True,
        text=True,
    )
    print(f"{'✗' if done.returncode else '✓'} docker-compose.yml")
    return [done.stderr.strip()] if done.returncode else []
