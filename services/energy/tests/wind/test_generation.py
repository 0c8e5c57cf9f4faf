"""Wind generation by type, taken by itself."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from simulation.elexon import Elexon, Fault, Resource

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Process = Callable[..., Awaitable[dict[str, Any]]]

pytestmark = pytest.mark.usefixtures("models", "epochs")


async def test_generation_is_taken_by_itself(
    elexon: Elexon, rows: Rows, process: Process, day: date
) -> None:
    elexon.fault(Fault.STATUS_500, Resource.BY_TYPE)
    await process("reingest", day)
    assert (await rows("daily_summaries"))[0]["total_wind_generation"] is None
    elexon.heal()
    report = await process("generation", day - timedelta(days=4), day + timedelta(days=5))
    assert elexon.calls[Resource.BY_TYPE] >= 2  # at most six days at once
    assert (report["days_processed"], report["days_complete"]) == (1, 1)
    assert len(await rows("wind_generation_data")) == 10 * 48
    [daily], [year] = await rows("daily_summaries"), await rows("yearly_summaries")
    assert daily["total_wind_generation"] == year["total_wind_generation"] > 0


async def test_generation_of_the_week_in_which_the_clocks_go_back(
    rows: Rows, process: Process
) -> None:
    """It is an hour longer than the seven days that Elexon gives at most."""
    report = await process("generation", date(2025, 10, 20), date(2025, 10, 26))
    assert report["failures"] == []
    assert report["complete"]
    assert len(await rows("wind_generation_data")) == 6 * 48 + 50


async def test_generation_that_fails_is_not_complete(elexon: Elexon, process: Process) -> None:
    elexon.fault(Fault.STATUS_500, Resource.BY_TYPE)
    report = await process("generation", date(2025, 3, 4))
    assert report["failures"] == ["wind generation of 2025-03-04: status 500"]
    assert not report["complete"]


async def test_generation_without_one_type_is_not_known(
    elexon: Elexon, rows: Rows, process: Process, quiet: date
) -> None:
    elexon.fault(Fault.LOST_ROWS, Resource.BY_TYPE)  # those of wind on land
    report = await process("reingest", quiet)
    assert report["failures"][0] == f"wind generation of {quiet} period 1: land or sea is not told"
    assert report["failures_seen"] == 48
    assert await rows("wind_generation_data") == []
    [daily] = await rows("daily_summaries")
    assert daily["total_wind_generation"] is None
    assert not (await process("generation", quiet))["complete"]
    # What is known does not become unknown.
    elexon.heal()
    assert (await process("generation", quiet))["complete"]
    known = await rows("wind_generation_data")
    elexon.fault(Fault.LOST_ROWS, Resource.BY_TYPE)
    await process("generation", quiet)
    assert await rows("wind_generation_data") == known
