"""Who may do what here."""

from typing import Annotated

from common.auth import Principal, with_scope

RecommendationRunner = Annotated[Principal, with_scope("recommendations:run")]
MarketReader = Annotated[Principal, with_scope("market:read")]
MarketWriter = Annotated[Principal, with_scope("market:write")]
ForecastsReader = Annotated[Principal, with_scope("forecasts:read")]
InsightsReader = Annotated[Principal, with_scope("insights:read")]
TreasuryReader = Annotated[Principal, with_scope("treasury:read")]
TreasuryWriter = Annotated[Principal, with_scope("treasury:write")]
TreasuryApprover = Annotated[Principal, with_scope("treasury:approve")]
