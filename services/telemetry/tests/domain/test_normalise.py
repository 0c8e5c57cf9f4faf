"""Answers of each family become the same reading; what cannot be is null and flagged."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.domain.normalise import Context, family_of, normalise
from telemetry.domain.normalise_answers import Answers
from telemetry.domain.reading import Family, Flag, Identity, Outcome, Pool, Reading

WHEN = 1_790_000_000
OK = {"STATUS": [{"STATUS": "S", "When": WHEN, "Code": 11, "Description": "bmminer 1.0.0"}]}
SUMMARY = {
    "Elapsed": 3600,
    "GHS 5s": "95100.5",
    "GHS av": 95000.25,
    "GHS 30m": 94900,
    "Accepted": 100,
    "Rejected": 2,
    "Stale": 1,
    "Hardware Errors": 7,
}
STATS_HEAD = {"Type": "Antminer S19", "CompileTime": "Fri Aug 5"}
CHAIN = {
    "fan_num": 4,
    "fan1": 5000,
    "fan2": 5010,
    "fan3": 5020,
    "fan4": 0,
    "chain_acn1": 76,
    "chain_acn2": 76,
    "chain_acn3": 0,
    "temp_chip1": "78-50-69-70",
    "temp_pcb1": "58-60-0-61",
    "temp_chip2": "71-72-73-74",
    "temp_pcb2": "55-56-57-58",
    "chain_rate3": "",
}
POOL = {
    "URL": "stratum+tcp://pool.example:3333",
    "User": "farm.worker1",
    "Pass": "secret",
    "Password": "secret",
    "Status": "Alive",
    "Priority": 0,
    "Accepted": 90,
    "Rejected": 1,
    "Stale": 0,
    "Stratum Active": True,
}


def answer(section: str, rows: Any) -> dict[str, Any]:
    return {**OK, section: rows, "id": 1}


def stock(**changes: Any) -> Answers:
    """Answers of a stock S19, with changed summary fields."""
    answers = Answers()
    answers.take("summary", answer("SUMMARY", [{**SUMMARY, **changes}]))
    answers.take("stats", answer("STATS", [STATS_HEAD, CHAIN]))
    answers.take("pools", answer("POOLS", [POOL]))
    return answers


def read(answers: Answers, family: Family = Family.ANTMINER, **context: Any) -> Reading:
    return normalise(answers, Context(family, **context))


def test_a_stock_antminer_is_read() -> None:
    reading = read(stock(), required=("summary", "stats", "pools"), now_s=WHEN + 5)
    assert reading == Reading(
        outcome=Outcome.OK,
        hashrate_5s_ths=95.1005,
        hashrate_avg_ths=95.00025,
        hashrate_30m_ths=94.9,
        chip_temp_max_c=78,
        board_temp_max_c=61,
        fans_rpm=(5000, 5010, 5020, 0),
        boards=2,
        chips=152,
        hardware_errors=7,
        accepted=100,
        rejected=2,
        stale=1,
        mining_uptime_s=3600,
        firmware="Fri Aug 5",
        model="Antminer S19",
        is_mining=True,
        pools=(
            Pool(
                url="stratum+tcp://pool.example:3333",
                user="farm.worker1",
                status="Alive",
                priority=0,
                accepted=90,
                rejected=1,
                stale=0,
                active=True,
            ),
        ),
    )


def test_a_luxos_miner_is_read_with_real_watts_and_no_chip_temperature() -> None:
    answers = Answers()
    answers.take("summary", answer("SUMMARY", [SUMMARY]))
    answers.take("power", answer("POWER", [{"PSU": True, "Watts": 3250}]))
    corners = {"TopLeft": 50, "TopRight": 51.5, "BottomLeft": 60, "BottomRight": -1}
    answers.take("temps", answer("TEMPS", [{"ID": 0, **corners}]))
    answers.take("fans", answer("FANS", [{"RPM": 4800, "Speed": 60}, {"RPM": 0}]))
    devs = [{"ASC": 0, "Status": "Alive"}, {"ASC": 1, "Status": "Dead"}]
    answers.take("devs", answer("DEVS", devs))
    answers.take("version", answer("VERSION", [{"LUXminer": "2025.7", "Type": "Antminer S19"}]))
    identity = {"MACAddr": "aa:bb:cc:00:11:22", "SerialNumber": "SN1", "Model": "Antminer S19j"}
    answers.take("config", answer("CONFIG", [identity]))
    reading = read(answers, Family.LUXOS)
    assert (reading.power_w, reading.power_estimated) == (3250, False)
    assert reading.efficiency_j_per_th == pytest.approx(3250 / 95.1005, abs=1e-3)
    assert (reading.chip_temp_max_c, reading.board_temp_max_c) == (None, 60)
    assert (reading.fans_rpm, reading.boards) == ((4800, 0), 1)
    assert (reading.mac, reading.serial) == ("AA:BB:CC:00:11:22", "SN1")
    assert (reading.firmware, reading.model) == ("2025.7", "Antminer S19j")


def test_watts_without_a_power_supply_that_measures_are_estimated() -> None:
    answers = stock()
    answers.take("power", answer("POWER", [{"PSU": False, "Watts": 3250}]))
    assert read(answers, Family.LUXOS).power_estimated is True


def whatsminer(**changes: Any) -> Answers:
    summary = {
        "Elapsed": 100,
        "MHS 5s": 112_000_000.0,
        "MHS 15m": 111_000_000.0,
        "MHS av": 110_000_000.0,
        "Power": 3300,
        "Power_RT": -1,
        "Env Temp": 24.5,
        "Temperature": 70.0,
        "Chip Temp Max": 85.5,
        "Fan Speed In": 4980,
        "Fan Speed Out": 5040,
        "Error Code Count": 2,
        "Error Code 0": 2010,
        "Error Code 1": "350",
        "MAC": "c6:00:11:22:33:44",
        "Miner Type": "M50S",
        "Firmware Version": "'20240115.22.REL'",
        **changes,
    }
    answers = Answers()
    answers.take("summary", answer("SUMMARY", [summary]))
    boards = [{"Slot": n, "Effective Chips": 117, "Temperature": 70.0 + n} for n in range(3)]
    answers.take("devs", answer("DEVS", boards))
    return answers


def test_a_whatsminer_is_read_and_its_quarter_hour_is_no_half_hour() -> None:
    reading = read(whatsminer(), Family.WHATSMINER)
    assert (reading.hashrate_5s_ths, reading.hashrate_avg_ths) == (112, 110)
    assert reading.hashrate_30m_ths is None
    assert (reading.power_w, reading.flags) == (3300, (Flag.IMPLAUSIBLE,))  # -1 real-time watts
    assert (reading.chip_temp_max_c, reading.board_temp_max_c) == (85.5, 72)
    assert (reading.inlet_temp_c, reading.fans_rpm) == (24.5, (4980, 5040))
    assert (reading.boards, reading.chips) == (3, 351)
    assert reading.error_codes == ("2010", "350")
    assert (reading.mac, reading.model) == ("C6:00:11:22:33:44", "M50S")
    assert reading.firmware == "20240115.22.REL"


def test_a_whatsminer_that_says_only_its_real_time_rate_is_read_in_megahashes() -> None:
    reading = read(whatsminer(**{"MHS 5s": None, "HS RT": 100_000_000}), Family.WHATSMINER)
    assert reading.hashrate_5s_ths == 100


def test_an_unknown_vendor_gets_the_generic_mapping_and_says_so() -> None:
    answers = Answers()
    described = {"STATUS": [{"STATUS": "S", "Description": "cgminer 4.11.1"}]}
    answers.take("summary", {**described, "SUMMARY": [{"MHS 5s": 5_000_000.0, "Elapsed": 9}]})
    answers.take("devs", answer("DEVS", [{"Temperature": 61.5, "Status": "Alive"}]))
    assert family_of(answers) is Family.GENERIC
    reading = read(answers, Family.GENERIC)
    assert (reading.hashrate_5s_ths, reading.board_temp_max_c) == (5, 61.5)
    assert (reading.model, reading.flags) == ("cgminer 4.11.1", (Flag.GENERIC_MAPPING,))


@pytest.mark.parametrize(
    ("key", "value", "ths"),
    [
        ("GHS 5s", "7903.729", 7.903729),
        ("MHS 5s", 7_903_729.0, 7.903729),
        ("THS 5s", 7.9, 7.9),
        ("KHS 5s", 7_903_729_000, 7.903729),
        ("GHS 5s", "7903.729 GH/s", 7.903729),
    ],
)
def test_the_unit_is_in_the_name_of_the_key(key: str, value: object, ths: float) -> None:
    reading = read(stock(**{"GHS 5s": None, key: value}))
    assert reading.hashrate_5s_ths == pytest.approx(ths)


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "NaN"])
def test_what_is_not_finite_is_null_and_flagged(value: str) -> None:
    reading = read(stock(**{"GHS 5s": value}))
    assert (reading.hashrate_5s_ths, reading.flags) == (None, (Flag.NOT_FINITE,))
    assert reading.hashrate_avg_ths is not None
    assert reading.is_mining is None


@pytest.mark.parametrize("value", ["abc", True, [1], {"a": 1}])
def test_another_shape_costs_only_its_field(value: object) -> None:
    reading = read(stock(**{"GHS 5s": value, "Accepted": value}))
    assert (reading.hashrate_5s_ths, reading.accepted) == (None, None)
    assert (reading.outcome, reading.flags) == (Outcome.PARTIAL, (Flag.WRONG_SHAPE,))
    assert (reading.hashrate_avg_ths, reading.rejected) == (95.00025, 2)


SHAPES: list[Any] = [[1, 2], {"SUMMARY": "text"}, {"SUMMARY": [[]]}, "text", None, 5, [], {}]


@pytest.mark.parametrize("summary", SHAPES)
def test_a_summary_of_another_shape_is_wrong_shape(summary: object) -> None:
    answers = Answers()
    answers.take("summary", summary)
    assert read(answers).outcome is Outcome.WRONG_SHAPE


def test_an_object_where_a_list_is_due_is_read_and_flagged() -> None:
    answers = Answers()
    answers.take("summary", answer("SUMMARY", SUMMARY))
    reading = read(answers)
    assert (reading.accepted, reading.flags) == (100, (Flag.WRONG_SHAPE,))


def test_a_negative_hashrate_is_null_and_implausible() -> None:
    reading = read(stock(**{"GHS 5s": -5.0, "Accepted": -1}))
    assert (reading.hashrate_5s_ths, reading.accepted) == (None, None)
    assert reading.flags == (Flag.IMPLAUSIBLE,)


@pytest.mark.parametrize("celsius", [255, -273, 151, 1e30])
def test_a_temperature_that_cannot_be_is_null_and_implausible(celsius: float) -> None:
    reading = read(whatsminer(**{"Chip Temp Max": celsius, "Power_RT": 3000}), Family.WHATSMINER)
    assert (reading.chip_temp_max_c, reading.flags) == (None, (Flag.IMPLAUSIBLE,))


@pytest.mark.parametrize("celsius", [0, -1, "0.0", "", None])
def test_a_sensor_that_is_not_there_is_only_missing(celsius: object) -> None:
    reading = read(whatsminer(**{"Chip Temp Max": celsius, "Power_RT": 3000}), Family.WHATSMINER)
    assert (reading.chip_temp_max_c, reading.flags) == (None, ())


def test_a_rate_a_thousand_times_what_is_rated_is_kept_and_flagged() -> None:
    reading = read(stock(**{"GHS 5s": 95_000_000}), nameplate_hashrate_ths=95)
    assert (reading.hashrate_5s_ths, reading.flags) == (95_000, (Flag.IMPLAUSIBLE,))


def test_a_count_too_large_for_a_column_is_null() -> None:
    reading = read(stock(Accepted=2**63, Rejected=1e300))
    assert (reading.accepted, reading.rejected) == (None, None)
    assert reading.flags == (Flag.IMPLAUSIBLE,)


def test_texts_are_bounded_and_carry_no_control_characters() -> None:
    answers = stock()
    pools = [{**POOL, "User": "a\0b\x1b" + "ü" * 400, "URL": "stratum+tcp://me:pw@pool:1"}]
    answers.take("pools", answer("POOLS", pools))
    [pool] = read(answers).pools
    assert pool.user == "a b " + "ü" * 252
    assert pool.url == "stratum+tcp://pool:1"


def test_a_part_that_refused_leaves_a_partial_reading() -> None:
    answers = Answers()
    answers.take("summary", answer("SUMMARY", [SUMMARY]))
    answers.take("stats", {"STATUS": [{"STATUS": "E", "Code": 45, "Msg": "Access denied"}]})
    reading = read(answers, required=("summary", "stats"))
    assert reading.outcome is Outcome.PARTIAL
    assert reading.flags == (Flag.DENIED, Flag.PART_MISSING)
    assert reading.accepted == 100


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(45, Outcome.DENIED), (14, Outcome.UNSUPPORTED), (23, Outcome.API_ERROR)],
)
def test_a_summary_that_is_refused_is_the_outcome(code: int, outcome: Outcome) -> None:
    answers = Answers()
    answers.take("summary", {"STATUS": {"STATUS": "E", "Code": code}})
    assert read(answers) == Reading(outcome)


def test_a_clock_in_another_year_is_noticed_and_not_used() -> None:
    assert read(stock(), now_s=WHEN + 400).flags == (Flag.CLOCK_SKEW,)


def test_another_machine_at_the_address_is_noticed() -> None:
    reading = read(whatsminer(), Family.WHATSMINER, identity=Identity(mac="C6:00:00:00:00:01"))
    assert Flag.IDENTITY_CHANGED in reading.flags


def test_hydro_boards_tell_the_temperature_of_the_water_that_comes_in() -> None:
    answers = stock()
    head = {**STATS_HEAD, "Type": "Antminer S19 Hyd"}
    row = {**CHAIN, "temp_pcb1": "31-32-41-42", "temp_pcb2": "30-31-40-41", "fan_num": 0}
    answers.take("stats", answer("STATS", [head, row]))
    reading = read(answers)
    assert (reading.inlet_temp_c, reading.board_temp_max_c, reading.fans_rpm) == (32, 42, ())


def test_an_old_model_has_as_many_fans_as_it_says() -> None:
    answers = stock()
    fans = {f"fan{n}": rpm for n, rpm in enumerate((0, 0, 4440, 0, 0, 5280, 0, 0), start=1)}
    answers.take("stats", answer("STATS", [{"fan_num": 2, **fans}]))
    assert read(answers).fans_rpm == (4440, 5280)


@pytest.mark.parametrize(
    ("version", "description", "family"),
    [
        ({"LUXminer": "2025.7"}, "LUXminer 2025.7", Family.LUXOS),
        ({"BTMiner": "x"}, "btminer", Family.WHATSMINER),
        ({"BMMiner": "1", "Type": "Antminer S21"}, "bmminer 1.0.0", Family.ANTMINER),
        ({"BOSer": "1"}, "BOSer boser-openwrt", Family.GENERIC),
        ({"CGMiner": "4", "PROD": "AvalonMiner"}, "cgminer 4.11", Family.GENERIC),
    ],
)
def test_the_family_is_told_from_version_and_description(
    version: dict[str, str], description: str, family: Family
) -> None:
    answers = Answers()
    status = {"STATUS": [{"STATUS": "S", "Description": description}]}
    answers.take("version", {**status, "VERSION": [version]})
    assert family_of(answers) is family


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *SUMMARY,
    *CHAIN,
    *POOL,
    "STATUS",
    "When",
    "Code",
    "Watts",
    "PSU",
    "RPM",
    "TopLeft",
    "MAC",
]
rows = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6)
sections = st.sampled_from(
    ["STATUS", "SUMMARY", "STATS", "POOLS", "DEVS", "TEMPS", "FANS", "POWER", "VERSION", "CONFIG"]
)
parts = st.dictionaries(sections, anything | rows | st.lists(rows, max_size=2), max_size=4)
COMMANDS = ["summary", "stats", "pools", "devs", "temps", "fans", "power", "version", "config"]


@given(
    st.dictionaries(st.sampled_from(COMMANDS), anything | parts | st.lists(parts, max_size=1)),
    st.sampled_from(list(Family)),
)
def test_any_document_gives_a_reading(document: dict[str, Any], family: Family) -> None:
    answers = Answers()
    answers.take_joined(document, COMMANDS)
    reading = read(answers, family, now_s=1.0)
    assert reading.outcome in Outcome
    assert reading.outcome.has_values or reading == Reading(reading.outcome, flags=reading.flags)
