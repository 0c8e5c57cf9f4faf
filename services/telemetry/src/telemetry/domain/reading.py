"""What one poll of one miner yields: a reading with an outcome, never an exception."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a poll ended; a closed set, stored with every sample."""

    OK = "ok"
    REPAIRED = "repaired"
    PARTIAL = "partial"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    READ_TIMEOUT = "read_timeout"
    RESET = "reset"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    API_ERROR = "api_error"
    DENIED = "denied"
    UNSUPPORTED = "unsupported"
    WRONG_SHAPE = "wrong_shape"
    INCONCLUSIVE = "inconclusive"  # the fault may be ours: lag, no free port, no descriptor

    @property
    def has_values(self) -> bool:
        """Whether a reading with this outcome carries the miner's numbers."""
        return self in _WITH_VALUES

    @property
    def answered(self) -> bool:
        """Whether a program at the miner's address spoke the miner's protocol."""
        return self in _ANSWERED


_WITH_VALUES = frozenset({Outcome.OK, Outcome.REPAIRED, Outcome.PARTIAL})
_ANSWERED = _WITH_VALUES | {
    Outcome.API_ERROR,
    Outcome.DENIED,
    Outcome.UNSUPPORTED,
    Outcome.WRONG_SHAPE,
}


class Family(StrEnum):
    """A kind of firmware that is polled and commanded in one way."""

    LUXOS = "luxos"
    WHATSMINER = "whatsminer"
    ANTMINER = "antminer"
    GENERIC = "generic"


class Flag(StrEnum):
    """What was odd about a reading. The first group are the repair rules."""

    MISSING_COMMA = "missing_comma"
    STRAY_COMMA = "stray_comma"
    CONTROL_CHARACTER = "control_character"
    LOST_QUOTE = "lost_quote"
    MAP_IN_BRACKETS = "map_in_brackets"
    MISSING_OPENING = "missing_opening"
    KEY_WITHOUT_VALUE = "key_without_value"
    BARE_WORD = "bare_word"
    ODD_NUMBER = "odd_number"
    ODD_ESCAPE = "odd_escape"
    INVALID_UTF8 = "invalid_utf8"
    BYTE_ORDER_MARK = "byte_order_mark"
    SECOND_DOCUMENT = "second_document"
    NOT_FINITE = "not_finite"

    DUPLICATE_KEY = "duplicate_key"
    WRONG_SHAPE = "wrong_shape"
    IMPLAUSIBLE = "implausible"
    DENIED = "denied"
    PART_MISSING = "part_missing"
    CLOCK_SKEW = "clock_skew"
    GENERIC_MAPPING = "generic_mapping"
    FIRMWARE_MISMATCH = "firmware_mismatch"
    IDENTITY_CHANGED = "identity_changed"
    COUNTER_WENT_BACK = "counter_went_back"


@dataclass(slots=True)  # not frozen: that triples what making one costs, and a poll makes several
class Pool:
    """One mining pool as the miner reports it; never its password."""

    url: str | None
    user: str | None
    status: str | None
    priority: int | None
    accepted: int | None
    rejected: int | None
    stale: int | None
    active: bool | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a machine: asked seldom, and repeated in every reading in between."""

    firmware: str | None = None
    model: str | None = None
    mac: str | None = None
    serial: str | None = None
    chips: int | None = None


@dataclass(slots=True)  # not frozen: that triples what making one costs, and a poll makes several
class Reading:
    """The values of one poll; None where the miner does not say."""

    outcome: Outcome
    hashrate_5s_ths: float | None = None
    hashrate_avg_ths: float | None = None
    hashrate_30m_ths: float | None = None
    power_w: float | None = None
    power_estimated: bool = False
    efficiency_j_per_th: float | None = None
    chip_temp_max_c: float | None = None
    board_temp_max_c: float | None = None
    inlet_temp_c: float | None = None
    fans_rpm: tuple[int, ...] = ()
    boards: int | None = None
    chips: int | None = None
    hardware_errors: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    stale: int | None = None
    mining_uptime_s: int | None = None
    firmware: str | None = None
    model: str | None = None
    mac: str | None = None
    serial: str | None = None
    is_mining: bool | None = None
    pools: tuple[Pool, ...] = ()
    error_codes: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
