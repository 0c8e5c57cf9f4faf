"""Who may do what here: one name per permission, used as the type of a route's parameter."""

from typing import Annotated

from common.auth import Principal, with_scope

SitesReader = Annotated[Principal, with_scope("sites:read")]
SitesWriter = Annotated[Principal, with_scope("sites:write")]
MinersReader = Annotated[Principal, with_scope("miners:read")]
MinersWriter = Annotated[Principal, with_scope("miners:write")]
MinersApprover = Annotated[Principal, with_scope("miners:approve")]
MinersCommander = Annotated[Principal, with_scope("miners:command")]
CurtailmentReader = Annotated[Principal, with_scope("curtailment:read")]
CurtailmentCommander = Annotated[Principal, with_scope("curtailment:command")]
CurtailmentApprover = Annotated[Principal, with_scope("curtailment:approve")]
AuditReader = Annotated[Principal, with_scope("audit:read")]
