"""The epochs that need no provider: the first block, and the blocks that halved the subsidy.

Each stands in the chain with its time and its compact difficulty, which everybody can look up by
height; difficulties that are known by date only are left out, as a retarget falls at an instant.
"""

from datetime import UTC, datetime

from calculator.domain.epochs import Epoch
from calculator.domain.network import difficulty_of, subsidy_btc

SHIPPED = "shipped"
_BLOCKS = (
    (0, 1_231_006_505, 0x1D00FFFF),
    (210_000, 1_354_116_278, 0x1A04E0EA),
    (420_000, 1_468_082_773, 0x180526FD),
    (630_000, 1_589_225_023, 0x17117A39),
    (840_000, 1_713_571_767, 0x17034219),
)


def shipped_epochs() -> list[Epoch]:
    """Return the epochs of the snapshot."""
    return [
        Epoch(
            height,
            datetime.fromtimestamp(time_s, UTC),
            difficulty_of(bits),
            bits,
            subsidy_btc(height),
            SHIPPED,
            simulated=False,
        )
        for height, time_s, bits in _BLOCKS
    ]
