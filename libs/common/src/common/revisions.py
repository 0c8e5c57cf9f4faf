"""Reads which revision the code stands at, without the half second that Alembic takes to load."""

import re
from pathlib import Path


def head(versions: Path) -> str | None:
    """Return the newest revision, read from the files."""
    downs: set[str] = set()
    revisions: set[str] = set()
    for file in versions.glob("*.py"):
        source = file.read_text()
        revisions.update(re.findall(r'^revision\b.*=\s*"(\w+)"', source, re.MULTILINE))
        downs.update(re.findall(r'^down_revision\b.*=\s*"(\w+)"', source, re.MULTILINE))
    heads = revisions - downs
    if len(heads) > 1:
        msg = f"{versions}: several heads {sorted(heads)}; give one of them a down_revision"
        raise RuntimeError(msg)
    return heads.pop() if heads else None
