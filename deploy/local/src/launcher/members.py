"""The workspace's members: which folders they are and what they are called when imported."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from launcher.paths import ROOT

_GLOBS = ("libs/*", "gateway", "services/*", "deploy/local")


@dataclass(frozen=True, slots=True)
class Member:
    """One folder with its own pyproject.toml."""

    folder: Path
    distribution: str
    module: str


def members() -> list[Member]:
    """Return all members, libraries first."""
    folders = [path for pattern in _GLOBS for path in sorted(ROOT.glob(pattern))]
    return [_read(folder) for folder in folders if (folder / "pyproject.toml").exists()]


def part(name: str) -> Path:
    """Return the folder that `s=name` means: a member, or a folder of the root's tests.

    Raises:
        LookupError: there is no such part.
    """
    known = {member.module: member.folder for member in members()}
    known |= {path.name: path for path in (ROOT / "tests").iterdir() if path.is_dir()}
    if name not in known:
        raise LookupError(f"There is no part {name!r}. Parts: {', '.join(sorted(known))}.")
    return known[name]


def _read(folder: Path) -> Member:
    declared = tomllib.loads((folder / "pyproject.toml").read_text())
    return Member(
        folder=folder,
        distribution=declared["project"]["name"],
        module=declared["tool"]["uv"]["build-backend"]["module-name"],
    )
