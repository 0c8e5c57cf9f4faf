"""`python -m energy wind …`: every process by command line, with its progress."""

import argparse
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from common import jobs
from common.app import Command
from common.clock import now
from common.errors import Problem
from common.runtime import Runtime
from energy.domain.settlement import day_of
from energy.settings import Settings
from energy.wind.miners import miners_named
from energy.wind.orders import BadRange, Kind, Order, check_order, read_periods
from energy.wind.processing import carry_out
from energy.wind.schemas import read_day

_HELP: dict[Kind, str] = {
    "reingest": "take days from Elexon: ingest, bitcoin, summaries, verification",
    "calculate": "calculate bitcoin again from the rows that are here; nothing is fetched",
    "verify": "verify rows, bitcoin and summaries",
    "reconcile": "compare with what Elexon says now; without a day, the last seven",
    "process-missing": "take only what is missing or failed",
    "backfill": "fill in history in the off-peak window",
    "generation": "take wind generation by type into the summaries of days that are here",
}
_GOOD, _INCOMPLETE, _REFUSED = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True)
    for kind, told in _HELP.items():
        one = actions.add_parser(kind, help=told)
        one.add_argument("date", nargs="?", type=_day, help="the day; none means yesterday")
        one.add_argument("--from", dest="first", type=_day, help="the first of several days")
        one.add_argument("--to", dest="last", type=_day, help="the last of several days")
        if kind not in ("verify", "reconcile", "generation"):
            one.add_argument("--models", help="miner models, with commas between")
        if kind == "reingest":
            one.add_argument("--periods", help="settlement periods, such as 1-48")
            one.add_argument("--missing-only", action="store_true")
        if kind in ("reingest", "reconcile", "backfill", "process-missing"):
            one.add_argument(
                "--no-outputs", action="store_true", help="no notifications and metered output"
            )
        if kind == "backfill":
            one.add_argument("--now", action="store_true", help="do not wait for the window")


def _day(written: str) -> date:
    try:
        return date.fromisoformat(str(read_day(written)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def order_of(chosen: argparse.Namespace, today: date) -> Order:
    """Return what the command line orders.

    Raises:
        BadRange: a day is named, and the first of several as well.
    """
    if chosen.date and chosen.first:
        raise BadRange("Name a day, or --from and --to.", field="date")
    kind = cast("Kind", chosen.action)
    yesterday = today - timedelta(days=1)
    first: date | None = chosen.first or chosen.date
    last: date = chosen.last or (yesterday if chosen.first else first) or yesterday
    if first is None:
        first = yesterday - timedelta(days=6) if kind == "reconcile" else yesterday
    given: dict[str, Any] = vars(chosen)
    models: str = given.get("models") or ""
    periods: str | None = given.get("periods")
    return Order(
        kind=kind,
        first=first,
        last=max(first, last) if chosen.last is None else last,
        periods=None if periods is None else read_periods(periods),
        models=tuple(name.strip() for name in models.split(",") if name.strip()),
        missing_only=given.get("missing_only", False),
        outputs=not given.get("no_outputs", False),
        at_once=given.get("now", False),
    )


async def run(runtime: Runtime, chosen: argparse.Namespace) -> int:
    """Carry out what the command line says; 0 complete, 1 incomplete, 2 refused."""
    console = Console()
    today = day_of(now())
    try:
        order = check_order(order_of(chosen, today), today)
        usual = cast("Settings", runtime.settings).miner_models()
        if order.kind != "verify":
            await miners_named(runtime, order.models or usual, usual)
        with _bar(console) as told:
            report = await carry_out(runtime, order, "command", told)
    except Problem as problem:
        console.print(f"[red]{problem.title}[/red]: {problem.detail}", highlight=False)
        return _REFUSED
    _show(console, order, report)
    return _GOOD if report["complete"] else _INCOMPLETE


@contextmanager
def _bar(console: Console) -> Generator[Callable[[jobs.Progress], None]]:
    """Show a progress bar, and give the function that moves it."""
    bar = Progress(
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("check", total=100)

    def told(progress: jobs.Progress) -> None:
        bar.update(task, completed=progress.percent, description=progress.step)
        if not console.is_terminal:
            console.print(f"{progress.percent:3} %  {progress.step}", highlight=False)

    with bar:
        yield told


def _show(console: Console, order: Order, report: dict[str, Any]) -> None:
    """Print the verification's report."""
    span = str(order.first) if order.first == order.last else f"{order.first} to {order.last}"
    table = Table(title=f"{order.kind} {span}")
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("now", justify="right")
    before: dict[str, Any] = report["before"]
    for name, unit in (
        ("records", ""),
        ("curtailed_energy_mwh", "MWh"),
        ("payment_gbp", "GBP"),
        ("periods", ""),
    ):
        label = name.removesuffix(f"_{unit.lower()}").replace("_", " ")
        table.add_row(f"{label} {unit}".strip(), *(_short(one[name]) for one in (before, report)))
    for name, now_ in report["models"].items():
        then = before["models"].get(name, {"rows": 0, "bitcoin_mined": "0"})
        table.add_row(f"{name} rows", str(then["rows"]), str(now_["rows"]))
        table.add_row(f"{name} BTC", _btc(then["bitcoin_mined"]), _btc(now_["bitcoin_mined"]))
    console.print(table)
    for gap in report["incomplete_days"]:
        missing = ", ".join(map(str, gap["missing_periods"])) or "none"
        console.print(f"{gap['date']}: missing periods {missing}; bitcoin {gap['bitcoin_status']}")
    for one in report["defects"]:
        console.print(f"[red]{one['date']}: {one['defect']}[/red]")
    for failure in report["failures"][:20]:
        console.print(failure, highlight=False)
    told = "[green]complete[/green]" if report["complete"] else "[red]incomplete[/red]"
    console.print(f"{report['days_complete']} of {report['days_processed']} days complete; {told}")


def _short(value: Any) -> str:
    return f"{Decimal(str(value)):,.3f}" if isinstance(value, str) else f"{value:,}"


def _btc(value: str) -> str:
    return f"{Decimal(value):.8f}"


WIND = Command(name="wind", told="curtailed wind", arguments=add_arguments, run=run)
