"""All tables of telemetry: importing this makes the metadata whole, for migrations."""

from sqlalchemy import MetaData

from telemetry.alerts import models as alerts
from telemetry.commands import models as commands
from telemetry.db import Base
from telemetry.fleet import models as fleet
from telemetry.halfhours import models as halfhours
from telemetry.rollups import models as rollups
from telemetry.samples import models as samples

FEATURES = (alerts, commands, fleet, halfhours, rollups, samples)
METADATA: MetaData = Base.metadata
