"""`python -m energy wind …` as a process of its own, also one that is killed in the middle."""

import argparse
import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.cli import parser
from common.runtime import Runtime
from common.settings import ServiceSettings
from energy.main import SERVICE
from energy.settings import Settings
from energy.wind.command import order_of, run
from energy.wind.orders import Order
from simulation.elexon import Elexon, Fault, Resource

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Everything = Callable[..., Awaitable[dict[str, list[dict[str, Any]]]]]
Carry = Callable[..., Awaitable[dict[str, Any]]]
TODAY = date(2025, 3, 10)
DAY = "2025-03-04"


def environment(settings: ServiceSettings) -> dict[str, str]:
    assert isinstance(settings, Settings)
    return {
        "ENERGY_DATABASE_URL": settings.database_url.get_secret_value(),
        "ENERGY_WORKER_DATABASE_URL": settings.worker_database_url.get_secret_value(),
        "ENERGY_INTERNAL_KEY": settings.internal_key.get_secret_value(),
        "ENERGY_PORT": "1",
        "ENERGY_OPS_PORT": "2",
        "ENERGY_ELEXON_URL": settings.elexon_url,
        "ENERGY_WIND_RATE_PER_S": "500",
        "ENERGY_WIND_BATCH_PERIODS": "4",
        "ENVIRONMENT": "test",
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "REDIS_URL": settings.redis_url,
        "LOG_LEVEL": "ERROR",
        "COLUMNS": "120",
    }


async def command(settings: ServiceSettings, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *("-m", "energy", "wind", *arguments),
        env={**os.environ, **environment(settings)}, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip


async def ended(process: Process) -> tuple[int, str]:
    out, err = await process.communicate()
    assert err == b"", err.decode()
    assert process.returncode is not None
    return process.returncode, out.decode()


def chosen(*arguments: str) -> argparse.Namespace:
    return parser(SERVICE).parse_args(["wind", *arguments])


def without_times(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return rows in an order, without the times at which they were written."""
    times = ("created_at", "calculated_at", "last_updated")
    return sorted(
        f"{table} {sorted((name, str(value)) for name, value in row.items() if name not in times)}"
        for table, rows in found.items()
        for row in rows
    )


@pytest.mark.usefixtures("models", "epochs")
async def test_a_killed_ingest_loses_nothing_and_doubles_nothing(
    settings: ServiceSettings,
    elexon: Elexon,
    rows: Rows,
    everything: Everything,
    process: Carry,
) -> None:
    """A kill -9 while fetching, then while the day is brought together, then to the end."""
    elexon.delay_s = 0.02
    try:
        for answers in (20, 96):
            killed = await command(settings, "reingest", DAY, "--missing-only", "--no-outputs")
            async with asyncio.timeout(60):
                while len(await rows("elexon_answers", "dataset LIKE 'stack/%'")) < answers:
                    await asyncio.sleep(0.01)
            killed.send_signal(signal.SIGKILL)
            await killed.communicate()
            assert killed.returncode == -signal.SIGKILL
            # A day is there whole, or not at all.
            records = await rows("curtailment_records", "so_flag")
            assert len(await rows("daily_summaries")) in ((1,) if records else (0, 1))
            if answers == 20:
                assert records == []
        code, out = await ended(
            await command(settings, "reingest", DAY, "--missing-only", "--no-outputs")
        )
    finally:
        elexon.delay_s = 0.0
    assert code == 0, out
    assert "100 %" in out
    runs = sorted(row["status"] for row in await rows("ingestion_runs"))
    assert runs == ["complete", "interrupted", "interrupted"]
    resumed = without_times(await everything())
    day = date.fromisoformat(DAY)
    assert (await process("verify", day))["complete"]
    # A whole ingest that nobody disturbed comes to the same.
    assert (await process("reingest", day))["rows_changed"] == 0
    assert without_times(await everything()) == resumed
    [daily] = await rows("daily_summaries")
    assert daily["records"] == len(await rows("curtailment_records", "so_flag")) > 2000


@pytest.mark.usefixtures("models", "epochs")
async def test_what_the_command_tells(
    runtime: Runtime, elexon: Elexon, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    elexon.fault(Fault.STATUS_500, Resource.STACK, period=5)
    line = f"reingest {DAY} --periods 1-8 --models S9 --no-outputs"
    assert await run(runtime, chosen(*line.split())) == 1  # incomplete
    out = capsys.readouterr().out
    assert "period 5: status 500" in out
    assert "missing periods 5, 9, 10" in out
    assert "S9 BTC" in out
    assert "M20S" not in out
    [mined] = await rows("bitcoin_daily_summaries")
    assert f"{mined['bitcoin_mined'].quantize(Decimal('1e-8'))}" in out


@pytest.mark.usefixtures("models", "epochs")
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("reingest 2025-03-30 --periods 47", "no such settlement periods"),
        ("calculate 2025-03-04 --models S99", "No such miner model"),
        ("verify --from 2025-03-05 --to 2025-03-04", "cannot be processed"),
        ("reingest 2008-03-04", "no settlement stacks of that day"),
        ("reingest 2025-03-04 --from 2025-03-01", "Name a day, or --from and --to"),
        ("verify 2025-03-04 --from 2025-03-04 --to 2025-03-05", "Name a day, or --from and --to"),
        ("reingest --from 2024-01-01 --to 2025-01-01", "At most 366 days"),
    ],
)
async def test_what_the_command_refuses(
    runtime: Runtime, line: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(runtime, chosen(*line.split())) == 2
    assert why in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "first", "last"),
    [
        ("reingest", date(2025, 3, 9), date(2025, 3, 9)),  # none means yesterday
        ("reingest 2025-03-04", date(2025, 3, 4), date(2025, 3, 4)),
        ("reingest 2025-03-04 --to 2025-03-06", date(2025, 3, 4), date(2025, 3, 6)),
        ("calculate --from 2025-03-01 --to 2025-03-31", date(2025, 3, 1), date(2025, 3, 31)),
        ("backfill --from 2024-01-01 --now", date(2024, 1, 1), date(2025, 3, 9)),
        ("reconcile", date(2025, 3, 3), date(2025, 3, 9)),
        ("generation 2025-03-04", date(2025, 3, 4), date(2025, 3, 4)),
        ("verify 2025-03-04", date(2025, 3, 4), date(2025, 3, 4)),
        ("process-missing --from 2025-03-01", date(2025, 3, 1), date(2025, 3, 9)),
    ],
)
def test_which_days_a_command_line_means(line: str, first: date, last: date) -> None:
    order = order_of(chosen(*line.split()), TODAY)
    assert (order.first, order.last) == (first, last)
    assert order.kind == line.split(maxsplit=1)[0]


def test_what_else_a_command_line_says() -> None:
    line = "reingest --periods 3-5 --models S9,M20S --missing-only --no-outputs"
    order = order_of(chosen(*line.split()), TODAY)
    assert order.periods == (3, 5)
    assert order.models == ("S9", "M20S")
    assert order.missing_only
    assert not order.outputs
    assert Order.read(order.document()) == order
    assert order_of(chosen("backfill", "--now"), TODAY).at_once


@pytest.mark.parametrize("line", ["reingest 20250304", "reingest 2025-02-30", "everything"])
def test_command_lines_that_are_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen(*line.split())
    assert "error" in capsys.readouterr().err
