"""Which records count for a question: of the right place, each piece of energy once."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select
from sqlalchemy.orm import aliased

from energy.costs.charges import NO_CURRENCY
from energy.costs.models import ElectricityCost, SiteCharge
from energy.costs.sums import Scope
from energy.facts.models import Miner, Site
from energy.tariffs.places import folded, is_folded


def counted(scope: Scope) -> ColumnElement[bool]:
    """Return which records count for a scope, each piece of energy once.

    A whole fleet's record counts before those of its machines. A client's machines are counted
    from its days; of a machine, what was recorded by hand.
    """
    table = ElectricityCost
    if scope.one_machine():
        named = table.miner_id == scope.miner_id if scope.miner_id is not None else false()
        by_ip: ColumnElement[bool] = false()
        if scope.miner_ip is not None:  # a machine that is known is meant by its id
            by_ip = and_(table.miner_id.is_(None), table.miner_ip == scope.miner_ip)
        return and_(_in_force(), or_(named, by_ip))
    if scope.client_id is not None:
        return and_(_in_force(), table.client_id == scope.client_id)
    whole = aliased(ElectricityCost)
    covered = (
        select(whole.id)
        .where(
            whole.organisation_id == table.organisation_id,
            whole.miner_id.is_(None),
            whole.miner_ip.is_(None),
            whole.site_id.is_not_distinct_from(table.site_id),
            or_(
                table.site_id.is_not(None),
                folded(whole.location).is_not_distinct_from(folded(table.location)),
            ),
            whole.period_start < table.period_end,
            whole.period_end > table.period_start,
            ~whole.superseded,
        )
        .exists()
    )
    return and_(_in_force(), or_(of_fleet(), ~covered))


def _in_force() -> ColumnElement[bool]:
    """Return which records telemetry has not taken the place of.

    Of a site that was known when the record was made, rating says so. Of one that became known
    later, its location or a machine's address tells.
    """
    table, told = ElectricityCost, aliased(ElectricityCost)
    names = (folded(column) == folded(table.location) for column in (Site.location, Site.name))
    at_location = select(Site.id).where(or_(*names)).correlate(table)
    at_address = (
        select(Miner.site_id)
        .where(Miner.ip == table.miner_ip, Miner.removed.is_(False))
        .correlate(table)
    )
    told_since = (
        select(told.id)
        .where(
            told.source == "telemetry",
            told.period_start < table.period_end,
            told.period_end > table.period_start,
            or_(told.site_id.in_(at_location), told.site_id.in_(at_address)),
        )
        .correlate(table)
        .exists()
    )
    return and_(~table.superseded, or_(table.site_id.is_not(None), ~told_since))


def of_fleet() -> ColumnElement[bool]:
    """Return which records are of all machines of their place."""
    return and_(ElectricityCost.miner_id.is_(None), ElectricityCost.miner_ip.is_(None))


def daily_charge_counts() -> ColumnElement[bool]:
    """Return for which records the service charge in them counts.

    A site's charge is kept by the day once telemetry has told of it; a half-hour's part of it is
    there to be shown. A record by hand carries its own for a day of which telemetry tells nothing.
    """
    table = ElectricityCost
    rated = (
        select(SiteCharge.id)
        .where(
            SiteCharge.site_id == table.site_id,
            SiteCharge.kind == "day",
            SiteCharge.currency != NO_CURRENCY,
            SiteCharge.starts_at < table.period_end,
            SiteCharge.ends_at > table.period_start,
        )
        .exists()
    )
    return and_(table.source == "manual", ~rated)


def placed(scope: Scope) -> list[ColumnElement[bool]]:
    """Return the conditions of a scope's place on the records."""
    conditions: list[ColumnElement[bool]] = []
    if scope.site_id is not None:
        conditions.append(ElectricityCost.site_id == scope.site_id)
    if scope.location is not None:
        by_name: Any = is_folded(ElectricityCost.location, scope.location)
        conditions.append(or_(ElectricityCost.site_id.in_(sites_at(scope.location)), by_name))
    return conditions


def sites_at(location: str) -> Select[UUID]:
    """Select the sites of a location; a site's name stands for it too."""
    texts = (is_folded(column, location) for column in (Site.location, Site.name))
    return select(Site.id).where(or_(*texts))
