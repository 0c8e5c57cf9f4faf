"""The live applications of every member."""

import importlib

import pytest
from fastapi import FastAPI

from common.app import Service, service_app
from launcher.installation import Installation

MEMBERS = ("gateway", "calculator", "hosting", "telemetry", "intelligence", "energy")


@pytest.fixture(scope="session")
def members() -> dict[str, Service]:
    """The SERVICE of every member."""
    return {name: importlib.import_module(f"{name}.main").SERVICE for name in MEMBERS}


@pytest.fixture(scope="session")
def services(
    members: dict[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, FastAPI]:
    """The application of every member, configured as the launcher does, not started."""
    installation = Installation(directory=tmp_path_factory.mktemp("installation"))
    made: dict[str, FastAPI] = {}
    for name, one in members.items():
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in installation.environment_of(name).items():
                patch.setenv(variable, value)
            made[name] = service_app(one)
    return made


@pytest.fixture(scope="session")
def event_types(members: dict[str, Service]) -> dict[str, str]:
    """Every published event type, and who publishes it."""
    return {event.type: name for name, one in members.items() for event in one.events}


@pytest.fixture(scope="session")
def reacts_to(members: dict[str, Service]) -> dict[str, set[str]]:
    """Which types each member reacts to."""
    return {
        name: {event_type for feature in one.reactions for event_type in feature.handlers}
        for name, one in members.items()
    }
