import subprocess

from launcher.paths import ROOT


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:]
    shown = subprocess.run(
        ["make", "-s", "-C", str(ROOT)], check=True, capture_output=True, text=True
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()[1:]} == set(phony)
