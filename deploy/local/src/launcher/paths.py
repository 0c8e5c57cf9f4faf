"""Where things are: the repository, and the state of an installation beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
LOCAL = ROOT / ".local"
VENV_BIN = ROOT / ".venv" / "bin"
KAFKA_SOURCES = ROOT / "deploy" / "local" / "kafka"
KAFKA_JARS = LOCAL / "kafka" / "libs"
