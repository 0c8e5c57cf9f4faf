"""Launcher, Compose and Kubernetes start the same services with the same names of settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher.installation import SERVICES, Installation

ROOT = Path(__file__).parents[2]
OWN_TO = {
    # names that only one kind of place needs
    "launcher": {"PYTHONUNBUFFERED"},  # the images set it themselves
    "containers": set[str](),
    "kubernetes": {"KAFKA_REPLICATION"},  # one broker elsewhere, the default
}


def _bound(names: set[str], service: str) -> set[str]:
    """Leave out where a process listens: loopback by default, every address in a container."""
    prefix = service.upper()
    return names - {f"{prefix}_HOST", f"{prefix}_OPS_HOST", f"{prefix}_OWNER_DATABASE_URL"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    installation = Installation(directory=tmp_path_factory.mktemp("installation"))
    return {
        service: set(installation.environment_of(service)) - OWN_TO["launcher"]
        for service in SERVICES
    }


def _kubernetes(service: str) -> set[str]:
    folder = ROOT / "deploy" / "k8s" / "base"
    shared: dict[str, Any] = yaml.safe_load((folder / "settings.yaml").read_text())
    workload = next(iter(yaml.safe_load_all((folder / service / "workload.yaml").read_text())))
    [container] = workload["spec"]["template"]["spec"]["containers"]
    return {*shared["data"], *(variable["name"] for variable in container["env"])}


@pytest.mark.parametrize("service", SERVICES)
def test_compose_and_launcher_say_the_same(
    compose: dict[str, Any], launched: dict[str, set[str]], service: str
) -> None:
    names = set(compose["services"][service]["environment"])
    assert _bound(names, service) == _bound(launched[service], service)


@pytest.mark.parametrize("service", SERVICES)
def test_kubernetes_and_launcher_say_the_same(launched: dict[str, set[str]], service: str) -> None:
    names = _kubernetes(service) - OWN_TO["kubernetes"]
    assert _bound(names, service) == _bound(launched[service], service)


@pytest.mark.parametrize("service", SERVICES)
def test_ports_and_images_are_the_same(compose: dict[str, Any], service: str) -> None:
    port, ops_port = SERVICES[service]
    declared = compose["services"][service]
    prefix = service.upper()
    assert declared["environment"][f"{prefix}_PORT"] == str(port)
    assert declared["environment"][f"{prefix}_OPS_PORT"] == str(ops_port)
    text = (ROOT / "deploy" / "k8s" / "base" / service / "workload.yaml").read_text()
    assert f"containerPort: {port}}}" in text
    assert f"containerPort: {ops_port}}}" in text
    assert re.search(rf"image: {re.escape(declared['image'])}:", text)


def test_compose_is_closed_to_the_outside(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for value in service.get("environment", {}).values():
            assert not re.search(r"\$\{[A-Z_]*(PASSWORD|KEY|PEPPER)[A-Z_]*\}", str(value)), name


def test_every_secret_of_compose_is_made_by_its_script(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    script = (ROOT / "deploy" / "docker" / "env.py").read_text()
    made = set(re.findall(r'"([A-Z_]+)": ', script))
    for service in SERVICES:
        made.add(f"{service.upper()}_INTERNAL_KEY")
        made |= {f"{service.upper()}_{role}_PASSWORD" for role in ("OWNER", "APP", "WORKER")}
    assert wanted <= made
