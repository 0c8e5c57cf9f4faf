"""`python -m simulation`: serve a fleet, list it, tell its past, break it, look at it."""

import asyncio
import csv
import io
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from simulation.client import ControlClient, ControlRefused
from simulation.control import control_port
from simulation.elexon import serve as serve_elexon
from simulation.elexon.server import BASE
from simulation.faults import FAULT_KINDS, FaultKind
from simulation.fleet import Fleet
from simulation.gateway import GatewayRefused
from simulation.grid import PROVIDERS as GRID_PROVIDERS
from simulation.grid import serve as serve_grid
from simulation.inventory import SIMULATED_PASSWORD, BadSpec, FleetSpec, inventory, units
from simulation.models import FAMILIES, Family
from simulation.pool import SIMULATED_TOKEN, Pool, serve_pool
from simulation.port import PortTaken
from simulation.telling import Account, BadAccount, account, tell
from simulation.upstreams import PROVIDERS
from simulation.upstreams import serve as serve_providers

app = typer.Typer(
    help="A simulated fleet of miners on real sockets.", no_args_is_help=True, add_completion=False
)


class SheetFormat(StrEnum):
    CSV = "csv"
    JSON = "json"


Miners = Annotated[int, typer.Option("--miners", help="How many miners.")]
Start = Annotated[str, typer.Option("--start", help="First address, inside 127.64.0.0/10.")]
Port = Annotated[int, typer.Option("--port", help="Port of every miner.")]
Mix = Annotated[str, typer.Option("--mix", help="Shares, as luxos=0.5,whatsminer=0.3.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same machines.")]
ControlPort = Annotated[int, typer.Option("--control-port", help="HTTP on 127.0.0.1.")]
DEFAULT_MIX = "luxos=0.5,whatsminer=0.3,antminer=0.2"
DEFAULT_CONTROL_PORT = 4999
DEFAULT_UPSTREAMS_PORT = 4990
DEFAULT_POOL_PORT = 4991
DEFAULT_ELEXON_PORT = 4992
DEFAULT_GRID_PORT = 4992


@app.command()
def serve(
    *,
    miners: Miners = 300,
    start: Start = "127.64.0.1",
    port: Port = 4028,
    mix: Mix = DEFAULT_MIX,
    seed: Seed = 7,
    control: ControlPort = DEFAULT_CONTROL_PORT,
    ramp_seconds: Annotated[float, typer.Option(help="From wake to full hashrate.")] = 30.0,
    delay_ms: Annotated[float, typer.Option(help="Before every answer.")] = 0.0,
    quirk_share: Annotated[
        float, typer.Option(help="Share of stock Antminers with malformed stats.")
    ] = 0.0,
    whatsminer_password: Annotated[
        str, typer.Option(help="Opens their writes.")
    ] = SIMULATED_PASSWORD,
) -> None:
    """Run the fleet until SIGTERM or Ctrl-C; prints one line when every port is open."""
    spec = _spec(
        miners=miners,
        start=start,
        port=port,
        mix=_read_mix(mix),
        seed=seed,
        ramp_s=ramp_seconds,
        delay_s=delay_ms / 1000,
        quirk_share=quirk_share,
        whatsminer_password=whatsminer_password,
    )
    try:
        uvloop.run(_serve(spec, control))
    except (PortTaken, BadSpec, OSError) as error:
        _give_up(str(error))


@app.command("inventory")
def print_inventory(
    *,
    miners: Miners = 300,
    start: Start = "127.64.0.1",
    port: Port = 4028,
    mix: Mix = DEFAULT_MIX,
    seed: Seed = 7,
    sheet: Annotated[SheetFormat, typer.Option("--format", help="csv or json.")] = SheetFormat.CSV,
    output: Annotated[Path | None, typer.Option(help="A file instead of the screen.")] = None,
) -> None:
    """Write the sheet that hosting imports, for the fleet that `serve` runs alike."""
    rows = inventory(_spec(miners=miners, start=start, port=port, mix=_read_mix(mix), seed=seed))
    text = _as_csv(rows) if sheet is SheetFormat.CSV else orjson.dumps(rows).decode() + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)


@app.command("history")
def tell_history(
    *,
    days: Annotated[int, typer.Option(min=1, max=400, help="Days before now.")] = 31,
    miners: Miners = 300,
    start: Start = "127.64.0.1",
    port: Port = 4028,
    mix: Mix = DEFAULT_MIX,
    seed: Seed = 7,
    gateway: Annotated[str, typer.Option(help="Address of the running system.")] = "",
    email: Annotated[str, typer.Option(help="Login of an Owner.")] = "",
    password: Annotated[str, typer.Option(envvar="HASHYARD_PASSWORD", help="Its password.")] = "",
    site: Annotated[str, typer.Option(help="Id of the site.")] = "",
    demo: Annotated[
        Path | None, typer.Option(help="The demo.json of a local installation, instead.")
    ] = None,
) -> None:
    """Give the running system this fleet's past, flagged simulated; may be repeated at will."""
    spec = _spec(miners=miners, start=start, port=port, mix=_read_mix(mix), seed=seed)
    given = Account(gateway=gateway, email=email, password=password, site_id=site)
    try:
        tell(units(spec), account(given, demo), days=days)
    except (GatewayRefused, BadAccount) as error:
        _give_up(str(error))


@app.command()
def upstreams(
    *,
    port: Annotated[int, typer.Option(help="HTTP port of all providers.")] = DEFAULT_UPSTREAMS_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Seed = 7,
    slow_seconds: Annotated[float, typer.Option(help="What the fault slow waits.")] = 30.0,
) -> None:
    """Run simulated price, chain and exchange providers until SIGTERM or Ctrl-C."""
    try:
        uvloop.run(_serve_upstreams(host, port, seed, slow_seconds))
    except OSError as error:
        _give_up(str(error))


@app.command("pool")
def run_pool(
    *,
    port: Annotated[int, typer.Option(help="HTTP port of the pool.")] = DEFAULT_POOL_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Seed = 7,
    days: Annotated[int, typer.Option(min=1, max=4000, help="Days of payouts before now.")] = 90,
) -> None:
    """Run a simulated mining pool, its payouts only, until SIGTERM or Ctrl-C."""
    try:
        uvloop.run(_serve_pool(Pool(seed=seed, days=days), host, port))
    except OSError as error:
        _give_up(str(error))


@app.command("grid")
def run_grid(
    *,
    port: Annotated[int, typer.Option(help="HTTP port of both.")] = DEFAULT_GRID_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Seed = 7,
    slow_seconds: Annotated[float, typer.Option(help="What the fault slow waits.")] = 30.0,
) -> None:
    """Run simulated carbon intensity and reference rates until SIGTERM or Ctrl-C."""
    try:
        uvloop.run(_serve_grid(host, port, seed, slow_seconds))
    except OSError as error:
        _give_up(str(error))


@app.command("elexon")
def run_elexon(
    *,
    port: Annotated[int, typer.Option(help="HTTP port of the API.")] = DEFAULT_ELEXON_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Seed = 7,
    delay_ms: Annotated[float, typer.Option(min=0, help="Before every answer.")] = 0.0,
    slow_seconds: Annotated[float, typer.Option(help="What the fault slow waits.")] = 30.0,
    limit_per_second: Annotated[
        int | None, typer.Option(min=1, help="More calls than this get 429.")
    ] = None,
) -> None:
    """Run a simulated Elexon, the British balancing data, until SIGTERM or Ctrl-C."""
    try:
        uvloop.run(
            _serve_elexon(
                host=host,
                port=port,
                seed=seed,
                delay_ms=delay_ms,
                slow_s=slow_seconds,
                limit_per_s=limit_per_second,
            )
        )
    except OSError as error:
        _give_up(str(error))


@app.command()
def fault(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(FAULT_KINDS)}; or outage; or clear.")],
    *,
    share: Annotated[float | None, typer.Option(help="Part of the fleet, 0 to 1.")] = None,
    number: Annotated[int | None, typer.Option(help="How many miners.")] = None,
    miner: Annotated[list[int] | None, typer.Option(help="Index; may be repeated.")] = None,
    family: Annotated[str | None, typer.Option(help=", ".join(FAMILIES))] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds; without it, for good.")] = None,
    control: ControlPort = DEFAULT_CONTROL_PORT,
) -> None:
    """Break some miners of a served fleet, or all, or make them whole again."""
    client = ControlClient(control)
    try:
        if kind == "clear":
            client.clear_faults()
            answer: dict[str, Any] = {"kind": "clear"}
        elif kind == "outage":
            answer = client.outage(duration_s=duration)
        else:
            answer = client.set_fault(
                cast("FaultKind", kind),  # the control port checks it
                share=share,
                number=number,
                miners=miner,
                family=family,
                duration_s=duration,
            )
    except ControlRefused as refused:
        _give_up(str(refused))
    Console().print(f"{answer['kind']}: {answer.get('affected', 'all')} miners")


@app.command()
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The raw answer.")] = False,
    control: ControlPort = DEFAULT_CONTROL_PORT,
) -> None:
    """Show what is true of a served fleet: watts at the wall, states, faults, traffic."""
    try:
        totals = ControlClient(control).status()
    except ControlRefused as refused:
        _give_up(str(refused))
    if as_json:
        sys.stdout.write(orjson.dumps(totals).decode() + "\n")
        return
    table = Table(title=f"{totals['miners']} simulated miners", show_header=False)
    table.add_row("power", f"{totals['power_w'] / 1e6:.4f} MW")
    table.add_row("hashrate", f"{totals['hashrate_ths'] / 1e3:.2f} PH/s")
    for name in ("states", "families", "faults"):
        counts: dict[str, int] = totals[name]
        table.add_row(name, ", ".join(f"{key} {n}" for key, n in counts.items()) or "none")
    for name in ("connections", "requests", "open_now", "most_open", "most_open_on_one_miner"):
        table.add_row(name.replace("_", " "), str(totals[name]))
    Console().print(table)


async def _serve_upstreams(host: str, port: int, seed: int, slow_s: float) -> None:
    stopped = _stop_signal()
    async with serve_providers(seed=seed, host=host, port=port, slow_s=slow_s) as served:
        sys.stdout.write(
            f"ready: simulated {', '.join(PROVIDERS)} on http://{host}:{served.port}/<provider>, "
            f"control http://{host}:{served.port}/control\n"
        )
        sys.stdout.flush()
        await stopped.wait()


async def _serve_grid(host: str, port: int, seed: int, slow_s: float) -> None:
    stopped = _stop_signal()
    async with serve_grid(seed=seed, host=host, port=port, slow_s=slow_s) as served:
        sys.stdout.write(
            f"ready: simulated {', '.join(GRID_PROVIDERS)} on http://{host}:{served.port}/"
            f"<provider>, control http://{host}:{served.port}/control\n"
        )
        sys.stdout.flush()
        await stopped.wait()


async def _serve_elexon(
    *, host: str, port: int, seed: int, delay_ms: float, slow_s: float, limit_per_s: int | None
) -> None:
    stopped = _stop_signal()
    async with serve_elexon(
        seed=seed,
        host=host,
        port=port,
        delay_s=delay_ms / 1000,
        slow_s=slow_s,
        limit_per_s=limit_per_s,
    ) as served:
        sys.stdout.write(
            f"ready: simulated Elexon on http://{host}:{served.port}{BASE}, "
            f"control http://{host}:{served.port}/control\n"
        )
        sys.stdout.flush()
        await stopped.wait()


async def _serve_pool(pool: Pool, host: str, port: int) -> None:
    stopped = _stop_signal()
    async with serve_pool(pool, port, host=host):
        sys.stdout.write(
            f"ready: simulated pool on http://{host}:{pool.port}, token {SIMULATED_TOKEN}\n"
        )
        sys.stdout.flush()
        await stopped.wait()


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def _serve(spec: FleetSpec, control: int) -> None:
    stopped = _stop_signal()
    async with Fleet(spec) as fleet, control_port(fleet, control):
        first, last = fleet.miners[0], fleet.miners[-1]
        sys.stdout.write(
            f"ready: {spec.miners} simulated miners on {first.address} to {last.address} "
            f"port {spec.port}, control http://127.0.0.1:{control}\n"
        )
        sys.stdout.flush()
        await stopped.wait()


def _read_mix(text: str) -> dict[Family, float]:
    mix: dict[Family, float] = {}
    for part in text.split(","):
        family, _, share = part.partition("=")
        try:
            mix[cast("Family", family.strip())] = float(share)  # FleetSpec checks the name
        except ValueError:
            _give_up(f"'{part}' is not family=share.")
    return mix


def _spec(**fields: Any) -> FleetSpec:
    try:
        return FleetSpec(**fields)
    except ValueError as error:
        _give_up(str(error))


def _as_csv(rows: list[dict[str, str | int]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _give_up(message: str) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)
