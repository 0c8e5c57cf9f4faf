from typing import Any

import httpx
import pytest

from common.ids import new_id
from intelligence.main import SERVICE

READ = [
    "settings", "wallets", "lots", "lots/summary", "rules", "proposals", "fills", "backtests",
    "runway",
]  # fmt: skip
WRITE = ["wallets", "lots", "rules", "proposals", "fills", "backtests", "lots/import/pool"]


@pytest.mark.parametrize("path", READ)
async def test_reading_needs_its_permission(client_as: Any, path: str) -> None:
    scopes = frozenset({"treasury:write", "treasury:approve"})
    answer = await client_as(scopes=scopes).get(f"/api/treasury/{path}")
    assert (answer.status_code, answer.json()["required_scopes"]) == (403, ["treasury:read"])
    assert (await client_as(scopes=frozenset({"treasury:read"})).get(
        f"/api/treasury/{path}"
    )).status_code == 200  # fmt: skip


@pytest.mark.parametrize("path", WRITE)
async def test_writing_needs_its_permission(client_as: Any, path: str) -> None:
    scopes = frozenset({"treasury:read", "treasury:approve"})
    answer = await client_as(scopes=scopes).post(f"/api/treasury/{path}", json={})
    assert (answer.status_code, answer.json()["required_scopes"]) == (403, ["treasury:write"])


async def test_deciding_and_settling_need_theirs(client_as: Any) -> None:
    caller = client_as(scopes=frozenset({"treasury:read", "treasury:write"}))
    for verb in ("approve", "reject"):
        answer = await caller.post(f"/api/treasury/proposals/{new_id()}/{verb}")
        assert answer.json()["required_scopes"] == ["treasury:approve"]
    answer = await caller.put("/api/treasury/settings", json={})
    assert answer.json()["required_scopes"] == ["treasury:approve"]


@pytest.mark.parametrize("path", READ)
async def test_no_client_of_the_operator_sees_anything(client_as: Any, path: str) -> None:
    client = client_as(client_id=new_id(), scopes=frozenset({"treasury:read"}))
    assert (await client.get(f"/api/treasury/{path}")).status_code == 403


async def test_nobody_without_a_login_sees_anything(client_as: Any) -> None:
    nobody = client_as(kind="anonymous", scopes=frozenset[str]())
    assert (await nobody.get("/api/treasury/lots")).status_code == 401


async def test_foreign_objects_are_not_found(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, wallet: Any, lot: Any, quote: Any,
    approved: Any, sold: Any,
) -> None:  # fmt: skip
    await quote()
    place = await wallet()
    held = await lot(place["id"])
    proposal = await approved("1")
    fill = (await sold(proposal["id"], "0.5", "25000")).json()
    body = {"name": "r", "parameters": {"kind": "hold"}}
    rule = (await owner.post("/api/treasury/rules", json=body)).json()
    paths = [
        f"wallets/{place['id']}", f"lots/{held['id']}", f"proposals/{proposal['id']}",
        f"fills/{fill['id']}", f"rules/{rule['id']}", f"rules/{rule['id']}/evaluation",
        f"backtests/{new_id()}",
    ]  # fmt: skip
    for path in paths:
        assert (await stranger.get(f"/api/treasury/{path}")).status_code == 404, path
    for listed in ("wallets", "lots", "rules", "proposals", "fills", "backtests"):
        assert (await stranger.get(f"/api/treasury/{listed}")).json()["total"] == 0
    for verb in ("approve", "reject", "cancel"):
        answer = await stranger.post(f"/api/treasury/proposals/{proposal['id']}/{verb}")
        assert answer.status_code == 404
    changes = [
        ("PATCH", f"wallets/{place['id']}", {"name": "mine"}),
        ("PATCH", f"rules/{rule['id']}", {"enabled": False}),
        ("DELETE", f"rules/{rule['id']}", None),
        ("DELETE", f"lots/{held['id']}", None),
        ("POST", "lots", {
            "wallet_id": place["id"], "received_at": "2026-01-01T00:00:00Z", "btc": "1",
            "price_usd": "1",
        }),
        ("POST", "proposals", {"btc": "0.1", "wallet_id": place["id"]}),
        ("POST", "proposals", {"rule_id": rule["id"]}),
        ("POST", "rules", body | {"name": "s", "wallet_id": place["id"]}),
        ("POST", "backtests", {
            "rule_ids": [rule["id"]], "initial_btc": 1,
            "prices": [
                {"at": "2026-01-01T00:00:00Z", "price_usd": 1},
                {"at": "2026-01-02T00:00:00Z", "price_usd": 1},
            ],
        }),
    ]  # fmt: skip
    for method, path, sent in changes:
        answer = await stranger.request(method, f"/api/treasury/{path}", json=sent)
        assert answer.status_code == 404, (method, path, answer.text)
    file = {"wallet_id": place["id"]}
    answer = await stranger.post(
        "/api/treasury/lots/import", params=file, content="received_at,btc,txid\n",
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 404


async def test_a_transaction_id_is_ones_own(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, wallet: Any, lot: Any
) -> None:
    """The same payout id at another operator is another payout, and tells nothing."""
    await lot((await wallet())["id"], reference="shared:0")
    place = await stranger.post(
        "/api/treasury/wallets", json={"name": str(new_id()), "kind": "pool"}
    )
    body = {
        "wallet_id": place.json()["id"], "received_at": "2026-01-01T00:00:00Z", "btc": "1",
        "price_usd": "1", "reference": "shared:0",
    }  # fmt: skip
    assert (await stranger.post("/api/treasury/lots", json=body)).status_code == 201


async def test_everything_done_is_in_the_audit_trail(
    owner: httpx.AsyncClient, wallet: Any, lot: Any, quote: Any, approved: Any, sold: Any,
    tenant_session: Any,
) -> None:  # fmt: skip
    from sqlalchemy import select

    from common.audit import first_broken
    from intelligence.db import AuditEvent

    await quote()
    await owner.put("/api/treasury/settings", json={"approval_limit_usd": "1000000"})
    await lot((await wallet())["id"])
    proposal = await approved("1")
    await sold(proposal["id"], "0.5", "25000")
    await owner.post(f"/api/treasury/proposals/{proposal['id']}/cancel")
    async with tenant_session() as session:
        lines = list(await session.scalars(select(AuditEvent).order_by(AuditEvent.id)))
        assert await first_broken(session, AuditEvent, lines[0].organisation_id) is None
    assert [line.action for line in lines] == [
        "treasury.settle", "treasury.wallet.add", "treasury.lot.add", "treasury.propose",
        "treasury.approve", "treasury.fill", "treasury.cancel",
    ]  # fmt: skip


def test_no_order_can_be_sent_anywhere() -> None:
    """No code of the treasury reaches an exchange: it asks pools for payouts, by GET, only."""
    from pathlib import Path

    folder = Path(SERVICE.package_file).parent / "treasury"
    for path in folder.rglob("*.py"):
        source = path.read_text()
        assert "ccxt" not in source, path
        assert "create_order" not in source, path
        if "pools" not in path.parts:
            assert "httpx" not in source, path
