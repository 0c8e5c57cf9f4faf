"""Who may call: a route names one of these as a parameter."""

from typing import Annotated

from common.auth import Principal, with_scope

TelemetryReader = Annotated[Principal, with_scope("telemetry:read")]
HistoryWriter = Annotated[Principal, with_scope("telemetry:history")]
TelemetryApiKey = Annotated[Principal, with_scope("telemetry:api")]
