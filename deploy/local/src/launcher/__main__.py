"""`python -m launcher`: starts, stops and shows everything on one machine."""

from launcher.cli import app

if __name__ == "__main__":
    app()
