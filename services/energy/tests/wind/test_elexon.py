"""The client of Elexon against the simulated one and all that it can do wrong."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from energy.wind import elexon as module
from energy.wind.answers import (
    read_generation,
    read_metered,
    read_notified,
    read_prices,
    read_stack,
    read_units,
)
from energy.wind.elexon import PATIENCE_OF_JOBS_S, NoAnswer, NotThere, open_elexon
from energy.wind.elexon import Elexon as Client
from energy.wind.fields import Nonsense
from energy.wind.pace import Gate, Pace
from simulation.elexon import Elexon, Fault, Resource

ALWAYS_WRONG = (
    Fault.STATUS_500,
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.EMPTY,
    Fault.REFUSED,
    Fault.NULL_DATA,
    Fault.NO_DATA,
    Fault.WRONG_SHAPE,
    Fault.WRONG_TYPES,
    Fault.LOST_FIELDS,
    Fault.DUPLICATES,
    Fault.OTHER_DATE,
    Fault.OTHER_PERIOD,
    Fault.NAN,
    Fault.HUGE_NUMBER,
)


async def test_a_stack_is_read_from_its_text(asking: Client, day: date) -> None:
    told = await asking.stack("bid", day, 12)
    assert len(told.rows) > 40
    assert told.simulated
    volumes = [row.volume_mwh for row in told.rows if row.volume_mwh is not None]
    assert all(isinstance(volume, Decimal) for volume in volumes)
    text = told.body.decode()
    assert all(f'"volume":{volume}' in text for volume in volumes if "E" not in str(volume))
    # Several rows of one unit in one period, and actions that no unit took.
    units = [row.unit for row in told.rows]
    assert len(set(units)) < len(units)
    assert None in units


@pytest.mark.parametrize("fault", ALWAYS_WRONG)
async def test_nonsense_is_no_answer(
    asking: Client, elexon: Elexon, day: date, fault: Fault
) -> None:
    elexon.fault(fault, Resource.STACK)
    with pytest.raises(NoAnswer):
        await asking.stack("bid", day, 12)
    assert elexon.calls[Resource.STACK] == 3  # asked again, each time in vain


@pytest.mark.parametrize("fault", ALWAYS_WRONG)
async def test_what_passes_is_borne(
    asking: Client, elexon: Elexon, day: date, fault: Fault
) -> None:
    elexon.fault(fault, Resource.STACK, times=1)
    assert (await asking.stack("bid", day, 12)).rows


async def test_another_order_of_rows_is_no_fault(asking: Client, elexon: Elexon, day: date) -> None:
    before = await asking.stack("bid", day, 12)
    elexon.fault(Fault.DISORDER, Resource.STACK)
    after = await asking.stack("bid", day, 12)
    assert before.rows != after.rows
    assert set(before.rows) == set(after.rows)


async def test_a_slow_answer_is_left(elexon: Elexon, day: date) -> None:
    elexon.fault(Fault.SLOW, Resource.STACK)
    async with open_elexon(elexon.url, Gate(8, 500), timeout_s=0.2, tries=1) as client:
        with pytest.raises(NoAnswer, match=r"no answer in 0\.2 s"):
            await client.stack("bid", day, 12)


async def test_a_huge_answer_is_left(
    elexon: Elexon, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 100_000)
    elexon.fault(Fault.HUGE_BODY, Resource.STACK)
    async with open_elexon(elexon.url, Gate(8, 500), timeout_s=5, tries=1) as client:
        with pytest.raises(NoAnswer, match="more than 100000 bytes"):
            await client.stack("bid", day, 12)


async def test_too_often_means_everybody_rests(elexon: Elexon, day: date) -> None:
    elexon.fault(Fault.STATUS_429, Resource.STACK, times=1, retry_after_s=1)
    async with open_elexon(elexon.url, Gate(8, 500), timeout_s=5, tries=3) as client:
        began = asyncio.get_running_loop().time()
        await client.stack("bid", day, 12)
        other = asyncio.get_running_loop().time() - began
    assert other >= 0.95  # as the party asked, not as we would have waited by ourselves
    assert elexon.calls[Resource.STACK] == 2


async def test_what_is_not_there_is_told_apart(asking: Client, elexon: Elexon, day: date) -> None:
    with pytest.raises(NotThere):
        await asking.stack("bid", day, 49)  # no such period
    elexon.fault(Fault.MISSING, Resource.STACK)
    with pytest.raises(NotThere):
        await asking.stack("bid", day, 12)
    assert elexon.calls[Resource.STACK] == 2  # to ask again would not help


async def test_calls_at_once_are_bounded(elexon: Elexon, day: date) -> None:
    elexon.delay_s = 0.02
    before = elexon.open_now  # a call that some test left may still be answered
    try:
        async with open_elexon(elexon.url, Gate(3, 500), timeout_s=5, tries=1) as client:
            await asyncio.gather(*(client.stack("bid", day, number) for number in range(1, 20)))
    finally:
        elexon.delay_s = 0.0
    assert 3 <= elexon.most_open <= 3 + before


async def test_calls_a_second_are_bounded() -> None:
    at = 0.0
    pace = Pace(4, clock=lambda: at)
    for _ in range(4):
        await pace.wait(1)
    async with asyncio.timeout(1):
        waiting = asyncio.create_task(pace.wait(1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        at = 0.3  # by then a token has come
        await waiting


async def test_the_register_tells_a_unit_once(asking: Client) -> None:
    told = await asking.bm_units()
    ids = [unit.bm_unit for unit in told.rows]
    assert len(ids) == len(set(ids))
    wind = [unit for unit in told.rows if unit.fuel_type == "WIND"]
    assert len(wind) == 200
    assert all(unit.lead_party_name for unit in wind)


async def test_meters_and_notifications_of_a_day(asking: Client, day: date) -> None:
    told = await asking.bm_units()
    units = [unit.bm_unit for unit in told.rows if unit.fuel_type == "WIND"]
    notified = [row for part in await asking.notifications(day, units) for row in part.rows]
    metered = [row for part in await asking.metered(day, units) for row in part.rows]
    assert len(notified) == len(metered) == 200 * 48
    assert {row.bm_unit for row in notified} == set(units)
    # What is curtailed was notified, and is not on the meter.
    assert sum(row.mwh for row in metered) < sum(row.mwh for row in notified)


@pytest.mark.parametrize(
    ("read", "body", "why"),
    [
        (read_units, b"[]", "empty"),
        (read_units, b'{"data": null}', "no list of data"),
        (read_units, b'[{"elexonBmUnit": 7}]', "text"),
        (read_units, b'[{"elexonBmUnit": "T_A-1", "generationCapacity": "lots"}]', "no number"),
        (read_units, b"[7]", "no object"),
    ],
)
def test_a_register_that_cannot_be(read: Callable[[bytes], object], body: bytes, why: str) -> None:
    with pytest.raises(Nonsense, match=why):
        read(body)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ('"sequenceNumber": true', "sequence number"),
        ('"sequenceNumber": 1, "volume": -1e400', "cannot be"),
        ('"sequenceNumber": 1, "volume": 1e-99', "cannot be"),
        ('"sequenceNumber": 1, "volume": "1"', "is a text"),
        ('"sequenceNumber": 1, "volume": true', "no number"),
        ('"sequenceNumber": 1, "originalPrice": 1', "has no volume"),
        ('"sequenceNumber": 1, "volume": 1, "originalPrice": null, "soFlag": 1', "no flag"),
        (
            '"sequenceNumber": 1, "volume": 1, "originalPrice": null, "acceptanceId": 1.5',
            "no integer",
        ),
        (
            '"sequenceNumber": 1, "volume": 1, "originalPrice": null, "createdDateTime": "soon"',
            "no time",
        ),
    ],
)
def test_a_row_that_cannot_be(fields: str, why: str) -> None:
    place = '"settlementDate": "2025-03-04", "settlementPeriod": 1'
    body = f'{{"data": [{{{place}, {fields}}}]}}'.encode()
    with pytest.raises(Nonsense, match=why):
        read_stack(body, date(2025, 3, 4), 1)


def test_null_flags_are_not_set_and_null_prices_are_kept() -> None:
    body = (
        b'{"data": [{"settlementDate": "2025-03-04", "settlementPeriod": 1, "sequenceNumber": 1,'
        b'"id": "T_A-1", "volume": null, "originalPrice": null, "soFlag": null, "cadlFlag": null,'
        b'"storFlag": true}]}'
    )
    [row] = read_stack(body, date(2025, 3, 4), 1)
    assert (row.so_flag, row.cadl_flag, row.stor_flag) == (False, False, True)
    assert row.volume_mwh is None
    assert row.original_price is None


@pytest.mark.parametrize(
    ("read", "row", "why"),
    [
        (read_notified, '"timeFrom": "2025-03-04T00:00Z", "timeTo": "2025-03-04T02:00Z"', "span"),
        (read_notified, '"levelFrom": 1, "levelTo": 2', "span"),
        (read_metered, '"quantity": null', "missing"),
        (read_metered, '"quantity": "1"', "text"),
    ],
)
def test_outputs_that_cannot_be(read: Callable[[bytes, date], object], row: str, why: str) -> None:
    place = '"settlementDate": "2025-03-04", "settlementPeriod": 1, "bmUnit": "T_A-1"'
    with pytest.raises(Nonsense, match=why):
        read(f"[{{{place}, {row}}}]".encode(), date(2025, 3, 4))


PLACE = '"settlementDate": "2025-03-04", "settlementPeriod": 1'
WIND_ROW = f'{{{PLACE}, "psrType": "Wind Onshore", "quantity": 5}}'
PRICE_ROW = f'{{{PLACE}, "systemSellPrice": 80.5}}'


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ('{"settlementDate": "soon", "psrType": "Wind Onshore"}', "no settlement date"),
        ('{"settlementDate": "2025-03-04", "psrType": "Wind Offshore"}', "no period"),
        (
            '{"settlementDate": "2025-03-09", "settlementPeriod": 1, "psrType": "Wind Onshore"}',
            "about 2025-03-09",
        ),
        (f"{WIND_ROW}, {WIND_ROW}", "twice"),
    ],
)
def test_generation_that_cannot_be(rows: str, why: str) -> None:
    with pytest.raises(Nonsense, match=why):
        read_generation(f'{{"data": [{rows}]}}'.encode(), date(2025, 3, 4), date(2025, 3, 4))


def test_other_types_are_left_out() -> None:
    solar = f'{{{PLACE}, "psrType": "Solar", "quantity": 7}}'
    body = f'{{"data": [{WIND_ROW}, {solar}]}}'.encode()
    [found] = read_generation(body, date(2025, 3, 4), date(2025, 3, 4))
    assert (found.onshore_mw, found.offshore_mw) == (Decimal(5), None)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (f"{PRICE_ROW}, {PRICE_ROW}", "twice"),
        (PRICE_ROW.replace("03-04", "03-05"), "not asked for"),
        (PRICE_ROW.replace("80.5", '"80.5"'), "is a text"),
    ],
)
def test_prices_that_cannot_be(rows: str, why: str) -> None:
    with pytest.raises(Nonsense, match=why):
        read_prices(f'{{"data": [{rows}]}}'.encode(), date(2025, 3, 4))


def test_a_price_that_is_not_known_is_left_out() -> None:
    rows = PRICE_ROW.replace("80.5", "null")
    assert read_prices(f'{{"data": [{rows}]}}'.encode(), date(2025, 3, 4)) == []


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f'{{{PLACE}, "bmUnit": "T_A-1", "quantity": 1}}', "twice"),
        (
            '{"settlementDate": "2025-03-06", "settlementPeriod": 1, "bmUnit": "T_A-1"}',
            "about 2025-03-06",
        ),
    ],
)
def test_meters_that_repeat_or_stray(row: str, why: str) -> None:
    with pytest.raises(Nonsense, match=why):
        read_metered(f"[{row}, {row}]".encode(), date(2025, 3, 4))


async def test_a_call_that_is_refused_is_not_made_again(asking: Client, elexon: Elexon) -> None:
    with pytest.raises(NoAnswer, match="status 400"):
        await asking.generation(date(2025, 3, 1), date(2025, 3, 20))
    assert elexon.calls[Resource.BY_TYPE] == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("600", 600),
        ("9" * 400, 86_400),  # a day, whatever it says
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1680),
        ("Wed, 21 Oct 2026 07:28:00 -0000", 1680),
        ("Wed, 21 Oct 2026 06:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("Wed, 99 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_how_long_to_rest(header: str, seconds: float | None) -> None:
    assert module.rest_s(header, datetime(2026, 10, 21, 7, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("fault", [Fault.STATUS_429, Fault.STATUS_503])
async def test_a_rest_that_is_too_long_is_a_failed_call(
    elexon: Elexon, day: date, fault: Fault
) -> None:
    elexon.fault(fault, Resource.STACK, times=1, retry_after_s=3700)
    patience_s = PATIENCE_OF_JOBS_S
    async with open_elexon(elexon.url, Gate(8, 500), patience_s=patience_s) as client:
        for _ in range(2):  # and so is each that comes while it rests
            with pytest.raises(NoAnswer, match=r"no calls are wanted for another 3[67]\d\d s"):
                await client.stack("bid", day, 12)
    assert elexon.calls[Resource.STACK] == 1


@pytest.mark.parametrize(("fault", "seconds"), [(Fault.STATUS_429, 600), (Fault.STATUS_503, 3599)])
async def test_a_rest_is_waited_for_by_a_job_and_not_by_who_is_in_a_hurry(
    elexon: Elexon, day: date, fault: Fault, seconds: float
) -> None:
    at = 0.0
    elexon.fault(fault, Resource.STACK, times=1, retry_after_s=seconds)
    gate = Gate(8, 500)
    gate.pace = Pace(500, clock=lambda: at)
    async with (
        open_elexon(elexon.url, gate, tries=3, patience_s=PATIENCE_OF_JOBS_S) as patient,
        open_elexon(elexon.url, gate, tries=3) as hurried,
    ):
        with pytest.raises(NoAnswer, match=f"for another {seconds} s"):
            await hurried.stack("bid", day, 12)
        waiting = asyncio.create_task(patient.stack("bid", day, 12))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()
        at = seconds
        assert (await hurried.stack("bid", day, 12)).rows
