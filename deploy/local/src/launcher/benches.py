"""`make bench`: every published figure, one after another, each beside its peer."""

import subprocess
import sys
from pathlib import Path

from launcher.paths import LOCAL, ROOT
from launcher.processes import child_environment

_FOLDER = ROOT / "bench"


def run(only: str | None) -> bool:
    """Run one bench, or all; results go to the screen and as JSON to `.local/bench/`."""
    scripts = [_script(only)] if only else sorted(_FOLDER.glob("[!_]*.py"))
    failed = [script.stem for script in scripts if not _passes(script)]
    if failed:
        print(f"These did not end well: {', '.join(failed)}.")
    return not failed


def _script(name: str) -> Path:
    path = _FOLDER / f"{name}.py"
    if not path.exists():
        known = ", ".join(sorted(one.stem for one in _FOLDER.glob("[!_]*.py")))
        raise LookupError(f"There is no bench {name!r}: {known}.")
    return path


def _passes(script: Path) -> bool:
    print(f"── {script.stem}", flush=True)
    results = LOCAL / "bench" / f"{script.stem}.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(script), "--json", str(results)]
    return subprocess.run(command, check=False, cwd=ROOT, env=child_environment({})).returncode == 0
