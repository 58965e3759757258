"""A Dockerfile's stages without a container engine: each a root file system, each RUN by chroot in
a mount namespace. It knows the words that docker/Dockerfile uses, and refuses others."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import roots

KEPT = ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Stage(NamedTuple):
    base: str
    steps: List[Tuple[str, str]]  # word, what is behind it


def parse(text: str) -> Tuple[Dict[str, str], Dict[str, Stage]]:
    """Arguments in front of the first stage with their defaults, and the stages by name."""
    arguments: Dict[str, str] = {}
    stages: Dict[str, Stage] = {}
    current: List[Tuple[str, str]] = []
    whole = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.M))
    for line in filter(None, map(str.strip, whole.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest.strip()).groups()
            current = []
            stages[name] = Stage(base, current)
        elif word == "ARG" and not stages:
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            current.append((word, rest.strip()))
    return arguments, stages


class Builder:
    """`base` is the root that stands for the base image; `ignored` are lines of .dockerignore."""

    def __init__(self, folder: Path, base: Path, context: Path, dockerfile: str,
                 ignored: Sequence[str], **arguments: str) -> None:
        self.folder, self.base, self.context = folder, base, context
        self._arguments, self.stages = parse(dockerfile)
        self._ignored, self._given = ignored, arguments
        self.configs: Dict[str, Dict[str, str]] = {}  # USER, ENTRYPOINT, ENV of a stage
        self.paths: Sequence[Path] = ()  # of this machine, which each RUN sees

    def build(self, name: str) -> Path:
        if name in self.configs:
            return self.folder / name
        stage, root = self.stages[name], self.folder / name
        below = re.sub(r"\$\{(\w+)\}", lambda m: self._arguments[m[1]], stage.base)
        inner = below in self.stages
        source = self.build(below) if inner else self.base
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)
        subprocess.run(["cp", "-a", "--reflink=auto", source, root], check=True)
        config = dict(self.configs[below]) if inner else {}
        variables: Dict[str, str] = {}  # ARG and ENV
        for word, rest in stage.steps:
            getattr(self, f"_{word.lower()}")(root, config, variables, rest)
        self.configs[name] = config
        return root

    def _arg(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        name, _, value = rest.partition("=")
        variables[name] = self._given.get(name, value.strip('"'))

    def _env(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        pairs = dict(word.split("=", 1) for word in shlex.split(rest))
        variables.update(pairs)
        config["ENV"] = json.dumps(json.loads(config.get("ENV", "{}")) | pairs)

    def _label(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        pass

    def _workdir(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        config["WORKDIR"] = rest
        (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _user(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        config["USER"] = rest

    def _entrypoint(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        config["ENTRYPOINT"] = rest

    def _cmd(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        config["CMD"] = rest

    def _copy(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        words = rest.split()
        origin = self.context
        if words[0].startswith("--from="):
            origin = self.build(words.pop(0).partition("=")[2])
        *sources, target = words
        place = root / target.lstrip("/")
        into = target.endswith("/") or place.is_dir()
        for source in sources:
            path = origin / source.lstrip("/")
            (place if into else place.parent).mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                hide = self._hidden if origin == self.context else None
                shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, ignore=hide)
            else:
                shutil.copy2(path, place / path.name if into else place)

    def _hidden(self, folder: str, names: List[str]) -> List[str]:
        """What .dockerignore keeps outside: its last line that matches decides. A folder with an
        exception in it is entered, and its files are judged one by one."""
        found = []
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), self.context)
            inner = any(line.startswith(f"!{path}/") for line in self._ignored)
            if self._is_ignored(path) and not inner:
                found.append(name)
        return found

    def _is_ignored(self, path: str) -> bool:
        ignored = False
        for line in self._ignored:
            pattern = line.lstrip("!")
            parts = path.split("/")
            tops = ["/".join(parts[:i + 1]) for i in range(len(parts))]
            if pattern.startswith("**/"):
                tops, pattern = parts, pattern[3:]
            if any(fnmatch.fnmatchcase(t, pattern) and t.count("/") == pattern.count("/")
                   for t in tops):
                ignored = not line.startswith("!")
        return ignored

    def _run(self, root: Path, config: dict, variables: dict, rest: str) -> None:
        assert config.get("USER", "0:0") == "0:0", f"RUN as {config['USER']}: {rest}"
        resolv = root / "etc" / "resolv.conf"
        resolv.unlink(missing_ok=True)
        shutil.copyfile("/etc/resolv.conf", resolv)
        env = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", **variables,
               **{k: v for k, v in os.environ.items() if k in KEPT}}
        for path in filter(Path.is_file, self.paths):
            (root / str(path)[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / str(path)[1:])
        mounts = {path: str(path) for path in self.paths if path.is_dir()}
        script = f"cd {shlex.quote(config.get('WORKDIR', '/'))} && {rest}"
        done = subprocess.run(
            roots.command(root, ["sh", "-c", script], env=env, mounts=mounts),
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1500)
        assert done.returncode == 0, f"RUN {rest}: {(done.stdout + done.stderr)[-5000:]}"
