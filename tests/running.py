"""A running system, and clients of its doors: gateway, broker, database, simulated machines."""

import asyncio
import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from common.postgres import connect
from launcher.api import Api, RefusedError
from launcher.stack import Stack
from simulation.client import ControlClient

T = TypeVar("T")
Json = dict[str, Any]
PATIENCE_S = 120.0
"""For what takes seconds on a machine of one's own: others may be using this one."""
FLEET = 60
NOBODY = str(UUID(int=0))
WATTS_PER_MW = 1_000_000
_LOOK_EVERY_S = 0.25
_PLAN_PATH = "/api/hosting/curtailment"
_SETTINGS = {
    # A batch each second instead of one each half minute.
    "HOSTING_CURTAILMENT_RESTORE_INTERVAL_S": "1",
    # A lost worker's commands are taken up by the next one after a third of this.
    "TELEMETRY_COMMAND_LEASE_SECONDS": "9",
    "ENERGY_ALERTS_EVERY_S": "1",
    # The simulated Elexon minds nobody's haste; a real one asks for patience.
    "ENERGY_WIND_RATE_PER_S": "100",
    "ENERGY_WIND_BATCH_PERIODS": "6",
}


def eventually(check: Callable[[], T | None], what: str, *, within_s: float = PATIENCE_S) -> T:
    """Wait until a check gives something true, and return it."""
    ends = time.monotonic() + within_s
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < ends, f"{what}: not within {within_s:.0f} s"
        time.sleep(_LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class Record:
    """An event as it stands on the broker."""

    topic: str
    partition: int
    position: int
    key: str
    headers: Mapping[str, str]
    value: bytes | None

    @property
    def event_id(self) -> str:
        return self.headers.get("ce_id", "")

    @property
    def type(self) -> str:
        return self.headers.get("ce_type", "")

    @property
    def data(self) -> Json:
        return json.loads(self.value or b"{}")


class System:
    """A running stack, with clients of its doors: gateway, broker, database, machines."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._sessions: dict[str, Api] = {}

    def start(self) -> None:
        """Start it, if it is not up."""
        if not self.stack.is_up:
            self.stack.start()

    def stop(self) -> None:
        """Stop it; its data stay."""
        for session in self._sessions.values():
            session.__exit__()
        self._sessions.clear()
        self.stack.stop()

    @property
    def url(self) -> str:
        return self.stack.demo["gateway_url"]

    @property
    def site_id(self) -> str:
        return self.stack.demo["site_id"]

    @property
    def control(self) -> ControlClient:
        """The simulated world's own truth."""
        return ControlClient(self.stack.installation.ports["simulation"])

    def api(self, person: str = "owner") -> Api:
        """Return a session of one of the demo's people."""
        if person not in self._sessions:
            login = self.stack.demo["users"][person]
            session = Api(self.stack.demo["gateway_url"], login["email"], login["password"])
            self._sessions[person] = session.__enter__()  # closed with the system
        return self._sessions[person]

    def token(self, person: str) -> str:
        """Log in as a program does."""
        login = self.stack.demo["users"][person]
        answer = httpx.post(f"{self.url}/api/auth/token", json=login, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    @contextmanager
    def client(self, token: str | None = None) -> Generator[httpx.Client]:
        """Give an ordinary HTTP client of the gateway, with this bearer token or anonymous."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(
            base_url=self.url, headers=headers, timeout=60.0, trust_env=False
        ) as client:
            yield client

    def patiently(self, method: str, path: str, **options: Any) -> Any:
        """Call as the owner; try again while something that the call needs is away."""

        def tried() -> tuple[Any] | None:
            try:
                return (self.api().call(method, path, **options),)
            except httpx.TransportError:
                return None
            except RefusedError as refusal:
                if refusal.status in {502, 503, 504}:
                    return None
                raise

        return eventually(tried, f"{method} {path}")[0]

    def sql(self, query: str, *parameters: Any) -> list[Any]:
        """Read from the database as the role that sees everything and changes nothing."""

        async def read() -> Sequence[Any]:
            connection = await connect(self.stack.demo["postgres_dsn"])
            try:
                return await connection.fetch(query, *parameters)
            finally:
                await connection.close()

        return list(asyncio.run(read()))

    def records(self, *topics: str) -> list[Record]:
        """Read topics from their beginning to their present end; partitions keep their order."""
        return asyncio.run(_read(self.stack.demo["kafka_bootstrap"], topics))

    def produce(self, records: Iterable[Record]) -> None:
        """Write records to the broker, past every outbox."""
        asyncio.run(_write(self.stack.demo["kafka_bootstrap"], records))

    def miners(self, person: str = "owner", **wanted: Any) -> list[Json]:
        """List machines, all pages."""
        first = self.api(person).get("/api/hosting/miners", page_size=200, **wanted)
        assert first["pages"] <= 1
        return first["items"]

    def truth(self) -> dict[str, Json]:
        """Return what is true of each simulated machine, by address."""
        return {row["address"]: row for row in self.control.miners()}

    def watts(self, addresses: Iterable[str]) -> float:
        """Return what these machines draw in truth."""
        truth = self.truth()
        return sum(truth[address]["power_w"] for address in addresses)

    def fleet_hashes(self) -> None:
        """Wait until every machine of the site hashes, is polled, and is known to be active.

        A reading that is too old counts as none: from such a machine no plan could be made.
        """

        def all_hash() -> bool:
            miners, truth = self.miners(site_id=self.site_id), self.truth()
            polled = self.api().get("/api/telemetry/fleet", site_id=self.site_id)["columns"]
            return (
                all(truth[one["cgminer_ip"]]["state"] == "hashing" for one in miners)
                and all(one["status"] == "active" for one in miners)
                and all(polled["is_mining"])
                and all(polled["online"])
                and all(polled["hashrate_ths"])
                and len(polled["miner_id"]) == len(miners)
            )

        eventually(all_hash, "the whole fleet hashes")

    # Plans

    def order(self, megawatts: float, **more: Any) -> Json:
        """Order a reduction at the demo's site, and return the plan."""
        headers = more.pop("headers", {})
        return self.patiently(
            "POST", f"{_PLAN_PATH}/trigger", json=self.wish(megawatts, **more), headers=headers
        )

    def wish(self, megawatts: float, **more: Any) -> Json:
        """Return what the preview and the trigger take."""
        return {
            "site_id": self.site_id,
            "target_power_reduction_mw": megawatts,
            "strategy": "performance_priority",
            **more,
        }

    def plan(self, plan_id: str) -> Json:
        return self.patiently("GET", f"{_PLAN_PATH}/{plan_id}")

    def restore(self, plan_id: str) -> None:
        self.patiently("POST", f"{_PLAN_PATH}/{plan_id}/restore")

    def plan_becomes(self, plan_id: str, status: str) -> Json:
        """Wait for a plan's status."""
        seen: list[Json] = []

        def is_so() -> Json | None:
            seen[:] = [self.plan(plan_id)]
            return seen[0] if seen[0]["status"] == status else None

        try:
            return eventually(is_so, f"the plan is {status}")
        except AssertionError as late:
            last = {name: seen[0][name] for name in ("status", "targets_by_state")}
            raise AssertionError(f"{late}; {last}") from None

    def all_confirmed(self, plan_id: str) -> Json:
        """Wait until telemetry has proven every machine of an executed plan."""
        self.plan_becomes(plan_id, "executed")

        def is_so() -> Json | None:
            plan = self.plan(plan_id)
            return plan if set(plan["targets_by_state"]) == {"confirmed"} else None

        return eventually(is_so, "every target is confirmed")

    def addresses_of(self, plan: Json) -> set[str]:
        """Return where the machines of a plan stand."""
        targets = {target["miner_id"] for target in plan["targets"]}
        return {one["cgminer_ip"] for one in self.miners() if one["id"] in targets}


async def _read(bootstrap: str, topics: Sequence[str]) -> list[Record]:
    consumer: Any = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    found: list[Record] = []
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        while True:
            for place, position in ends.items():
                if await consumer.position(place) < position:
                    break
            else:
                return found
            batches = await consumer.getmany(timeout_ms=500)
            for place, records in batches.items():
                found += [
                    Record(
                        topic=place.topic,
                        partition=place.partition,
                        position=record.offset,
                        key=(record.key or b"").decode(),
                        headers={name: value.decode() for name, value in record.headers},
                        value=record.value,
                    )
                    for record in records
                ]
    finally:
        await consumer.stop()


async def _write(bootstrap: str, records: Iterable[Record]) -> None:
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for record in records:
            await producer.send_and_wait(
                record.topic,
                value=record.value,
                key=record.key.encode(),
                headers=[(name, value.encode()) for name, value in record.headers.items()],
            )
    finally:
        await producer.stop()


class Systems:
    """The stacks of this test session, of which one runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, System] = {}

    def use(self, name: str, **options: Any) -> System:
        """Return the system of this name, running; all others are stopped."""
        for other, system in self._made.items():
            if other != name and system.stack.is_up:
                system.stop()
        if name not in self._made:
            chosen: Json = {
                "fleet": FLEET,
                "slot_seconds": 2,
                "environment": _SETTINGS,
                "fleet_options": ("--ramp-seconds", "2"),
                **options,
            }
            stack = Stack(self._folder / name, free_ports=True, **chosen)
            self._made[name] = System(stack)
        self._made[name].start()
        return self._made[name]

    def remove(self) -> None:
        """Stop everything and delete it."""
        for system in self._made.values():
            system.stop()
            system.stack.remove()
