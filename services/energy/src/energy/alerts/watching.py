"""Looks at the rules: says once that a figure is too high, and once that it is over."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from energy.alerts.figures import Figure, figure_of, together
from energy.alerts.models import CostAlert, CostRule
from energy.domain import alerting
from energy.facts.models import Site
from energy.messages.post import Audience, tell
from energy.settings import Settings
from energy.turns import each_organisation

_LOCK = 7_201_354
METRICS = {
    "price_now": "the price of power",
    "cost_per_hour": "the cost of energy in the last closed hour",
    "cost_per_day": "the cost of the day so far",
    "forecast_day": "the expected cost of the day",
}
_PLACES = Decimal("0.000000001")


async def watch(runtime: Runtime) -> None:
    """Look at the rules of every organisation, for ever."""
    settings = cast("Settings", runtime.settings)
    while not runtime.stopping.is_set():
        await look_at_all(runtime)
        await asyncio.sleep(settings.alerts_every_s)


async def look_at_all(runtime: Runtime, *, at: datetime | None = None) -> None:
    """Look at every organisation that has rules."""

    async def turn(session: AsyncSession, organisation_id: UUID) -> None:
        await look(session, organisation_id, at or now())

    query = select(CostRule.organisation_id).where(CostRule.active).distinct()
    await each_organisation(runtime, query, _LOCK, turn)


async def look(session: AsyncSession, organisation_id: UUID, at: datetime) -> None:
    """Look at an organisation's rules."""
    rules = await session.scalars(
        select(CostRule)
        .where(CostRule.organisation_id == organisation_id, CostRule.active)
        .order_by(CostRule.id)
    )
    sites = list(
        await session.scalars(select(Site).where(Site.removed.is_(False)).order_by(Site.id))
    )
    figures = _Figures(session, at)
    for rule in list(rules):
        for place, figure in await _looked_at(figures, rule, sites):
            await _judge(session, rule, place, figure, at)


class _Figures:
    """The figures of one look: many rules may ask for the same one."""

    def __init__(self, session: AsyncSession, at: datetime) -> None:
        self._session = session
        self._at = at
        self._known: dict[tuple[str, UUID, str], Figure | None] = {}

    async def of(self, rule: CostRule, site: Site) -> Figure | None:
        key = (rule.metric, site.id, rule.currency)
        if key not in self._known:
            self._known[key] = await figure_of(
                self._session, rule.metric, site, rule.currency, self._at
            )
        return self._known[key]


async def _looked_at(
    figures: _Figures, rule: CostRule, sites: Sequence[Site]
) -> list[tuple[Site | None, Figure | None]]:
    """Return what a rule looks at: one site, each site, or all of them together (None)."""
    wanted = [site for site in sites if rule.site_id in (None, site.id)]
    found = [(site, await figures.of(rule, site)) for site in wanted]
    if rule.site_id is not None or rule.metric == "price_now":
        return list(found)
    return [(None, together([figure for _, figure in found]))]


async def _judge(
    session: AsyncSession, rule: CostRule, site: Site | None, figure: Figure | None, at: datetime
) -> None:
    if figure is None:
        return  # what is not known neither fires nor clears
    alert = await session.scalar(
        select(CostAlert)
        .where(
            CostAlert.rule_id == rule.id,
            CostAlert.site_id.is_not_distinct_from(None if site is None else site.id),
            CostAlert.cleared_at.is_(None),
        )
        .with_for_update()
    )
    value = figure.value.quantize(_PLACES)
    verdict = alerting.change(value, rule.threshold, rule.clear_percent, firing=alert is not None)
    if alert is None:
        if verdict == "fire":
            await _fire(session, rule, site, figure, at)
        return
    alert.highest = max(alert.highest, value)
    # Of a part one can say that it is too much, but not that the whole is not.
    if verdict == "clear" and not figure.partial:
        alert.cleared_at = at
        await session.flush()
        await _tell(session, rule, alert, site, template="cost_alert_over", value=value)


async def _fire(
    session: AsyncSession, rule: CostRule, site: Site | None, figure: Figure, at: datetime
) -> None:
    value = figure.value.quantize(_PLACES)
    alert = CostAlert(
        id=new_id(),
        organisation_id=rule.organisation_id,
        client_id=rule.client_id,
        rule_id=rule.id,
        rule_name=rule.name,
        site_id=None if site is None else site.id,
        metric=rule.metric,
        threshold=rule.threshold,
        currency=rule.currency,
        value=value,
        highest=value,
        details=figure.details,
        fired_at=at,
    )
    session.add(alert)
    await session.flush()
    await _tell(session, rule, alert, site, template="cost_alert", value=value)


async def _tell(
    session: AsyncSession,
    rule: CostRule,
    alert: CostAlert,
    site: Site | None,
    *,
    template: str,
    value: Decimal,
) -> None:
    facts: dict[str, Any] = {
        "event": "fired" if template == "cost_alert" else "cleared",
        "alert_id": str(alert.id),
        "rule_id": str(rule.id),
        "rule": rule.name,
        "site_id": None if site is None else str(site.id),
        "site": "all sites" if site is None else site.name,
        "metric": rule.metric,
        "figure": METRICS[rule.metric],
        "value": shown(value),
        "threshold": shown(rule.threshold),
        "highest": shown(alert.highest),
        "currency": rule.currency,
        "unit": f"{rule.currency} per kWh" if rule.metric == "price_now" else rule.currency,
        "fired_at": alert.fired_at.isoformat(timespec="minutes"),
        "details": alert.details,
    }
    audience = Audience(
        organisation_id=rule.organisation_id,
        client_id=rule.client_id,
        recipients=rule.recipients,
        mail=rule.mail,
        webhook=rule.webhook,
    )
    await tell(
        session,
        audience,
        kind="cost_alert",
        template=template,
        facts=facts,
        dedupe_key=f"{template}:{alert.id}",
    )


def shown(amount: Decimal) -> str:
    """Return an amount for a reader: at least two places, no zeros that say nothing."""
    text = f"{amount.normalize():f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"
