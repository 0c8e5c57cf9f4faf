"""Who may do what here."""

from typing import Annotated

from common.auth import Principal, with_scope

TariffsReader = Annotated[Principal, with_scope("tariffs:read")]
TariffsWriter = Annotated[Principal, with_scope("tariffs:write")]
CostsReader = Annotated[Principal, with_scope("costs:read")]
CostsWriter = Annotated[Principal, with_scope("costs:write")]
WindReader = Annotated[Principal, with_scope("wind:read")]
WindWriter = Annotated[Principal, with_scope("wind:write")]
