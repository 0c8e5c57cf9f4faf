"""`make test`: infrastructure, the suite in parallel, then what needs the machine for itself."""

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from launcher import infra
from launcher.members import part
from launcher.paths import LOCAL, ROOT, VENV_BIN
from launcher.processes import child_environment

_SERIAL = ("tests/e2e", "tests/faults", "deploy/local/tests/e2e")
_LONG = ("tests/long",)
_WORKERS = 2
_NOTHING_COLLECTED = 5
_CLOSING = re.compile(r"^=+ (?P<counts>.*) in (?P<seconds>[\d.]+)s.*=+$")
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run of pytest ended."""

    name: str
    code: int
    closing: str

    @property
    def passed(self) -> bool:
        """Whether nothing failed; a part without tests has not failed."""
        return self.code in (0, _NOTHING_COLLECTED)


def run(only: str | None, keyword: str | None, *, long: bool) -> bool:
    """Run tests; the last line printed is the closing line over all of them."""
    started = infra.up()
    try:
        if long:
            runs = [_pytest("long", [*_existing(_LONG)], keyword)]
        elif only:
            runs = [_pytest(only, [str(part(only).relative_to(ROOT))], keyword)]
        else:
            runs = _whole(keyword)
    finally:
        if started:
            infra.down()
    covered = only is not None or keyword is not None or long or _covered()
    if len(runs) > 1:
        for ran in runs:
            print(f"{ran.name}: {ran.closing}")
    print(total([ran.closing for ran in runs]))
    return covered and all(ran.passed for ran in runs)


def _whole(keyword: str | None) -> list[Ran]:
    """Run the suite on all processors, then the shared-stack tests one after another."""
    covered = [] if keyword else ["--cov", "--cov-report=", "--cov-fail-under=0"]
    ignored = [f"--ignore={path}" for path in (*_SERIAL, *_LONG)]
    first = _pytest("suite", [*ignored, "-n", str(_WORKERS), *covered], keyword)
    serial = _existing(_SERIAL)
    if not serial:
        return [first]
    again = [*covered, "--cov-append"] if covered else []
    return [
        first,
        _pytest("shared stack", [*serial, "-n", "0", "-p", "no:randomly", *again], keyword),
    ]


def _existing(folders: tuple[str, ...]) -> list[str]:
    return [folder for folder in folders if any((ROOT / folder).rglob("test_*.py"))]


def _pytest(name: str, arguments: list[str], keyword: str | None) -> Ran:
    """Run pytest, its output shown as it comes, its closing line kept."""
    # The package `gateway` is imported first: its folder stands at the root under the same name,
    # and pytest would otherwise take that folder for a package when it loads gateway/tests.
    command = [str(VENV_BIN / "python"), "-m", "pytest", "-p", "gateway", *arguments]
    if keyword:
        command += ["-k", keyword]
    if sys.stdout.isatty():
        command.append("--color=yes")
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=child_environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    shown = b""
    while piece := os.read(process.stdout.fileno(), 65_536):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        shown = (shown + piece)[-65_536:]
    return Ran(name, process.wait(), _closing(shown.decode(errors="replace")))


def _closing(output: str) -> str:
    lines = [_COLOURS.sub("", line) for line in output.splitlines()]
    return next((line for line in reversed(lines) if _CLOSING.match(line)), "no closing line")


def total(closings: list[str]) -> str:
    """Add closing lines up to one in pytest's own form."""
    counts, seconds = Counter[str](), 0.0
    for closing in closings:
        found = _CLOSING.match(closing)
        if found is None:
            counts["run without a result"] += 1
            continue
        seconds += float(found["seconds"])
        for number, word in re.findall(r"(\d+) (\w+)", found["counts"]):
            counts[word] += int(number)
    text = ", ".join(f"{number} {word}" for word, number in counts.items()) or "no tests ran"
    return f" {text} in {seconds:.2f}s ".center(80, "=")


def _covered() -> bool:
    """Print the total coverage, write the table beside, judge it by `fail_under`."""
    report = [str(VENV_BIN / "coverage"), "report"]
    table = subprocess.run(
        [*report, "--show-missing", "--sort=cover", "--fail-under=0"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    path = LOCAL / "coverage.txt"
    path.write_text(table.stdout)
    judged = subprocess.run(
        [*report, "--format=total"], check=False, cwd=ROOT, capture_output=True, text=True
    )
    print(f"Coverage {judged.stdout.strip()} %; lines that are not: {_shown(path)}")
    if judged.returncode:
        print(judged.stderr.strip() or "Coverage is below the limit in pyproject.toml.")
    return judged.returncode == 0


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))
