"""Who may do what here."""

from typing import Annotated

from common.auth import Principal, with_scope

MinerModelsWriter = Annotated[Principal, with_scope("miner-models:write")]
