"""`make test-fresh`: the committed state on a bare Debian, as root and as a user with sudo.

A chroot from debootstrap holds python3, make and certificates, nothing else of ours. It takes
over this machine's apt sources, proxies and certificate authorities, whatever they are.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from launcher.paths import LOCAL, ROOT
from launcher.processes import started_at, wait_until

_FOLDER = LOCAL / "fresh"
_BASE = _FOLDER / "base.tar"
_RELEASE = "bookworm"
_USER = "builder"
_PACKAGES = "python3,make,ca-certificates"
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSED_ON = re.compile(r"(?i)(.*_proxy|ssl_cert_file|pip_cert|node_extra_ca_certs|curl_ca_bundle)")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class NotPossibleError(Exception):
    """This machine cannot make a chroot, or its tree is not committed."""


def run(who: str | None, command: str) -> bool:
    """Run a command of the repository in fresh trees; whether it passed for everybody."""
    _require()
    if not _BASE.exists():
        _bootstrap()
    outcomes: dict[str, tuple[bool, float]] = {}
    for person in [who] if who else ["root", "sudo"]:
        start = time.monotonic()
        passed = _passes(person, command)
        outcomes[person] = passed, time.monotonic() - start
    for person, (passed, seconds) in outcomes.items():
        print(f"{'✓' if passed else '✗'} {command} as {person} on a bare Debian  {seconds:.0f} s")
    return all(passed for passed, _ in outcomes.values())


def _require() -> None:
    if os.geteuid() != 0:
        raise NotPossibleError("A chroot needs root: sudo make test-fresh.")
    if shutil.which("debootstrap") is None:
        raise NotPossibleError("debootstrap is missing: apt-get install debootstrap.")
    changed = subprocess.run(
        ["git", "status", "--porcelain"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    if changed:
        print(f"Not committed, so not tested:\n{changed.rstrip()}")


def _bootstrap() -> None:
    """Make the bare tree once and keep it."""
    tree = _FOLDER / "base"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    print("… bare Debian, by debootstrap", flush=True)
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _RELEASE]
    _quietly([*command, str(tree), archive()])
    _quietly(["tar", "-C", str(tree), "-cf", str(_BASE) + ".new", "."])
    Path(str(_BASE) + ".new").replace(_BASE)
    shutil.rmtree(tree)


def archive() -> str:
    """Return the address of the Debian archive that this machine itself uses."""
    texts = [path.read_text() for path in _source_files()]
    for text in texts:
        for pattern in (r"^URIs:\s*(\S+)", r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+" + _RELEASE):
            found = re.search(pattern, text, re.MULTILINE)
            if found and "security" not in found[1]:
                return found[1]
    raise NotPossibleError("No Debian archive is named in /etc/apt.")


def _source_files() -> list[Path]:
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("debian*")]
    return [path for path in files if path.is_file()]


def _passes(person: str, command: str) -> bool:
    tree = _FOLDER / person
    _remove(tree)
    tree.mkdir(parents=True)
    print(f"── a bare Debian for {person}", flush=True)
    _quietly(["tar", "-C", str(tree), "-xf", str(_BASE)])
    _like_this_machine(tree)
    with _mounted(tree):
        _quietly(["chroot", str(tree), "update-ca-certificates"])
        home = _sudo_user(tree) if person == "sudo" else "/root"
        clone = tree / home.lstrip("/") / "hashyard"
        _quietly(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)])
        user = _USER if person == "sudo" else "root"
        _quietly(["chroot", str(tree), "chown", "-R", f"{user}:", f"{home}/hashyard"])
        # A login shell of nobody in particular: only what we name gets in.
        words = [
            *("chroot", f"--userspec={user}", str(tree), "/usr/bin/env", "-i"),
            *(f"{name}={value}" for name, value in _environment(home).items()),
            *("/bin/bash", "-c", f"cd {home}/hashyard && {command}"),
        ]
        code = subprocess.run(words, check=False, stdin=subprocess.DEVNULL).returncode
    if code == 0:
        _remove(tree)
    else:
        print(f"The tree stays for you to look at: {tree}")
    return code == 0


def _like_this_machine(tree: Path) -> None:
    """Carry in how this machine reaches its package archives."""
    apt = tree / "etc" / "apt"
    shutil.rmtree(apt / "sources.list.d", ignore_errors=True)
    (apt / "sources.list").unlink(missing_ok=True)
    (apt / "sources.list.d").mkdir()
    for path in _source_files():
        shutil.copy(path, apt / path.relative_to("/etc/apt"))
    for path in Path("/etc/apt/apt.conf.d").iterdir():
        shutil.copy(path, apt / "apt.conf.d" / path.name)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc") / name, tree / "etc" / name)
    known = set(_CERTIFICATE.findall((tree / str(_BUNDLE).lstrip("/")).read_text()))
    own = [one for one in _CERTIFICATE.findall(_BUNDLE.read_text()) if one not in known]
    for number, certificate in enumerate(own):
        path = tree / "usr/local/share/ca-certificates" / f"machine-{number}.crt"
        path.write_text(certificate + "\n")


def _environment(home: str) -> Mapping[str, str]:
    passed_on = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    return {
        **passed_on,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home,
        "LANG": "C.UTF-8",
        "CI": "true",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def _sudo_user(tree: Path) -> str:
    """Make an ordinary user who may use sudo; return his home."""
    _quietly(["chroot", str(tree), "apt-get", "update", "-q"])
    _quietly(["chroot", str(tree), "apt-get", "install", "-y", "-q", "sudo"])
    _quietly(["chroot", str(tree), "useradd", "-m", "-s", "/bin/bash", _USER])
    rule = tree / "etc" / "sudoers.d" / _USER
    rule.write_text(f"{_USER} ALL=(ALL) NOPASSWD: ALL\n")
    rule.chmod(0o440)
    return f"/home/{_USER}"


@contextmanager
def _mounted(tree: Path) -> Generator[None]:
    """Give the tree the kernel's file systems; end what still runs in it and take them away."""
    _quietly(["mount", "-t", "proc", "proc", str(tree / "proc")])
    _quietly(["mount", "--rbind", "--make-rslave", "/dev", str(tree / "dev")])
    try:
        yield
    finally:
        _end_processes(tree)
        for mount in reversed(_mounts(tree)):
            _quietly(["umount", "-l", mount])


def _mounts(tree: Path) -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    paths = [line.split()[1].replace("\\040", " ") for line in lines]
    return [path for path in paths if path.startswith(f"{tree}/")]


def _end_processes(tree: Path) -> None:
    """Kill what the run left behind: every process whose root is our tree, and no other."""
    for link in Path("/proc").glob("[0-9]*/root"):
        with contextlib.suppress(OSError):
            if link.readlink() == tree:
                pid = int(link.parts[2])
                print(f"left running: {(link.parent / 'comm').read_text().strip()} ({pid})")
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda pid=pid: started_at(pid) is None, 5.0)


def _remove(tree: Path) -> None:
    """Delete a tree, never through a mount into the machine's own /dev."""
    for mount in reversed(_mounts(tree)):
        _quietly(["umount", "-l", mount])
    if _mounts(tree):
        raise NotPossibleError(f"{tree} is still mounted.")
    shutil.rmtree(tree, ignore_errors=True)


def _quietly(command: list[str]) -> None:
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise NotPossibleError(
            f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}"
        )
