"""Energy: tariffs, what electricity cost, and what curtailed wind would have mined."""

from fastapi import FastAPI

from common.app import Service, service_app
from common.jobs import jobs_router
from common.mail_returns import returned_mail
from energy.advice import routes as advice
from energy.alerts import routes as alerts
from energy.alerts.watching import watch as watch_costs
from energy.budgets import routes as budgets
from energy.budgets.watching import watch as watch_budgets
from energy.carbon import routes as carbon
from energy.carbon.keeping import keep_intensities
from energy.costs import events as cost_events
from energy.costs import reactions as cost_reactions
from energy.costs import rerating
from energy.costs import routes as costs
from energy.costs.rater import keep_rated
from energy.currencies import routes as currencies
from energy.currencies.keeping import keep_rates
from energy.db import Base, Job
from energy.facts import reactions as facts
from energy.jobs import doing
from energy.messages import reactions as people
from energy.messages import routes as messages
from energy.messages.post import POST, forget_messages, send_letters, send_to_endpoints
from energy.reconciliation import routes as reconciliation
from energy.reports import routes as reports
from energy.savings import reactions as savings_reactions
from energy.savings import routes as savings
from energy.savings.background import settle_savings
from energy.settings import Settings
from energy.signals import routes as signals
from energy.signals.events import SignalChanged
from energy.signals.watching import watch as watch_signals
from energy.tariffs import bill_routes as bills
from energy.tariffs import events as tariff_events
from energy.tariffs import import_routes as rate_imports
from energy.tariffs import index_routes as index_prices
from energy.tariffs import routes as rates
from energy.tariffs.means import keep_means_told
from energy.wind import jobs as wind_jobs
from energy.wind import routes as wind
from energy.wind.command import WIND
from energy.wind.following import follow_wind
from energy.wind_views import mining_routes as wind_mining
from energy.wind_views import production_routes as wind_production
from energy.wind_views import routes as wind_views

SERVICE = Service(
    name="energy",
    package_file=__file__,
    title="Hashyard energy",
    settings=Settings,
    metadata=Base.metadata,
    routers=[
        jobs_router("electricity", Job),
        advice.router,
        carbon.router,
        costs.router,
        currencies.router,
        reconciliation.router,
        reports.router,
        savings.router,
        rate_imports.router,
        rates.router,
        messages.router,
        signals.router,
        alerts.router,
        budgets.router,
        bills.router,
        index_prices.router,
        wind.router,
        wind.jobs_of_wind,
        wind_views.router,
        wind_mining.router,
        wind_production.router,
    ],
    events=[
        tariff_events.TariffChanged,
        tariff_events.IndexPricesChanged,
        SignalChanged,
        cost_events.CostRated,
    ],
    reactions=[
        facts.reactions,
        people.reactions,
        cost_reactions.reactions,
        rerating.reactions,
        savings_reactions.reactions,
    ],
    background=[
        doing(wind_jobs.kinds, rerating.kinds),
        keep_intensities,
        keep_rates,
        settle_savings,
        keep_means_told,
        keep_rated,
        send_letters,
        send_to_endpoints,
        forget_messages,
        watch_signals,
        watch_costs,
        watch_budgets,
        follow_wind,
    ],
    commands=[WIND, returned_mail(POST)],
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
