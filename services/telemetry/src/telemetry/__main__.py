"""`python -m telemetry serve|migrate|revision`."""

from common.cli import main
from telemetry.main import SERVICE

main(SERVICE)
