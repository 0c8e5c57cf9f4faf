"""The hardware that the simulated fleet is made of: nameplates and board layouts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Family = Literal["luxos", "whatsminer", "antminer"]
FAMILIES: tuple[Family, ...] = ("luxos", "whatsminer", "antminer")


@dataclass(frozen=True)
class MinerModel:
    """One model and hashrate bin, with what its maker prints on the label."""

    name: str  # as an inventory sheet writes it, with the bin
    type_name: str  # as the device itself says it, without the bin
    hashrate_ths: float
    power_w: float
    boards: int
    chips_per_board: int
    fans: int
    frequency_mhz: int

    @property
    def chips(self) -> int:
        return self.boards * self.chips_per_board

    @cached_property
    def share_difficulty(self) -> int:
        """Pool difficulty at which this model finds a share about every eight seconds."""
        return 1 << round(self.hashrate_ths * 8e12 / 2**32).bit_length()

    @cached_property
    def work_per_share_th(self) -> float:
        """Tera-hashes behind one share, on average."""
        return self.share_difficulty * 2**32 / 1e12

    @cached_property
    def fixed_chain_fields(self) -> tuple[str, ...]:
        """What stock firmware repeats about each board in every answer."""
        ideal_ghs = self.hashrate_ths * 1e3 / self.boards
        return tuple(
            f'"freq{n}":{self.frequency_mhz},"chain_acn{n}":{self.chips_per_board},'
            f'"chain_acs{n}":"{self.chip_map}","chain_rateideal{n}":"{ideal_ghs:.2f}",'
            for n in range(1, self.boards + 1)
        )

    @cached_property
    def chip_map(self) -> str:
        """One letter per healthy chip, in groups, as stock firmware draws a board."""
        row = "o" * self.chips_per_board
        return " " + " ".join(row[i : i + 9] for i in range(0, len(row), 9))


def _antminer(suffix: str, hashrate_ths: float, power_w: float, chips: int, mhz: int) -> MinerModel:
    return MinerModel(
        f"{suffix} {hashrate_ths:g}T", f"Antminer {suffix}", hashrate_ths, power_w, 3, chips, 4, mhz
    )


def _whatsminer(
    suffix: str, hashrate_ths: float, power_w: float, chips: int, mhz: int
) -> MinerModel:
    return MinerModel(
        f"{suffix} {hashrate_ths:g}T", suffix, hashrate_ths, power_w, 3, chips, 2, mhz
    )


ANTMINERS = (
    _antminer("S19", 95, 3250, 76, 675),
    _antminer("S19j Pro", 100, 3050, 126, 545),
    _antminer("S19 XP", 140, 3010, 110, 585),
    _antminer("S21", 200, 3500, 108, 490),
    _antminer("S21 Pro", 234, 3510, 65, 560),
)
WHATSMINERS = (
    _whatsminer("M30S++", 112, 3472, 111, 650),
    _whatsminer("M50S", 126, 3276, 117, 690),
    _whatsminer("M60S", 186, 3441, 147, 620),
)
MODELS_OF: dict[Family, tuple[MinerModel, ...]] = {
    "luxos": ANTMINERS,
    "antminer": ANTMINERS,
    "whatsminer": WHATSMINERS,
}
