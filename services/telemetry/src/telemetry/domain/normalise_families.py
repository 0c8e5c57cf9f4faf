"""What each firmware family says about its hardware, and who it says it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from telemetry.domain.normalise_answers import Answers, Row, status_of
from telemetry.domain.normalise_values import (
    LARGEST_SMALL_COUNT,
    Flags,
    counter,
    fan,
    hottest,
    power,
    temperature,
    temperatures,
    text,
    truth,
)
from telemetry.domain.reading import Family, Identity

MOST_CHAINS = 16
MOST_FANS = 8
MOST_ERROR_CODES = 32
_CORNERS = ("TopLeft", "TopRight", "BottomLeft", "BottomRight")
_CHAINS = tuple(
    (f"chain_acn{n}", (f"temp_chip{n}", f"temp2_{n}"), (f"temp_pcb{n}", f"temp{n}"))
    for n in range(1, MOST_CHAINS + 1)
)
_FANS = tuple(f"fan{n}" for n in range(1, MOST_FANS + 1))


@dataclass(slots=True)
class Hardware:
    """The part of a reading whose place differs from family to family."""

    power_w: float | None = None
    power_estimated: bool = False
    chip_temp_max_c: float | None = None
    board_temp_max_c: float | None = None
    inlet_temp_c: float | None = None
    fans_rpm: tuple[int, ...] = ()
    boards: int | None = None
    chips: int | None = None
    hardware_errors: int | None = None
    error_codes: tuple[str, ...] = ()


def antminer_hardware(answers: Answers, flags: Flags, identity: Identity) -> Hardware:
    """Read stock `stats`: chains and fans are numbered keys of one flat row; no watts anywhere."""
    row = answers.row("stats", "STATS")
    hardware = _chains(row, flags, is_hydro="hyd" in (identity.model or "").lower())
    hardware.fans_rpm = _stock_fans(row, flags)
    hardware.hardware_errors = counter(row.get("no_matching_work"), flags)
    return hardware


def _chains(row: Row, flags: Flags, *, is_hydro: bool) -> Hardware:
    boards = chips = 0
    chip_temps: list[float] = []
    board_temps: list[float] = []
    inlet_temps: list[float] = []
    for chips_key, chip_keys, board_keys in _CHAINS:
        count = row.get(chips_key)
        if count is None and boards:
            break
        if not (count := counter(count, flags, LARGEST_SMALL_COUNT)):
            continue
        boards += 1
        chips += count
        of_board = _first(row, board_keys)
        if (chip_c := hottest(_first(row, chip_keys), flags)) is not None:
            chip_temps.append(chip_c)
        if (board_c := hottest(of_board, flags)) is not None:
            board_temps.append(board_c)
        if is_hydro:  # water: first its two inlet sensors, then its outlet
            inlet_temps += temperatures(of_board, flags)[:2]
    return Hardware(
        chip_temp_max_c=max(chip_temps, default=None),
        board_temp_max_c=max(board_temps, default=None),
        inlet_temp_c=max(inlet_temps, default=None),
        boards=boards if "chain_acn1" in row or boards else None,
        chips=chips or None,
    )


def _first(row: Row, keys: tuple[str, ...]) -> object:
    for key in keys:
        if (value := row.get(key)) is not None:
            return value
    return None


def _stock_fans(row: Row, flags: Flags) -> tuple[int, ...]:
    """Read as many fans as the miner says it has; unused connectors of old models read 0."""
    found = [rpm for key in _FANS if key in row and (rpm := fan(row[key], flags)) is not None]
    fitted = counter(row.get("fan_num"), flags, MOST_FANS)
    if fitted is None or len(found) <= fitted:
        return tuple(found)
    turning = [rpm for rpm in found if rpm][:fitted]
    return tuple(turning + [0] * (fitted - len(turning)))


def luxos_hardware(answers: Answers, flags: Flags, identity: Identity) -> Hardware:
    """Read LuxOS's own reports; its sensors sit on the boards, and its chips have none."""
    power_row = answers.row("power", "POWER")
    board_temps: list[float] = []
    chip_temps: list[float] = []
    for row in answers.rows("temps", "TEMPS"):
        corners = _CORNERS if "TopLeft" in row else ("Board",)
        board_temps += [c for k in corners if (c := temperature(row.get(k), flags)) is not None]
        if (chip_c := temperature(row.get("Chip"), flags)) is not None:
            chip_temps.append(chip_c)
    fans = [fan(row.get("RPM"), flags) for row in answers.rows("fans", "FANS")]
    stats = answers.row("stats", "STATS")
    return Hardware(
        power_w=power(power_row.get("Watts"), flags),
        power_estimated=truth(power_row.get("PSU")) is False,
        chip_temp_max_c=max(chip_temps, default=None),
        board_temp_max_c=max(board_temps, default=None),
        fans_rpm=tuple(rpm for rpm in fans if rpm is not None),
        boards=_boards(answers),
        chips=_chains(stats, flags, is_hydro=False).chips if stats else identity.chips,
    )


def whatsminer_hardware(answers: Answers, flags: Flags, _identity: Identity) -> Hardware:
    """Read btminer's summary, which holds nearly everything."""
    summary = answers.row("summary", "SUMMARY")
    watts = power(summary.get("Power_RT"), flags)
    fans = [fan(summary.get(key), flags) for key in ("Fan Speed In", "Fan Speed Out")]
    chips = [
        counter(row.get("Effective Chips"), flags, LARGEST_SMALL_COUNT)
        for row in answers.rows("devs", "DEVS")
    ]
    return Hardware(
        power_w=power(summary.get("Power"), flags) if watts is None else watts,
        chip_temp_max_c=temperature(summary.get("Chip Temp Max"), flags),
        board_temp_max_c=_hottest_board(answers, flags)
        or temperature(summary.get("Temperature"), flags),
        inlet_temp_c=temperature(summary.get("Env Temp"), flags),
        fans_rpm=tuple(rpm for rpm in fans if rpm is not None),
        boards=_boards(answers),
        chips=sum(count for count in chips if count is not None) or None,
        error_codes=_error_codes(summary, flags),
    )


def _error_codes(summary: Row, flags: Flags) -> tuple[str, ...]:
    count = counter(summary.get("Error Code Count"), flags, LARGEST_SMALL_COUNT) or 0
    codes = (
        text(summary.get(f"Error Code {index}"), flags)
        for index in range(min(count, MOST_ERROR_CODES))
    )
    return tuple(code for code in codes if code is not None)


def generic_hardware(answers: Answers, flags: Flags, _identity: Identity) -> Hardware:
    """Read what the reference server itself would say of a miner nobody knows."""
    return Hardware(board_temp_max_c=_hottest_board(answers, flags), boards=_boards(answers))


def _boards(answers: Answers) -> int | None:
    """Count the boards that the miner lists and does not call dead."""
    if "devs" not in answers.parts:
        return None
    return sum(row.get("Status") != "Dead" for row in answers.rows("devs", "DEVS"))


def _hottest_board(answers: Answers, flags: Flags) -> float | None:
    found = (
        temperature(_first(row, ("Temperature", "Tenperature")), flags)  # sic: stock firmware
        for row in answers.rows("devs", "DEVS")
    )
    return max((c for c in found if c is not None), default=None)


HARDWARE: Mapping[Family, Callable[[Answers, Flags, Identity], Hardware]] = {
    Family.ANTMINER: antminer_hardware,
    Family.LUXOS: luxos_hardware,
    Family.WHATSMINER: whatsminer_hardware,
    Family.GENERIC: generic_hardware,
}


def identity_of(family: Family, answers: Answers, known: Identity) -> Identity:
    """Return who the miner says it is, and what was known before where it says nothing."""
    if known.model is not None and family not in _ALWAYS_NAMED and "version" not in answers.parts:
        return known
    flags: Flags = set()  # an odd name is no reason to doubt the numbers
    version = answers.row("version", "VERSION")
    fresh = _IDENTITY[family](answers, version, flags)
    return Identity(
        firmware=fresh.firmware or known.firmware,
        model=fresh.model or known.model,
        mac=fresh.mac.upper() if fresh.mac else known.mac,
        serial=fresh.serial or known.serial,
        chips=fresh.chips or known.chips,
    )


def _luxos_identity(answers: Answers, version: Row, flags: Flags) -> Identity:
    config = answers.row("config", "CONFIG")
    stats = answers.row("stats", "STATS")
    return Identity(
        firmware=text(version.get("LUXminer"), flags),
        model=text(config.get("Model"), flags) or text(version.get("Type"), flags),
        mac=text(config.get("MACAddr"), flags),
        serial=text(config.get("SerialNumber"), flags),
        chips=_chains(stats, flags, is_hydro=False).chips if stats else None,
    )


def _whatsminer_identity(answers: Answers, version: Row, flags: Flags) -> Identity:
    summary = answers.row("summary", "SUMMARY")
    miner = answers.message("get_miner_info")
    details = answers.row("devdetails", "DEVDETAILS")
    firmware = text(summary.get("Firmware Version"), flags) or text(
        answers.message("get_version").get("fw_ver"), flags
    )
    return Identity(
        firmware=firmware.strip("'") if firmware else None,  # v1 quotes it twice
        model=text(summary.get("Miner Type"), flags)
        or text(details.get("Model"), flags)
        or text(version.get("Type"), flags),
        mac=text(summary.get("MAC"), flags) or text(miner.get("mac"), flags),
        serial=text(miner.get("minersn"), flags),
    )


def _antminer_identity(answers: Answers, version: Row, flags: Flags) -> Identity:
    head = answers.rows("stats", "STATS")
    first = head[0] if head else version
    return Identity(
        firmware=text(_first(version, ("CompileTime", "Miner")), flags)
        or text(first.get("CompileTime"), flags),
        model=text(version.get("Type"), flags) or text(first.get("Type"), flags),
    )


def _generic_identity(answers: Answers, version: Row, flags: Flags) -> Identity:
    described = status_of(answers.parts.get("version") or answers.parts.get("summary") or {})
    model = _first(version, ("Type", "PROD", "MODEL", "Model"))
    return Identity(
        firmware=described.description or None,
        model=text(model, flags) or text(described.description, flags),
        mac=text(version.get("MAC"), flags),
        serial=text(version.get("DNA"), flags),
    )


_ALWAYS_NAMED = frozenset({Family.WHATSMINER})  # its summary has the MAC
_IDENTITY: Mapping[Family, Callable[[Answers, Row, Flags], Identity]] = {
    Family.LUXOS: _luxos_identity,
    Family.WHATSMINER: _whatsminer_identity,
    Family.ANTMINER: _antminer_identity,
    Family.GENERIC: _generic_identity,
}


def family_of(answers: Answers) -> Family:
    """Tell the family from `version` and `summary`; what nobody knows is generic."""
    version = answers.row("version", "VERSION")
    described = " ".join(
        status_of(part).description
        for command in ("version", "summary")
        if (part := answers.parts.get(command)) is not None
    ).lower()
    if "LUXminer" in version or "luxminer" in described:
        return Family.LUXOS
    summary = answers.row("summary", "SUMMARY")
    if "btminer" in described or "whatsminer" in described or "Btminer Fast Boot" in summary:
        return Family.WHATSMINER
    model = version.get("Type")
    is_stock = "BMMiner" in version or "bmminer" in described or "CompileTime" in version
    if is_stock and type(model) is str and "antminer" in model.lower():
        return Family.ANTMINER
    return Family.GENERIC
