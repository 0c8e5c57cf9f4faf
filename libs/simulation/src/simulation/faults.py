"""What can go wrong with a simulated miner, by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from simulation.inventory import Unit

FaultKind = Literal[
    # the port
    "refuse",  # nothing listens
    "drop",  # connection attempts are swallowed, as when the network is gone
    # the conversation
    "silent",  # accepts and never answers
    "empty",  # closes without a byte
    "reset",  # half an answer, then a reset
    "half_json",  # half an answer, then a clean end
    "slow",  # one byte every 200 ms
    "no_nul",  # a whole answer, then the end without the NUL
    "nul_open",  # a whole answer with NUL, and the connection left open
    "banner",  # another protocol answers
    "too_large",  # an answer of 26 MB
    # the text, after vendors' own mistakes
    "missing_comma",
    "stray_comma",
    "trailing_comma",
    "raw_newline",
    "nan",
    "mid_object",
    "two_documents",
    "bad_utf8",
    "deep_nesting",
    "implausible",
    "wrong_shape",
    # the machine
    "overheat",
    "identity",  # another machine answers at the address
    "refuse_control",
    "refuse_join",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
PORT_FAULTS: frozenset[FaultKind] = frozenset({"refuse", "drop"})
BANNER = b"SSH-2.0-dropbear_2019.78 simulated\r\n"
OVERSIZE_BYTES = 26_000_000
SLOW_BYTE_S = 0.2

TEXT_FAULTS: dict[FaultKind, Callable[[str], str]] = {
    "missing_comma": lambda text: text.replace("},{", "}{"),
    "stray_comma": lambda text: text.replace('":[{', '":[,{'),
    "trailing_comma": lambda text: text.replace("}]", ",}]"),
    "raw_newline": lambda text: text.replace('"Description":"', '"Description":"simulated\n'),
    "nan": lambda text: text.replace('"Elapsed":', '"Spare":nan,"Elapsed":'),
    "mid_object": lambda text: text[text.rfind(',"id"') :] if ',"id"' in text else text[1:],
    "two_documents": lambda text: text + text,
    "bad_utf8": lambda text: text.replace('"User":"simulated', '"User":"simul\udcff'),
    "deep_nesting": lambda _text: "[" * 100_000 + "]" * 100_000,
    "implausible": lambda text: text.replace(' 5s":', ' 5s":-').replace('5s":-"', '5s":"-'),
    "wrong_shape": lambda text: text.replace('"Elapsed":', '"Elapsed":[true],"Was":'),
}


def stranger(unit: Unit) -> Unit:
    """Return the machine that stands at the address after a swap nobody wrote down."""
    return replace(
        unit,
        serial_number=unit.serial_number.replace("SIM-", "SIM-X"),
        mac=unit.mac.replace("02:51:4D", "02:51:58"),
    )


def encoded(text: str) -> bytes:
    """Return the bytes of an answer; a surrogate stands for a byte that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")
