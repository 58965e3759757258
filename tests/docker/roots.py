"""Minimal roots of Debian, such as images begin with, and programs that run in them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "roots"
PYTHON = sys.executable


def program(name: str) -> Optional[str]:
    """Of a Debian package: installed, or as make deps unpacks it."""
    unpacked = ROOT / "build" / "tools" / "usr" / "bin" / name
    return str(unpacked) if unpacked.exists() else shutil.which(name)


def why_not_enter() -> Optional[str]:
    """Why a root cannot be entered here; None: it can."""
    if os.geteuid() != 0:
        return "only root can enter a root file system"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return "mount namespaces are not to be had here"
    return None


def why_not() -> Optional[str]:
    """Why one cannot be made either."""
    if not shutil.which("mmdebstrap"):
        return "mmdebstrap is not installed (make deps)"
    return why_not_enter()


def release() -> str:
    """The release of this machine: what was built here runs on its C library or a newer one."""
    return re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M).group(1)


def minimal(name: str, *packages: str) -> Path:
    """A root with the release's essential packages, apt and these; kept in build/roots."""
    path, stamp = FOLDER / name, FOLDER / f"{name}.stamp"
    want = " ".join([release(), *packages])
    if not stamp.exists() or stamp.read_text() != want:
        FOLDER.mkdir(parents=True, exist_ok=True)
        _bootstrap(path, packages)
        stamp.write_text(want)
    return path


def _bootstrap(path: Path, packages: Sequence[str]) -> None:
    """About 25 s. A mirror that stalls holds apt up for good: a stalled try is ended, and the
    second one says what was wrong."""
    make = ["unshare", "--mount", "--propagation", "private",  # its mounts end with it
            "mmdebstrap", "--quiet", "--variant=minbase", '--aptopt=Acquire::http::Timeout "20"',
            '--aptopt=Acquire::Retries "3"', *(f"--include={p}" for p in packages), release(),
            str(path)]
    for last in (False, True):
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)
        if _ends_within(120, make, check=last):
            return


def _ends_within(seconds: float, command: Sequence[str], *, check: bool) -> bool:
    """Runs it with all that it starts, which ends with it. `check`: it must succeed."""
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        ok = process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ok = False
    assert ok or not check, f"{shlex.join(command)}: status {process.returncode}"
    return ok


_ENTER = """
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    case $1 in
    tmp) mkdir -p "$root$2"; mount -t tmpfs tmpfs "$root$2" ;;
    ro) mkdir -p "$root$3"; mount --bind -o ro "$2" "$root$3" ;;
    esac
    [ "$1" = tmp ] && shift 2 || shift 3
done
shift
"""


def command(root: Path, argv: Sequence[str], *, uid: int = 0, read_only: bool = False,
            tmp: Sequence[str] = (), mounts: Mapping[Path, str] = {},
            env: Mapping[str, str] = {}) -> List[str]:
    """The command that runs `argv` in `root` as `uid`, with empty folders at `tmp` and read-only
    `mounts` (here: there). Every step replaces the process, so its pid is the program's."""
    steps = [word for path in tmp for word in ("tmp", path)]
    steps += [word for here, there in mounts.items() for word in ("ro", str(here), there)]
    script = "set -e\n" + _ENTER
    if read_only:
        script += 'mount -o remount,bind,ro "$root"\n'
    script += f'exec chroot --userspec={uid}:{uid} "$root" "$@"'
    words = [f"{k}={v}" for k, v in {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                      "HOME": "/tmp", **env}.items()]
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "-", str(root),
            *steps, "--", "env", "-i", *words, *argv]


def run(root: Path, argv: Sequence[str], **options: object) -> str:
    """Runs it to its end; what it printed. A status that is not 0 fails the test."""
    done = subprocess.run(command(root, argv, **options),  # type: ignore[arg-type]
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, f"{list(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def wheels_of_dependencies() -> Path:
    """What the client needs from the package index, as files."""
    folder, pins = FOLDER / "wheels", {}  # type: Path, Dict[str, str]
    for line in (ROOT / "tests" / "requirements.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        pins[name] = version
    wanted = [f"{name}=={pins[name]}" for name in ("pyzmq", "msgpack", "numpy", "xxhash")]
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != str(wanted):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([PYTHON, "-m", "pip", "download", "-q", "--disable-pip-version-check",
                        "--no-deps", "--only-binary", ":all:", "-d", folder, *wanted], check=True)
        stamp.write_text(str(wanted))
    return folder
