"""A service's own commands on its command line."""

import argparse
from dataclasses import replace
from typing import Any

import pytest

from common import cli
from common.app import Command, Service
from common.runtime import Runtime
from common.settings import ServiceSettings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("times", type=int)


async def ring(runtime: Runtime, chosen: argparse.Namespace) -> int:
    async with runtime.worker_session() as session:
        assert session.is_active
    return int(chosen.times)


def keep_the_log(*_: str) -> None:
    """Leave the tests' own configuration of the log alone."""


def test_a_command_of_its_own_is_run_and_tells_how_it_ended(
    service: Service, settings: ServiceSettings, monkeypatch: Any
) -> None:
    ringing = Command(name="ring", told="ring some times", arguments=arguments, run=ring)
    made: Any = replace(service, settings=lambda: settings, commands=[ringing])
    monkeypatch.setattr(cli, "configure", keep_the_log)
    assert "ring some times" in cli.parser(made).format_help()
    with pytest.raises(SystemExit) as ended:
        cli.main(made, ["ring", "3"])
    assert ended.value.code == 3
