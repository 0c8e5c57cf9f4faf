from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
import pytest

from common.app import Service
from common.ids import new_id
from common.testing import TenantSessions
from energy.costs.models import CostDay, HalfHourPart, Roster
from energy.facts.models import Miner, Site
from energy.main import SERVICE

NewSite: TypeAlias = Callable[..., Awaitable[UUID]]
NewMiner: TypeAlias = Callable[..., Awaitable[UUID]]
Used: TypeAlias = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture
def new_site(tenant_session: TenantSessions, organisation: UUID) -> NewSite:
    """Make a site as hosting would have told of it."""

    async def make(timezone: str = "UTC", name: str = "North hall") -> UUID:
        site_id = new_id()
        row = {"organisation_id": organisation, "id": site_id, "name": name, "location": "Hall"}
        async with tenant_session() as session:
            session.add(Site(**row, timezone=timezone, removed=False, version=1))
        return site_id

    return make


@pytest.fixture
def new_miner(tenant_session: TenantSessions, organisation: UUID) -> NewMiner:
    """Make a machine as hosting would have told of it."""

    async def make(site_id: UUID, **changes: Any) -> UUID:
        miner_id: UUID = changes.pop("id", None) or new_id()
        values: dict[str, Any] = {
            "organisation_id": organisation,
            "client_id": None,
            "serial_number": str(miner_id),
            "model": "Antminer S19j Pro",
            "ip": "127.64.0.1",
            "status": "active",
            "nameplate_hashrate_ths": 100.0,
            "nameplate_power_w": 3050.0,
            "removed": False,
            "version": 1,
        }
        async with tenant_session() as session:
            session.add(Miner(id=miner_id, site_id=site_id, **(values | changes)))
        return miner_id

    return make


@pytest.fixture
def used(tenant_session: TenantSessions, organisation: UUID) -> Used:
    """Keep a day of one machine's half-hours as the rating leaves it: kWh, costs, TH h.

    `start` begins the local day; None among `kwh` is a half-hour of which nobody told.
    """

    async def keep(
        site_id: UUID,
        start: datetime,
        kwh: Sequence[float | None],
        *,
        cost: float = 0.1,
        th_h: float = 50.0,
        client_id: UUID | None = None,
        miner_id: UUID | None = None,
        timezone: str = "UTC",
    ) -> None:
        count = len(kwh)
        told = np.array([one is not None for one in kwh], np.int32)
        energy = np.array([round((one or 0) * 1e6) for one in kwh], np.int64)
        nano = np.rint(energy * cost * 1000).astype(np.int64)
        hashes = told * th_h
        owner = {"organisation_id": organisation, "client_id": client_id, "site_id": site_id}
        miners = [miner_id or new_id()]
        async with tenant_session() as session:
            roster = Roster(**owner, digest=miners[0].bytes, miner_ids=miners)
            session.add(roster)
            await session.flush()
            for place, one in enumerate(kwh):
                if one is None:
                    continue
                part = {
                    "starts_at": start + timedelta(minutes=30 * place),
                    "kwh_e6": energy[place : place + 1].astype("<i4").tobytes(),
                    "th_h": hashes[place : place + 1].astype("<f4").tobytes(),
                }
                session.add(
                    HalfHourPart(**owner, **part, revision=1, simulated=False, roster_id=roster.id)
                )
            session.add(
                CostDay(
                    **owner,
                    day=start.astimezone().date() if timezone == "UTC" else start.date(),
                    timezone=timezone,
                    starts_at=start,
                    ends_at=start + timedelta(minutes=30 * count),
                    revision=1,
                    digest=b"",
                    currency="USD",
                    rate_id=None,
                    rate_version=None,
                    rate_name=None,
                    kwh=energy.sum().item() / 10**6,
                    unrated_kwh=0,
                    energy_cost=nano.sum().item() / 10**9,
                    th_h=float(hashes.sum()),
                    machine_half_hours=int(told.sum()),
                    unknown_half_hours=0,
                    simulated=False,
                    roster_id=roster.id,
                    machine_kwh_e6=energy.sum(keepdims=True).tobytes(),
                    machine_unrated_e6=np.zeros(1, "<i8").tobytes(),
                    machine_cost_nano=nano.sum(keepdims=True).tobytes(),
                    machine_th_h=hashes.sum(keepdims=True).astype("<f8").tobytes(),
                    machine_told=told.sum(keepdims=True).astype("<i2").tobytes(),
                    machine_unknown=np.zeros(1, "<i2").tobytes(),
                    half_hour_kwh_e6=energy.astype("<i8").tobytes(),
                    half_hour_cost_nano=nano.astype("<i8").tobytes(),
                    half_hour_th_h=hashes.astype("<f8").tobytes(),
                    half_hour_machines=told.astype("<i4").tobytes(),
                    half_hour_unknown=np.zeros(count, "<i4").tobytes(),
                )
            )

    return keep
