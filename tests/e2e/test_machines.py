"""Single machines: registered by hand, silent and back, and told what to do one by one."""

import pytest
from tests.books import Witness
from tests.running import Json, System, eventually

from common.ids import new_id
from launcher.api import RefusedError

pytestmark = pytest.mark.e2e


def _pick(system: System, firmware: str, number: int = 1) -> list[Json]:
    """Return machines of the demo's site."""
    miners = system.miners(site_id=system.site_id)
    return [one for one in miners if one["firmware"] == firmware][:number]


def test_a_machine_registered_by_hand_is_polled(system: System) -> None:
    """Out of the books and in again: from the answer 201 to the first reading of its socket."""
    [old] = _pick(system, "luxos")
    host = system.api("host")
    host.call("DELETE", f"/api/hosting/miners/{old['id']}")
    body = {
        "serial_number": old["serial_number"],
        "model": old["model"],
        "site_id": system.site_id,
        "cgminer_ip": old["cgminer_ip"],
        "firmware": "luxos",
    }
    miner = host.post("/api/hosting/miners", body)
    assert miner["id"] != old["id"]
    assert miner["status"] == "pending_approval"
    assert host.post(f"/api/hosting/miners/{miner['id']}/approve")["status"] == "active"

    def is_read() -> Json | None:
        shown = host.get(f"/api/hosting/miners/{miner['id']}/detail")
        reading = shown["telemetry"]
        return reading if reading and reading["outcome"] == "ok" else None

    reading = eventually(is_read, "the new machine is read")
    truth = system.truth()[old["cgminer_ip"]]
    assert reading["hashrate_5s_ths"] == pytest.approx(truth["hashrate_ths"], rel=0.1)
    assert reading["power_w"] == pytest.approx(truth["power_w"], rel=0.05)
    assert reading["efficiency_j_per_th"] == pytest.approx(
        reading["power_w"] / reading["hashrate_5s_ths"], rel=0.01
    )
    assert reading["simulated"]
    assert reading["pools"]

    def has_a_past() -> bool:
        rows = system.sql("SELECT 1 FROM telemetry.sample WHERE miner_id = $1::uuid", miner["id"])
        return len(rows) >= 3

    eventually(has_a_past, "it is read in slot after slot")
    found = host.get("/api/hosting/miners", search=old["serial_number"])
    assert [one["id"] for one in found["items"]] == [miner["id"]]


def test_silent_machines_are_one_incident_until_they_are_back(system: System) -> None:
    """Three silent slots: offline, told once for each machine, one incident for the site."""
    chosen = _pick(system, "antminer", 3)
    ids = {one["id"] for one in chosen}
    indices = [system.truth()[one["cgminer_ip"]]["index"] for one in chosen]
    before = len(_incidents(system))
    earlier = {record.event_id for record in system.records("telemetry.miner-state.v1")}
    system.control.set_fault("silent", miners=indices)
    try:
        eventually(lambda: _in_status(system, "offline") == ids, "hosting shows them offline")
        [incident] = _incidents(system)[: len(_incidents(system)) - before]
        assert incident["cause"] == "host_fault"
        assert incident["ends_at"] is None

        def all_joined() -> bool:
            return _incidents(system)[0]["machines"] == len(ids)

        eventually(all_joined, "all are in the incident")
    finally:
        system.control.clear_faults()
    system.fleet_hashes()
    assert _in_status(system, "offline") == set()
    eventually(lambda: _incidents(system)[0]["ends_at"], "the incident is closed")
    assert len(_incidents(system)) == before + 1
    records = system.records("telemetry.miner-state.v1")
    told = [record for record in records if record.event_id not in earlier]
    for kind in ("went-offline", "came-online"):
        about = [
            one.key
            for one in told
            if one.type == f"telemetry.miner-state.{kind}.v1" and one.key in ids
        ]
        assert sorted(about) == sorted(ids), kind


def _incidents(system: System) -> list[Json]:
    """List the site's incidents, newest first."""
    return system.api().get("/api/hosting/incidents", site_id=system.site_id)["items"]


def _in_status(system: System, status: str) -> set[str]:
    return {one["id"] for one in system.miners(site_id=system.site_id, status=status)}


def _ends(system: System, command_id: str) -> str:
    """Wait for the end of a command, as telemetry tells it; return how it ended."""

    def ended() -> str | None:
        try:
            told = system.api().get(f"/api/telemetry/commands/{command_id}")
        except RefusedError as refusal:
            if refusal.code == "command_unknown":  # it is still on its way to telemetry
                return None
            raise
        return told["state"] if told["finished_at"] else None

    return eventually(ended, "the command has ended")


def _becomes(system: System, miner_id: str, status: str) -> None:
    def is_so() -> bool:
        return system.api().get(f"/api/hosting/miners/{miner_id}")["status"] == status

    eventually(is_so, f"the machine is {status}")


@pytest.mark.parametrize("firmware", ["luxos", "whatsminer"])
def test_one_machine_is_shut_down_started_and_rebooted(system: System, firmware: str) -> None:
    [miner] = _pick(system, firmware)
    path, address = f"/api/hosting/miners/{miner['id']}", miner["cgminer_ip"]
    host = system.api("host")
    steps = (("shutdown", "curtailed"), ("start", "active"), ("reboot", "active"))
    with Witness(system) as witness:
        for number, (action, status) in enumerate(steps, start=1):
            command_id = host.post(f"{path}/{action}")["command_id"]
            assert _ends(system, command_id) == "verified", action
            _becomes(system, miner["id"], status)
            assert witness.changes() == {address: number}, action
            if action == "shutdown":
                assert system.truth()[address]["hashrate_ths"] == 0
    system.fleet_hashes()
    lines = host.get("/api/hosting/audit", object_id=miner["id"])["items"]
    assert {f"miner.{action}" for action, _ in steps} <= {line["action"] for line in lines}


def test_a_machine_that_cannot_be_stopped_says_so(system: System) -> None:
    """Stock Antminers take no orders on their port: the command ends, the machine hashes on."""
    [miner] = _pick(system, "antminer")
    path = f"/api/hosting/miners/{miner['id']}/shutdown"
    with Witness(system) as witness:
        command_id = system.api("host").post(path)["command_id"]
        assert _ends(system, command_id) == "unsupported"
        _becomes(system, miner["id"], "active")
        assert witness.changes() == {}


def test_a_batch_answers_for_every_machine_named(system: System) -> None:
    chosen = [*_pick(system, "luxos", 2), *_pick(system, "whatsminer", 2)]
    ids = [one["id"] for one in chosen]
    stranger = str(new_id())
    key = {"Idempotency-Key": str(new_id())}
    with Witness(system) as witness, system.client(system.token("host")) as client:
        order = {"action": "shutdown", "miner_ids": [*ids, stranger]}
        first = client.post("/api/hosting/host/devices/batch", json=order, headers=key)
        again = client.post("/api/hosting/host/devices/batch", json=order, headers=key)
        assert first.status_code == again.status_code == 202
        assert again.json() == first.json()
        results = first.json()["results"]
        assert [one["miner_id"] for one in results] == [*ids, stranger]
        assert results[-1]["error"]["code"] == "miner_not_found"
        for result in results[:-1]:
            assert _ends(system, result["command_id"]) == "verified"
        truth = system.truth()
        assert {truth[one["cgminer_ip"]]["state"] for one in chosen} == {"sleeping"}
        for one in ids:
            _becomes(system, one, "curtailed")
        order = {"action": "start", "miner_ids": ids}
        started = client.post("/api/hosting/host/devices/batch", json=order)
        assert started.status_code == 202
        system.fleet_hashes()
        assert witness.changes() == {one["cgminer_ip"]: 2 for one in chosen}
