"""Files imported by jobs: the same machines and errors as in a request, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from common.clock import now
from common.ids import new_id
from common.jobs import Step
from common.runtime import Runtime
from common.tabular import write_xlsx
from hosting.db import Job
from hosting.imports.jobs import carry_on, sweep
from hosting.imports.models import ImportPart, ImportUpload
from hosting.miners.models import Miner
from hosting.settings import Settings

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
ClientAs = Callable[..., httpx.AsyncClient]
Ended = Callable[[httpx.Response], Awaitable[Made]]
IMPORT = "/api/hosting/miners/import"
MINERS = "/api/hosting/miners"
CSV = {"Content-Type": "text/csv"}
ASYNC = {"Content-Type": "text/csv", "Prefer": "wait=5, Respond-Async; x=1"}
HEAD = "serial_number,model,cgminer_ip,hashrate_ths,power_w\n"
MIXED = (
    "serial,model,ip,port,hashrate_ths,power_w,site,colour,rack,position\n"
    "A,Rig,10.20.0.1,4028,200,3500,north,red,,\n"
    "B,Rig,10.20.0.2,22,NaN,3500,north,red,,\n"
    "a ,Rig,10.20.0.3,4028,200,3500,north,red,,\n"
    "C,Rig,10.20.0.1,4028,200,3500,north,red,,\n"
    "\n"
    "D,Rig,10.20.0.4,4028,200,3500,south,red,,\n"
    "E,Rig,127.0.0.1,4028,200,3500,north,red,,\n"
    "F,Rig,10.20.0.6,4028,200,3500,NORTH,red,r1,1\n"
    "G,Rig,10.20.0.7,4028,200,3500,north,red,r1,1\n"
    "OLD,Rig,10.20.0.8,4028,200,3500,north,red,,\n"
    "H,=Rig,10.20.0.9,,,,north,red,,\n"
    "I,Rig,10.20.0.10,,,,north\n"
    "J,Rig,10.20.0.11,4030,201,3501,north,red,,\n"
)


def lines(count: int, prefix: str = "SN") -> str:
    return HEAD + "".join(
        f"{prefix}{n:05},Rig,10.20.{n // 250}.{n % 250 + 1},200,3500\n" for n in range(count)
    )


@pytest.fixture
def small_steps(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "import_batch_rows", 3)


@pytest.fixture
def registered(client: httpx.AsyncClient) -> Callable[[], Awaitable[list[Made]]]:
    """The machines as registered, without what no two imports have in common."""

    async def read() -> list[Made]:
        items = (await client.get(f"{MINERS}?page_size=200")).json()["items"]
        return [{k: v for k, v in one.items() if k not in {"id", "created_at"}} for one in items]

    return read


@pytest.mark.usefixtures("job_worker", "small_steps")
@pytest.mark.parametrize(
    "options", ["", "partial=true", "dry_run=true", "dry_run=true&partial=true"]
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_a_job_does_what_a_request_does(
    client: httpx.AsyncClient, new_site: New, new_miner: New, ended: Ended, registered: Any,
    options: str, form: str,
) -> None:  # fmt: skip
    site = await new_site(name="North")
    await client.post(
        f"/api/hosting/sites/{site['id']}/racks", json={"name": "R1", "rows": 1, "positions": 2}
    )
    await new_miner(serial_number="old", site_id=site["id"], cgminer_ip="10.20.0.50")
    content, kind = MIXED.encode(), "text/csv"
    if form == "xlsx":
        header, *rows = [line.split(",") for line in MIXED.splitlines()]
        content, kind = write_xlsx(header, rows), "application/vnd.ms-excel"
    path = f"{IMPORT}?{options}"
    answer = await client.post(path, content=content, headers={"Content-Type": kind})
    report = answer.json().get("report", answer.json())
    machines = await registered()
    others = (await client.get(f"{MINERS}?page_size=200")).json()["items"]
    ids = [one["id"] for one in others if one["serial_number"] != "old"]
    if ids:
        batch = {"action": "delete", "miner_ids": ids}
        assert (await client.post("/api/hosting/host/devices/batch", json=batch)).is_success
    headers = {"Content-Type": kind, "Prefer": "respond-async"}
    job = await ended(await client.post(path, content=content, headers=headers))
    assert (job["state"], job["error"]) == ("done", None)
    assert job["result"].pop("errors_csv").endswith("/errors.csv")
    assert job["result"] == report
    assert await registered() == machines
    assert report["errors_total"] > 5
    assert report["refused"] == ("partial" not in options)
    assert report["imported"] == (3 if options == "partial=true" else 0)


@pytest.mark.usefixtures("job_worker", "small_steps")
async def test_all_errors_can_be_downloaded(
    client: httpx.AsyncClient, client_as: ClientAs, new_site: New, ended: Ended
) -> None:
    site = await new_site()
    path = f"{IMPORT}?partial=true&site_id={site['id']}"
    content = HEAD + "".join(f"S{n},=Rig,10.20.0.{n % 250 + 1},,\n" for n in range(620))
    answer = await client.post(path, content=content, headers=ASYNC)
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"] == f"/api/hosting/jobs/{answer.json()['job_id']}"
    result = (await ended(answer))["result"]
    assert (result["imported"], result["errors_total"], len(result["errors"])) == (0, 620, 500)
    sheet = await client.get(result["errors_csv"])
    assert sheet.headers["content-type"].startswith("text/csv")
    first, *rows = sheet.text.splitlines()
    assert first.removeprefix("\ufeff") == "row,field,detail"
    assert len(rows) == 620
    assert rows[0].startswith("2,model,")
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(result["errors_csv"])).status_code == 404
    assert (await stranger.get(answer.headers["Location"])).status_code == 404


async def test_what_is_wrong_with_the_file_is_said_at_once(
    client: httpx.AsyncClient, client_as: ClientAs, new_site: New
) -> None:
    site = await new_site()
    path = f"{IMPORT}?site_id={site['id']}"
    for content, status in (
        (b"serial_number,model\nA,Rig\n", 422),
        (HEAD.encode(), 422),
        (HEAD.encode() + b"A,Rig,10.20.0.1,1,1\n" * 20_001, 413),
    ):
        assert (await client.post(path, content=content, headers=ASYNC)).status_code == status
    nowhere = await client.post(f"{IMPORT}?site_id={UUID(int=7)}", content=lines(1), headers=ASYNC)
    assert nowhere.status_code == 404
    writer = client_as(scopes=frozenset({"miners:write"}))
    refused = await writer.post(f"{path}&approve=true", content=lines(1), headers=ASYNC)
    assert refused.status_code == 403
    reader = client_as(scopes=frozenset({"miners:read"}))
    assert (await reader.post(path, content=lines(1), headers=ASYNC)).status_code == 403
    assert (await client.get("/api/hosting/jobs")).json()["total"] == 0


@pytest.mark.usefixtures("job_worker")
async def test_a_client_imports_its_own_machines_only(
    client_as: ClientAs, new_site: New, ended: Ended, know_client: Callable[[], Awaitable[UUID]]
) -> None:
    site = await new_site()
    customer, subject = await know_client(), new_id()
    content = (
        "serial_number,model,cgminer_ip,hashrate_ths,power_w,client\n"
        f"A,Rig,10.20.0.1,200,3500,{customer}\n"
        "B,Rig,10.20.0.2,200,3500,\n"
    )
    path = f"{IMPORT}?partial=true&site_id={site['id']}"
    caller = client_as(client_id=customer, subject=subject)
    answer = await caller.post(path, content=content, headers=ASYNC)
    result = (await ended(answer))["result"]
    assert result["imported"] == 1
    assert [(e["row"], e["field"]) for e in result["errors"]] == [(3, "client")]
    assert (await caller.get(result["errors_csv"])).status_code == 200
    rival = client_as(client_id=new_id())
    assert (await rival.get(result["errors_csv"])).status_code == 404
    assert (await rival.get(answer.headers["Location"])).status_code == 404


class Stepper:
    """Does an import step by step, as the worker does."""

    def __init__(self, answer: httpx.Response, tenant_session: Any, settings: Settings) -> None:
        self.job_id = UUID(answer.json()["job_id"])
        self.cursor: Made = {}
        self._sessions = tenant_session
        self._settings = settings

    async def step(self) -> Made | None:
        async with self._sessions() as session:
            job = await session.get_one(Job, self.job_id)
            step = Step(self.job_id, job.organisation_id, {}, self.cursor)
            progress = await carry_on(session, step, self._settings)
        self.cursor = progress.cursor
        return progress.result


@pytest.mark.usefixtures("small_steps")
async def test_a_row_that_is_taken_meanwhile_is_an_error_of_its_own(
    client: httpx.AsyncClient, new_site: New, new_miner: New, tenant_session: Any,
    settings: Settings, organisation: UUID,
) -> None:  # fmt: skip
    site = await new_site()
    path = f"{IMPORT}?site_id={site['id']}"
    answer = await client.post(path, content=lines(7), headers=ASYNC)
    job = Stepper(answer, tenant_session, settings)
    assert await job.step() is None  # all rows are checked, and good
    await new_miner(serial_number="sn00001", cgminer_ip="10.20.9.9", site_id=site["id"])
    async with tenant_session() as other:  # and one that nobody sees before it commits
        other.add(_rival(organisation, UUID(site["id"])))
        await other.flush()
        doing = asyncio.create_task(job.step())
        await asyncio.sleep(0.3)
        assert not doing.done()
    assert await doing is None
    assert await job.step() is None
    result = await job.step()
    assert result is not None
    assert (result["rows"], result["imported"], result["refused"]) == (7, 5, False)
    assert [(e["row"], e["field"], e["detail"]) for e in result["errors"]] == [
        (3, "serial_number", "SN00001 exists already."),
        (4, "cgminer_ip", "10.20.0.3 belongs to another machine."),
    ]
    assert (await client.get(MINERS)).json()["total"] == 7


def _rival(organisation: UUID, site_id: UUID) -> Miner:
    """Return a machine at the address of the file's third row."""
    return Miner(
        organisation_id=organisation,
        client_id=None,
        site_id=site_id,
        serial_number="rival",
        serial_key="rival",
        model="Rig",
        cgminer_ip="10.20.0.3",
        nameplate_hashrate_ths=200,
        nameplate_power_w=3500,
    )


@pytest.mark.usefixtures("small_steps")
async def test_the_file_is_deleted_when_the_job_has_ended(
    client: httpx.AsyncClient, new_site: New, tenant_session: Any, settings: Settings,
    runtime: Runtime,
) -> None:  # fmt: skip
    site = await new_site()

    async def kept() -> int:
        query = select(func.count()).where(ImportPart.rows.is_not(None))
        async with tenant_session() as session:
            return await session.scalar(query)

    jobs = [
        Stepper(
            await client.post(
                f"{IMPORT}?partial=true&site_id={site['id']}",
                content=lines(3, prefix),
                headers=ASYNC,
            ),
            tenant_session,
            settings,
        )
        for prefix in ("A", "B")
    ]
    assert await kept() == 2
    assert await jobs[0].step() is not None
    assert await kept() == 1
    async with tenant_session() as session:  # the other gave up
        await session.execute(
            update(Job).where(Job.id == jobs[1].job_id).values(state="failed", finished_at=now())
        )
        await session.execute(
            update(ImportUpload)
            .where(ImportUpload.job_id == jobs[0].job_id)
            .values(created_at=func.now() - func.make_interval(0, 0, 0, 31))
        )
    sweeping = asyncio.create_task(sweep(runtime))
    async with asyncio.timeout(10):
        while await kept():
            await asyncio.sleep(0.05)
    sweeping.cancel()
    async with tenant_session() as session:
        left = list(await session.scalars(select(ImportUpload.job_id)))
    assert left == [jobs[1].job_id]
