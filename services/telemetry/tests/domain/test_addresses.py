"""Which addresses may be contacted."""

import pytest

from telemetry.domain.addresses import is_simulated, may_contact, networks

EVERYWHERE = networks(["0.0.0.0/0", "::/0", "not a network"])


@pytest.mark.parametrize(
    ("address", "port", "cidrs", "simulated", "permitted"),
    [
        ("10.1.2.3", 4028, ["10.1.0.0/16"], False, True),
        ("10.2.2.3", 4028, ["10.1.0.0/16"], False, False),
        ("10.1.2.3", 80, ["10.1.0.0/16"], False, False),
        ("10.1.2.3", 65536, ["10.1.0.0/16"], False, False),
        ("127.64.0.1", 4028, ["127.64.0.0/10"], True, True),
        ("127.64.0.1", 4028, ["127.64.0.0/10"], False, False),
        ("127.64.0.1", 4028, ["10.0.0.0/8"], True, False),
        ("127.0.0.1", 4028, ["127.0.0.0/8"], True, False),
        ("miner.example", 4028, ["0.0.0.0/0"], True, False),
        ("", 4028, ["0.0.0.0/0"], True, False),
    ],
)
def test_permission(
    address: str, port: int, cidrs: list[str], simulated: bool, permitted: bool
) -> None:
    found = may_contact(address, port, networks(cidrs), simulated_allowed=simulated)
    assert found is permitted


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::1", "::",
        "fe80::1", "::ffff:10.1.2.3", "ff02::1",
    ],
)  # fmt: skip
def test_special_addresses_never(address: str) -> None:
    assert not may_contact(address, 4028, EVERYWHERE, simulated_allowed=True)


def test_the_simulated_range() -> None:
    assert is_simulated("127.127.255.255")
    assert not is_simulated("127.128.0.1")
    assert not is_simulated("nothing")
