import socket
from collections.abc import Generator

import pytest

from launcher.ports import PortTakenError, free_ports, is_free, require_free


@pytest.fixture
def taken() -> Generator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_its_user_and_its_holder(taken: int) -> None:
    [free] = free_ports(1)
    with pytest.raises(PortTakenError) as refusal:
        require_free({"gateway": taken, "hosting": free})
    message = str(refusal.value)
    assert f"Port {taken} is taken by" in message
    assert "gateway needs it" in message
    assert str(free) not in message


def test_free_ports_pass() -> None:
    ports = free_ports(3)
    require_free({str(port): port for port in ports})
    assert len(set(ports)) == 3


def test_a_port_is_free_or_not(taken: int) -> None:
    assert not is_free(taken)
    assert all(is_free(port) for port in free_ports(2, but=[taken]))
