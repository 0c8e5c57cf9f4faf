import base64
import json
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simulation.firmware.whatsminer import WhatsMiner
from simulation.firmware.whatsminer_crypto import md5crypt_hash
from simulation.fleet import Fleet
from simulation.inventory import FleetSpec
from simulation.requests import Request

NewFleet = Callable[..., Awaitable[Fleet]]
Ask = Callable[..., Awaitable[Any]]
Settles = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def firmware() -> WhatsMiner:
    fleet = Fleet(FleetSpec(miners=1, mix={"whatsminer": 1}))
    firmware = fleet.miners[0].firmware
    assert isinstance(firmware, WhatsMiner)
    return firmware


@pytest.fixture
def vendor_client() -> Callable[[Any], Any]:
    """Another project's client: it knows nothing of our side of the encryption."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyasic.rpc.btminer import BTMinerRPCAPI

    def connect(miner: Any) -> Any:
        client = BTMinerRPCAPI(miner.address, miner.port)
        client.pwd = "simulated"
        return client

    return connect


@pytest.mark.parametrize(
    ("salt", "secret", "expected"),  # openssl passwd -1 -salt SALT SECRET
    [
        ("abcdefgh", "x", "znAnv9M.XU2pRYfmSs46h/"),
        ("a1b2", "simulated", "3ijIPovEmoerFD6i6W3tc0"),
        ("1234abcd", "a-much-longer-password-than-sixteen-bytes", "zMHFQMpXvVnxqH9s5R1ZT1"),
    ],
)
def test_md5crypt_agrees_with_openssl(salt: str, secret: str, expected: str) -> None:
    assert md5crypt_hash(secret, salt) == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the other client's own
async def test_encrypted_writes_from_another_projects_client(
    new_fleet: NewFleet, vendor_client: Callable[[Any], Any], settles: Settles, ask: Ask
) -> None:
    fleet = await new_fleet("whatsminer")
    miner = fleet.miners[0]
    client = vendor_client(miner)
    answer = await client.power_off(respbefore=True)
    assert (answer["Code"], answer["Msg"]) == (131, "API command OK")
    await settles(lambda: miner.state == "sleeping")
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    assert (row["MHS 5s"], row["HS RT"], row["Elapsed"]) == (0, 0, 0)
    assert 14 <= row["Power"] <= 41
    assert (await ask(miner, "status"))["Msg"]["mineroff"] == "true"
    await client.power_on()
    await settles(lambda: miner.state == "hashing")
    await client.set_power_pct(50)
    await settles(lambda: abs(miner.true_power_w() / miner.unit.power_w - 0.5) < 0.02)
    await client.reboot()
    await settles(lambda: not miner.listening)
    await settles(lambda: miner.listening)
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Elapsed"] <= 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the other client's own
async def test_a_wrong_password_opens_nothing(
    new_fleet: NewFleet, vendor_client: Callable[[Any], Any]
) -> None:
    miner = (await new_fleet("whatsminer")).miners[0]
    client = vendor_client(miner)
    client.pwd = "admin"
    with pytest.raises(Exception, match="invalid json"):
        await client.power_off()
    assert not miner.machine.asleep


async def test_write_errors_have_the_vendors_codes(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("whatsminer")).miners[0]
    assert (await ask(miner, "power_off", token="wrong"))["Code"] == 135
    assert (await ask(miner, "", enc=1, data="###"))["Code"] == 137
    noise = base64.b64encode(b"x" * 16).decode()
    assert (await ask(miner, "", enc=1, data=noise))["Code"] == 23
    codes = [(await ask(miner, "get_token"))["Code"] for _ in range(33)]
    assert codes == [134] * 32 + [136]


def test_a_token_dies_after_half_an_hour(firmware: WhatsMiner) -> None:
    token = json.loads(firmware.answer(b'{"cmd":"get_token"}', 1000.0, "127.0.0.1"))["Msg"]
    assert set(token) == {"time", "salt", "newsalt"}
    key = md5crypt_hash("simulated", token["salt"])
    sign = md5crypt_hash(key + token["time"], token["newsalt"])
    body = {"cmd": "set_power_pct", "percent": "200", "token": sign}
    request = Request("set_power_pct", body=body, client="127.0.0.1")
    assert json.loads(firmware.control(request, 1000.0 + 1799))["Code"] == 132
    assert json.loads(firmware.control(request, 1000.0 + 1801))["Code"] == 135
    stranger = Request("set_power_pct", body=body, client="127.0.0.2")
    assert json.loads(firmware.control(stranger, 1001.0))["Code"] == 135


async def test_get_commands_do_not_join(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("whatsminer")).miners[0]
    answer = await ask(miner, "summary+get_version+status")
    assert answer["summary"][0]["STATUS"][0]["STATUS"] == "S"
    assert answer["get_version"][0]["STATUS"] == answer["status"][0]["STATUS"] == "E"
    assert (await ask(miner, "get_version"))["Code"] == 131
    assert (await ask(miner, "get_miner_info"))["Msg"]["minersn"] == miner.unit.serial_number
    assert [pool["POOL"] for pool in (await ask(miner, "pools"))["POOLS"]] == [1, 2, 3]


async def test_overheating_shows_as_an_error_code(new_fleet: NewFleet, ask: Ask) -> None:
    fleet = await new_fleet("whatsminer")
    miner = fleet.miners[0]
    await miner.set_fault("overheat")
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    assert row["Chip Temp Max"] > 95
    assert row["Error Code 0"] == 350
    assert (await ask(miner, "get_error_code"))["Msg"]["error_code"][0]["350"]
    await miner.clear_faults()
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Error Code Count"] == 0
