"""Who may do what here."""

from typing import Annotated

from common.auth import Principal, with_scope

RecommendationRunner = Annotated[Principal, with_scope("recommendations:run")]
