import json
import stat
from pathlib import Path

import pytest

from launcher.installation import (
    SERVICES,
    Installation,
    any_first_miner,
    any_ports,
    fixed_ports,
    load,
    write_private,
)


def test_secrets_are_made_once_and_only_their_owner_reads_them(installation: Installation) -> None:
    first = installation.secrets()
    path = installation.directory / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert installation.secrets() == first
    assert len(set(first.values())) == len(first)


def test_a_new_release_adds_the_secrets_that_it_needs(installation: Installation) -> None:
    kept = installation.secrets()
    path = installation.directory / "secrets.json"
    old = {name: value for name, value in kept.items() if not name.startswith("telemetry_")}
    write_private(path, old)
    again = installation.secrets()
    assert again.keys() == kept.keys()
    assert {name: again[name] for name in old} == old


def test_people_have_the_password_that_was_asked_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "a long enough one")
    assert installation.secrets()["owner_password"] == "a long enough one"
    assert installation.secrets()["gateway_app_password"] != "a long enough one"


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    one, other = Installation(tmp_path / "one"), Installation(tmp_path / "other")
    assert not set(one.secrets().values()) & set(other.secrets().values())


def test_a_service_is_told_its_own_names_and_no_owner(installation: Installation) -> None:
    told = installation.environment_of("hosting")
    assert told["HOSTING_DATABASE_URL"].startswith("postgresql+asyncpg://hosting_app:")
    assert told["HOSTING_WORKER_DATABASE_URL"].startswith("postgresql+asyncpg://hosting_worker:")
    assert "HOSTING_OWNER_DATABASE_URL" not in told
    assert told["HOSTING_TELEMETRY_URL"] == "http://127.0.0.1:8103"
    assert told["HOSTING_TELEMETRY_KEY"] == installation.secrets()["telemetry_internal_key"]
    strangers = {name.upper() for name in SERVICES if name != "hosting"}
    assert not [name for name in told if name.partition("_")[0] in strangers]


def test_the_gateway_knows_everyone_behind_it(installation: Installation) -> None:
    told = installation.environment_of("gateway")
    behind = set(SERVICES) - {"gateway"}
    assert json.loads(told["GATEWAY_UPSTREAMS"]).keys() == behind
    assert json.loads(told["GATEWAY_UPSTREAM_KEYS"]).keys() == behind
    assert told["GATEWAY_PUBLIC_URL"] == "http://127.0.0.1:8080"


def test_who_seals_and_who_opens_hold_the_same_key(installation: Installation) -> None:
    hosting, telemetry = map(installation.environment_of, ("hosting", "telemetry"))
    assert hosting["DEVICE_CREDENTIAL_KEY"] == telemetry["DEVICE_CREDENTIAL_KEY"]
    assert "DEVICE_CREDENTIAL_KEY" not in installation.environment_of("calculator")


@pytest.mark.parametrize(("slot", "proof"), [(60, "5"), (2, "1"), (6, "3")])
def test_proof_keeps_pace_with_the_slot(tmp_path: Path, slot: int, proof: str) -> None:
    told = Installation(tmp_path, slot_seconds=slot).environment_of("telemetry")
    assert told["TELEMETRY_SLOT_SECONDS"] == str(slot)
    assert told["TELEMETRY_PROOF_POLL_SECONDS"] == proof


def test_what_was_decided_is_read_back(tmp_path: Path) -> None:
    made = Installation(
        tmp_path,
        fleet=40,
        slot_seconds=2,
        first_miner=any_first_miner(),
        ports=any_ports(),
        environment={"LOG_LEVEL": "DEBUG"},
        fleet_options=("--ramp-seconds", "2"),
    )
    made.save()
    assert load(tmp_path) == made
    assert load(tmp_path / "nowhere") is None


def test_free_ports_are_different_and_named_alike() -> None:
    chosen = any_ports()
    assert chosen.keys() == fixed_ports().keys()
    assert len(set(chosen.values())) == len(chosen)
