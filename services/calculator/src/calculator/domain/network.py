"""The Bitcoin network's own arithmetic: subsidy, compact difficulty, retargeting, hashprice.

All of it follows from the consensus rules; there is no figure here that somebody has measured.
Difficulty is the ratio of the easiest target to the present one, and D x 2^32 hashes are counted
for one block: the market's convention, 1.5e-5 more than the exact 2^256 / (target + 1).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

HALVING_BLOCKS = 210_000
RETARGET_BLOCKS = 2_016
BLOCK_S = 600
RETARGET_S = RETARGET_BLOCKS * BLOCK_S
MAX_RETARGET_FACTOR = 4
FIRST_SUBSIDY_SAT = 50 * 10**8
EASIEST_BITS = 0x1D00FFFF
HASHES_PER_DIFFICULTY = 2**32
DAY_S = 86_400
HASHES_PER_TH = 10**12
HASHES_PER_EH = 10**18
_SAT = Decimal(10**8)
_EASIEST_TARGET = 0xFFFF << 208
_SIGN = 0x0080_0000
_MANTISSA = 0x007F_FFFF
_PRECISION = 50
_TARGET_BITS = 256
_SAME = Decimal("1e-9")
"""How far a rounded difficulty may lie from the one that its compact form stands for."""


class BadBits(ValueError):
    """A compact form that stands for no target of this network; the text says why."""


def subsidy_sat(height: int) -> int:
    """Return what a block at this height creates: 50e8 >> (height // 210,000), in satoshi."""
    return FIRST_SUBSIDY_SAT >> (height // HALVING_BLOCKS)


def subsidy_btc(height: int) -> Decimal:
    """Return what a block at this height creates, in bitcoin."""
    return subsidy_sat(height) / _SAT


def next_halving(height: int) -> int:
    """Return the first height above this one whose block creates less."""
    return (height // HALVING_BLOCKS + 1) * HALVING_BLOCKS


def next_retarget(height: int) -> int:
    """Return the first height above this one that has a difficulty of its own."""
    return (height // RETARGET_BLOCKS + 1) * RETARGET_BLOCKS


def epoch_of(height: int) -> int:
    """Return the first block with this block's difficulty and subsidy."""
    return max(
        height // RETARGET_BLOCKS * RETARGET_BLOCKS, height // HALVING_BLOCKS * HALVING_BLOCKS
    )


def epoch_after(height: int) -> int:
    """Return the first block above this one that has another difficulty or another subsidy."""
    return min(next_retarget(height), next_halving(height))


def expected_at(height: int, tip: int, now: datetime) -> datetime:
    """Return when a block is due at one block in ten minutes."""
    return now + timedelta(seconds=(height - tip) * BLOCK_S)


def bits_of_text(text: str) -> int:
    """Read a compact form as nodes write it (`17034219`, `0x17034219`) or as a decimal number.

    Eight digits are read as hexadecimal: no target of this network has a decimal form so short.

    Raises:
        BadBits: it is neither.
    """
    digits = text.removeprefix("0x").removeprefix("0X")
    is_hexadecimal = digits != text or len(text) == 8  # noqa: PLR2004  (four bytes)
    if not (digits.isascii() and digits.isalnum() and len(digits) <= 10):  # noqa: PLR2004  (2^32)
        raise BadBits("Write the compact form as 0x17034219, 17034219 or 386089497.")
    try:
        bits = int(digits, 16 if is_hexadecimal else 10)
    except ValueError:
        raise BadBits("Write the compact form as 0x17034219, 17034219 or 386089497.") from None
    if bits >= 2**32:
        raise BadBits("A compact form has 32 bits.")
    return bits


def target_of(bits: int) -> int:
    """Return the target that a compact form stands for (the rules of arith_uint256::SetCompact).

    Raises:
        BadBits: it is negative, zero, longer than 256 bits, or easier than the network allows.
    """
    size, mantissa = bits >> 24, bits & _MANTISSA
    shift = 8 * (size - 3)
    target = mantissa << shift if shift >= 0 else mantissa >> -shift
    if target == 0:
        raise BadBits("This compact form stands for a target of zero, which no hash can meet.")
    if bits & _SIGN:
        raise BadBits("This compact form stands for a negative target.")
    if target.bit_length() > _TARGET_BITS:
        raise BadBits("This compact form stands for a target of more than 256 bits.")
    if target > _EASIEST_TARGET:
        raise BadBits("This target is easier than the network's limit, 0x1d00ffff.")
    return target


def difficulty_ratio(bits: int) -> Fraction:
    """Return the difficulty of a compact form, exactly: 0xffff x 2^208 / target."""
    return Fraction(_EASIEST_TARGET, target_of(bits))


def difficulty_of(bits: int) -> Decimal:
    """Return the difficulty of a compact form to 50 digits."""
    ratio = difficulty_ratio(bits)
    with localcontext(prec=_PRECISION):
        return Decimal(ratio.numerator) / Decimal(ratio.denominator)


def bits_of(difficulty: Decimal) -> int | None:
    """Return the compact form behind a difficulty that was rounded on its way, or None.

    The network's targets have 15 to 23 significant bits, so a difficulty that lies within 1e-9 of
    one of them comes from it; one that lies near none was never the network's.
    """
    if difficulty < 1:
        return None
    target = int(_EASIEST_TARGET / Fraction(difficulty))
    size = (target.bit_length() + 7) // 8
    for length in (size, size + 1):  # the top bit is a sign: a target may need a byte more
        shift = 8 * (length - 3)
        mantissa = round(Fraction(target, 2**shift)) if shift >= 0 else target << -shift
        if not 0 < mantissa <= _MANTISSA:
            continue
        bits = length << 24 | mantissa
        if abs(difficulty_of(bits) / difficulty - 1) < _SAME:
            return bits
    return None


@dataclass(frozen=True, slots=True)
class Retarget:
    """What becomes of a difficulty after 2,016 blocks."""

    timespan_s: int
    """The time span that counts: the measured one, held between a quarter and four times."""
    difficulty: Decimal
    change_percent: Decimal


def retarget(difficulty: Decimal, timespan_s: int) -> Retarget:
    """Return the next difficulty: the present one x 2,016 x 600 s / time span, held to x4 and /4.

    Rule: CalculateNextWorkRequired of the reference node. It measures from the first block of an
    epoch to its last, 2,015 intervals; what is held here is the span that a caller has measured.
    The result is the exact ratio, which the network then rounds to 23 bits; it never falls below 1.
    """
    held = min(max(timespan_s, RETARGET_S // MAX_RETARGET_FACTOR), RETARGET_S * MAX_RETARGET_FACTOR)
    with localcontext(prec=_PRECISION):
        after = max(difficulty * RETARGET_S / held, Decimal(1))
        return Retarget(held, after, (after / difficulty - 1) * 100)


def implied_hashrate_ehs(difficulty: Decimal) -> Decimal:
    """Return the hashrate that finds a block every 600 s at a difficulty: D x 2^32 / 600, EH/s."""
    return difficulty * HASHES_PER_DIFFICULTY / BLOCK_S / HASHES_PER_EH


def hashprice_btc_per_ths_day(difficulty: Decimal, reward_btc: Decimal) -> Decimal:
    """Return what one TH/s earns in a day: 1e12 x 86,400 x reward / (D x 2^32), in bitcoin.

    `reward_btc` is a block's subsidy with its average fees (Luxor's definition of hashprice).
    """
    return HASHES_PER_TH * DAY_S * reward_btc / (difficulty * HASHES_PER_DIFFICULTY)
