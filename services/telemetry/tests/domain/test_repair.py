"""Any bytes become an outcome, and the defects seen in the field are repaired by name."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.domain.reading import Flag, Outcome
from telemetry.domain.repair import MAX_DEPTH, Document, read_json

OUTCOMES = {
    Outcome.OK,
    Outcome.REPAIRED,
    Outcome.TRUNCATED,
    Outcome.NOT_JSON,
    Outcome.WRONG_SHAPE,
}


@pytest.mark.parametrize(
    ("body", "value", "rules"),
    [
        (b'{"a":[{"x":1}{"y":2}]}', {"a": [{"x": 1}, {"y": 2}]}, {Flag.MISSING_COMMA}),
        (b'{"a":[,{"x":1}]}', {"a": [{"x": 1}]}, {Flag.STRAY_COMMA}),
        (b'{"a":1,}', {"a": 1}, {Flag.STRAY_COMMA}),
        (b'{"a":1,,"b":2}', {"a": 1, "b": 2}, {Flag.STRAY_COMMA}),
        (b'{"Msg":"x\ny"}', {"Msg": "x\ny"}, {Flag.CONTROL_CHARACTER}),
        (b'{"a":"v""temp0":1}', {"a": "v", "temp0": 1}, {Flag.MISSING_COMMA}),
        (
            b'{"a":""temp0":1}',
            {"a": "", "temp0": 1},
            {Flag.MISSING_COMMA, Flag.LOST_QUOTE},
        ),
        (
            b'{"error_code":["218":"2024-06-15 10:30:00"]}',
            {"error_code": [{"218": "2024-06-15 10:30:00"}]},
            {Flag.MAP_IN_BRACKETS},
        ),
        (b'{"GHSav":nan,"b":-inf}', {"GHSav": None, "b": None}, {Flag.NOT_FINITE}),
        (b'{"a":1e400}', {"a": None}, {Flag.NOT_FINITE}),
        (b',"id":1}', {"id": 1}, {Flag.MISSING_OPENING}),
        (b'{"BYE","id":1}', {"BYE": None, "id": 1}, {Flag.KEY_WITHOUT_VALUE}),
        (b'{"a":,"b":2}', {"a": None, "b": 2}, {Flag.KEY_WITHOUT_VALUE}),
        (b'{"a":1}{"a":2}', {"a": 1}, {Flag.SECOND_DOCUMENT}),
        (b'{"a":1}\0{"a":2}', {"a": 1}, {Flag.SECOND_DOCUMENT}),
        (b'{"u":"\xff\xfe","a":1}', {"u": "��", "a": 1}, {Flag.INVALID_UTF8}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}, {Flag.BYTE_ORDER_MARK}),
        (b'{"a":007,"b":.5}', {"a": 7, "b": 0.5}, {Flag.ODD_NUMBER}),
        (b'{"a":N/A}', {"a": None}, {Flag.BARE_WORD}),
        (b'{"a":"\\x","b":"\\u0041\\n"}', {"a": "\\x", "b": "A\n"}, {Flag.ODD_ESCAPE}),
        (b'{"a":"\\ud83d\\ude00\\ud800"}', {"a": "😀�"}, {Flag.INVALID_UTF8}),
    ],
)
def test_a_known_defect_is_repaired_by_its_rule(
    body: bytes, value: dict[str, object], rules: set[Flag]
) -> None:
    assert read_json(body) == Document(Outcome.REPAIRED, value, frozenset(rules))


def test_a_string_that_looks_like_a_defect_is_left_alone() -> None:
    text = '}{ ,} [, ""temp0 nan \\" ["1":"2"]'
    body = b'{"s":' + json.dumps(text).encode() + b',"list":[{}{}]}'
    assert read_json(body).value == {"s": text, "list": [{}, {}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b'{"a":1',
        b'{"a":[{"b":"c',
        b'{"a":tru',
        b'{"a"',
        b'{"a":"x\0',
        b"[",
        b'{"STATUS":[{"STATUS":"S"}],"SUMMARY":[{"Elapsed":17,"GHS 5s":95',
    ],
)
def test_a_cut_answer_is_truncated_and_keeps_nothing(body: bytes) -> None:
    assert read_json(body) == Document(Outcome.TRUNCATED)


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-dropbear\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00",
        b"STATUS=S,When=1,Code=11|",
        b'{"a":]}',
        b"[" * 200 + b"]" * 200,
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"user":"a\0b","x":1}',
        b'{"a" "b" \x01}',
        b'{"a":[}]}',
    ],
)
def test_what_is_not_json_is_said_to_be_none(body: bytes) -> None:
    assert read_json(body) == Document(Outcome.NOT_JSON)


def test_a_list_or_a_number_has_the_wrong_shape() -> None:
    assert read_json(b"[1,2]").outcome is Outcome.WRONG_SHAPE
    assert read_json(b"[1,2,]").outcome is Outcome.WRONG_SHAPE
    assert read_json(b"3").outcome is Outcome.WRONG_SHAPE


def test_of_a_repeated_key_the_last_wins_and_it_is_flagged() -> None:
    expected = Document(Outcome.OK, {"a": {"x": 2}}, frozenset({Flag.DUPLICATE_KEY}))
    assert read_json(b'{"a":{"x":1,"x":2}}') == expected
    assert read_json(b'{"a":{"x":1,"x":2},}').rules == {Flag.DUPLICATE_KEY, Flag.STRAY_COMMA}


def test_a_text_that_looks_like_a_key_is_no_repeated_key() -> None:
    body = rb'{"a":"\"b\":1 \"c\":2"}'
    assert read_json(body) == Document(Outcome.OK, {"a": '"b":1 "c":2'}, frozenset())


def test_depth_up_to_the_limit_is_read() -> None:
    inner = MAX_DEPTH - 1
    assert read_json(b'{"a":' + b"[" * inner + b"]" * inner + b"}").outcome is Outcome.OK
    body = b'{"a":' + b"[" * inner + b"]" * inner + b",}"
    assert read_json(body).outcome is Outcome.REPAIRED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_good_json_is_read_as_it_is(value: dict[str, object]) -> None:
    body = json.dumps(value).encode()
    document = read_json(body)
    assert document.value == json.loads(body)
    assert document.outcome is Outcome.OK


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_the_scanner_reads_good_json_like_the_parser(value: dict[str, object]) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    document = read_json(body + b"{}")
    assert document.value == value
    assert document.rules == {Flag.SECOND_DOCUMENT}


fragments = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"', "\\", "a", '"k":', "1", "-", "nan", "null", "\0", "\n", "é"]
)


@settings(max_examples=300)
@given(
    st.binary(max_size=300) | st.lists(fragments, max_size=60).map(lambda f: "".join(f).encode())
)
def test_any_bytes_give_an_outcome(body: bytes) -> None:
    document = read_json(body)
    assert document.outcome in OUTCOMES
    has_value = document.outcome in {Outcome.OK, Outcome.REPAIRED}
    assert (document.value is not None) == has_value


@pytest.mark.parametrize(
    "unit", [b"[", b'{"a":', b'"\\"', b",", b"nan,", b'{"a":"', b"1", b'{"a"', b"\\", b'"a', b"[,"]
)
def test_a_megabyte_of_anything_is_answered_in_linear_work(unit: bytes) -> None:
    """Counts the steps the scanner takes, since tests assert no times."""
    body = b'{"x":[' + unit * (200_000 // len(unit))
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        document = read_json(body)
    finally:
        sys.setprofile(None)
    assert document.outcome in OUTCOMES
    assert calls < 60 * len(body)
