"""Which addresses may hold a machine."""

from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.domain.addresses import (
    PRIVATE,
    SIMULATED,
    UnusableAddress,
    machine_address,
    machine_network,
)


@given(st.ip_addresses())
def test_no_network_of_one_address_is_accepted_outside_the_private_ranges(
    address: IPv4Address,
) -> None:
    for allow_simulated in (False, True):
        ranges = (*PRIVATE, SIMULATED) if allow_simulated else PRIVATE
        try:
            network = machine_network(str(address), allow_simulated=allow_simulated)
        except UnusableAddress:
            assert not any(address in allowed for allowed in ranges)
        else:
            assert address in network
            assert any(address in allowed for allowed in ranges)


@given(st.text(max_size=50))
def test_text_is_an_address_only_in_its_plain_form(text: str) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    try:
        address = machine_address(text, everything)
    except UnusableAddress:
        return
    assert ip_address(text) == address
    assert text.isascii()


def test_simulated_machines_need_leave() -> None:
    assert machine_network("127.64.0.0/10", allow_simulated=True) == SIMULATED
    with pytest.raises(UnusableAddress):
        machine_network("127.64.0.0/10", allow_simulated=False)
    for never in ("127.0.0.0/8", "127.0.0.0/16", "127.0.0.1/32", "127.128.0.0/9"):
        with pytest.raises(UnusableAddress):
            machine_network(never, allow_simulated=True)


def test_the_installations_own_networks_hold_no_machines() -> None:
    pods = ip_network("10.244.0.0/16")
    machine_network("10.20.0.0/16", allow_simulated=False, forbidden=[pods])
    machine_network("fd00::/8", allow_simulated=False, forbidden=[pods])
    for overlapping in ("10.244.3.0/24", "10.0.0.0/8"):
        with pytest.raises(UnusableAddress, match="keeps for itself"):
            machine_network(overlapping, allow_simulated=False, forbidden=[pods])


def test_a_careless_network_is_answered_with_what_was_meant() -> None:
    with pytest.raises(UnusableAddress, match=r"did you mean 10\.0\.0\.0/24"):
        machine_network("10.0.0.5/24", allow_simulated=False)
    with pytest.raises(UnusableAddress, match="CIDR"):
        machine_network("ten", allow_simulated=False)


def test_a_site_without_ranges_has_no_machines() -> None:
    with pytest.raises(UnusableAddress, match="none"):
        machine_address("10.0.0.1", [])
    with pytest.raises(UnusableAddress):
        machine_address("fd00::1%eth0", [ip_network("fd00::/8")])
    assert str(machine_address("fd00:0::1", [ip_network("fd00::/8")])) == "fd00::1"
