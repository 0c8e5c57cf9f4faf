"""`python -m calculator serve | migrate`."""

from calculator.main import SERVICE
from common.cli import main

if __name__ == "__main__":
    main(SERVICE)
