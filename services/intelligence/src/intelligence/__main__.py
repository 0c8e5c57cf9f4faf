"""`python -m intelligence serve | migrate`."""

from common.cli import main
from intelligence.main import SERVICE

if __name__ == "__main__":
    main(SERVICE)
