"""Who may do what here."""

from typing import Annotated

from common.auth import Principal, with_scope

MinerModelsWriter = Annotated[Principal, with_scope("miner-models:write")]
QuotesWriter = Annotated[Principal, with_scope("quotes:write")]
CalculationsRunner = Annotated[Principal, with_scope("calculations:run")]
CalculationsReader = Annotated[Principal, with_scope("calculations:read")]
