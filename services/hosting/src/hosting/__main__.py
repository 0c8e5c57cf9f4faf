"""`python -m hosting serve | migrate | revision`."""

from common.cli import main
from hosting.main import SERVICE

main(SERVICE)
