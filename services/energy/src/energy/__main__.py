"""`python -m energy serve | migrate | wind …`."""

from common.cli import main
from energy.main import SERVICE

if __name__ == "__main__":
    main(SERVICE)
