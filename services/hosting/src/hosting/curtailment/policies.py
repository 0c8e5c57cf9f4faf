"""How a site curtails: who approves, and how fast machines come back."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from hosting.curtailment.machines import require_site
from hosting.curtailment.models import CurtailmentPolicy
from hosting.curtailment.schemas import Policy
from hosting.curtailment.settings import curtailment_settings
from hosting.db import AuditEvent


async def policy_of(
    session: AsyncSession, site_id: UUID, organisation_id: UUID
) -> CurtailmentPolicy:
    """Return the site's policy; the installation's defaults where it has none of its own."""
    found = await session.get(CurtailmentPolicy, site_id)
    settings = curtailment_settings()
    return found or CurtailmentPolicy(
        site_id=site_id,
        organisation_id=organisation_id,
        four_eyes=False,
        restore_batch_size=settings.restore_batch_size,
        restore_interval_s=settings.restore_interval_s,
    )


async def read_policy(session: AsyncSession, principal: Principal, site_id: UUID) -> Policy:
    """Return how a site of the caller's curtails."""
    await require_site(session, site_id)
    return Policy.model_validate(await policy_of(session, site_id, principal.organisation_id))


async def set_policy(
    session: AsyncSession, principal: Principal, site_id: UUID, body: Policy
) -> Policy:
    """Set how a site of the caller's curtails. Plans already made keep their pace."""
    await require_site(session, site_id)
    policy = await policy_of(session, site_id, principal.organisation_id)
    policy.four_eyes = body.four_eyes
    policy.restore_batch_size = body.restore_batch_size
    policy.restore_interval_s = body.restore_interval_s
    session.add(policy)
    await audit(
        session,
        AuditEvent,
        principal,
        action="curtailment.policy",
        object_type="site",
        object_id=site_id,
        detail=body.model_dump(),
    )
    return body
