"""The Dockerfile's stages, on a root of mmdebstrap in the base image's place, and the worker of
what comes out: as 65532, on a read-only root, with a trainer outside.

By buildah where it is installed, else by stages.py, which runs them by chroot. It takes minutes, so
only `make check-image` runs it (IMAGE=cpu: without the CUDA image, whose kernels take some more).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Sequence

import pytest
import roots
import stages
from cli import ROOT, TINY

import stampede

pytestmark = pytest.mark.skipif(os.environ.get("STAMPEDE_IMAGE") not in ("cpu", "all"),
                                reason="make check-image runs it: it builds everything anew")
STORE = roots.FOLDER / "images"
BASE = "localhost/debian:bookworm-slim"  # in the place of Docker's debian:bookworm-slim
USER = 65532


def buildah(*words: object, timeout: int = 1500) -> str:
    done = subprocess.run(["buildah", "--root", STORE / "root", "--runroot", STORE / "run",
                           "--storage-driver", "overlay", *map(str, words)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=timeout)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout.strip()


def pip_paths() -> List[str]:
    """What pip is told on this machine (mirrors, certificates) holds in the build stage too."""
    listed = subprocess.run([roots.PYTHON, "-m", "pip", "config", "list"], capture_output=True,
                            text=True).stdout
    words = [w.strip("'\"").removeprefix("file://") for w in listed.replace("=", " ").split()]
    found = [w for w in words if w.startswith("/") and Path(w).exists()]
    return sorted({*found, *(p for p in ("/etc/pip.conf", "/etc/xdg/pip") if Path(p).exists())})


@pytest.fixture(scope="module")
def engine():
    if roots.why_not():
        pytest.skip(f"{roots.why_not()}.")
    if roots.release() != "bookworm":
        pytest.skip("the image is Debian 12's")
    made = Buildah() if shutil.which("buildah") else Chroot()
    yield made
    made.close()


def commit() -> str:
    return subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, text=True,
                          capture_output=True).stdout.strip() or "unknown"


class Chroot:
    """Without a container engine."""

    def __init__(self) -> None:
        folder = roots.FOLDER / "stages"
        folder.mkdir(parents=True, exist_ok=True)
        read = (ROOT / "docker" / "Dockerfile.dockerignore").read_text
        self._builder = stages.Builder(
            folder, roots.minimal("plain"), ROOT, (ROOT / "docker" / "Dockerfile").read_text(),
            [line for line in read().splitlines() if line], COMMIT=commit(), CUDA_ARCHS="90a")

    def build(self, target: str, paths: Sequence[str] = (), **arguments: str) -> Path:
        self._builder.paths = [Path(p) for p in paths]
        return self._builder.build(target)

    def config(self, target: str) -> Dict[str, object]:
        known = self._builder.configs[target]
        env = json.loads(known.get("ENV", "{}"))
        return {"User": known["USER"], "Entrypoint": json.loads(known["ENTRYPOINT"]),
                "Env": [f"{k}={v}" for k, v in env.items()]}

    def close(self) -> None:
        pass


class Buildah:
    def __init__(self) -> None:
        root = roots.minimal("plain")
        if not buildah("images", "-q", "--filter", f"reference={BASE}"):
            container = buildah("from", "scratch")
            buildah("copy", "-q", container, f"{root}/", "/")
            buildah("commit", "-q", "--rm", container, BASE)

    def build(self, target: str, paths: Sequence[str] = (), **arguments: str) -> Path:
        """`paths` of this machine are seen by the stages that are built now."""
        volumes = [word for path in paths for word in ("--volume", f"{path}:{path}:ro")]
        given = [f"--build-arg={k}={v}" for k, v in arguments.items()]
        buildah("bud", "--isolation", "chroot", "--layers", "--force-rm", "--pull-never",
                "--ignorefile", ROOT / "docker" / "Dockerfile.dockerignore", "--target", target,
                f"--build-arg=COMMIT={commit()}", f"--build-arg=BASE={BASE}", *given, *volumes,
                "-t", f"stampede:{target}", "-f", ROOT / "docker" / "Dockerfile", ROOT)
        return Path(buildah("mount", buildah("from", "--pull-never", f"stampede:{target}")))

    def config(self, target: str) -> Dict[str, object]:
        told = buildah("inspect", "--type", "image", f"stampede:{target}")
        found: Dict[str, object] = json.loads(told)["OCIv1"]["config"]
        return found

    def close(self) -> None:
        buildah("rm", "--all")


@pytest.fixture(scope="module")
def cpu(engine):
    return engine.build("cpu")


def sbom(root: Path) -> Dict[str, List[dict]]:
    document = json.loads((root / "usr/share/stampede/sbom.cdx.json").read_text())
    assert document["bomFormat"] == "CycloneDX" and document["specVersion"] == "1.5"
    kinds: Dict[str, List[dict]] = {"file": [], "library": []}
    for component in document["components"]:
        kinds[component["type"]].append(component)
    return kinds


def test_the_configuration_is_that_of_a_worker(engine, cpu):
    config = engine.config("cpu")
    assert config["User"] == f"{USER}:{USER}" and config["Entrypoint"] == ["stampede"]
    said = roots.run(cpu, ["stampede", "--version"], uid=USER, read_only=True)
    assert said.startswith("stampede ")


def test_the_bill_lists_all_that_is_inside(cpu):
    listed = {c["name"]: c["version"] for c in sbom(cpu)["library"]}
    status = roots.run(cpu, ["dpkg-query", "-W", "-f", "${Package} ${Version}\n"], uid=USER)
    assert listed == dict(line.split() for line in status.splitlines())
    assert {"libzmq5", "libsodium23", "libflint17", "libpcre2-8-0"} <= set(listed)
    assert not {n for n in listed if n.endswith("-dev") or n in ("gcc", "gcc-12", "make")}
    files = {c["name"] for c in sbom(cpu)["file"]}
    assert {"/usr/local/bin/stampede", "/usr/local/lib/libstampede_verify.so",
            "/usr/local/lib/libstampede_weights.so"} <= files


def test_nothing_in_it_can_be_written(cpu):
    script = "id -u; for d in / /tmp /usr /var/tmp; do ! touch $d/x 2>/dev/null || echo $d; done"
    assert roots.run(cpu, ["sh", "-c", script], uid=USER, read_only=True) == f"{USER}\n"


def test_the_worker_serves_a_rollout(cpu, tmp_path):
    shutil.copytree(TINY, tmp_path / "model")
    tmp_path.chmod(0o755)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        argv = ["stampede", "serve", "--model=/model", "--connect", trainer.url, "--threads=1"]
        worker = subprocess.Popen(roots.command(cpu, argv, uid=USER, read_only=True,
                                                mounts={tmp_path / "model": "/model"}))
        try:
            prompt = stampede.Prompt(messages=[{"role": "user", "content": "What is 2 + 2?"}],
                                     reward=[stampede.math("4")])
            groups = list(trainer.generate([prompt] * 4, n=4, deadline_s=120,
                                           sampling=stampede.Sampling(max_new_tokens=16)))
            assert len(groups) == 4 and all(g.status[0] in ("ok", "no_answer") for g in groups)
            assert worker.poll() is None
            status = Path(f"/proc/{worker.pid}/status").read_text()
            assert f"Uid:\t{USER}\t{USER}" in status
            assert "/stampede\n" in os.readlink(f"/proc/{worker.pid}/exe") + "\n"
        finally:
            worker.send_signal(signal.SIGTERM)
        start = time.monotonic()
        assert worker.wait(30) == 75 and time.monotonic() - start < 10


@pytest.mark.skipif(os.environ.get("STAMPEDE_IMAGE") == "cpu", reason="IMAGE=cpu")
def test_the_cuda_image_has_the_device_besides(engine, cpu):
    engine.build("packages-cuda")  # first, since certificates that are mounted cannot be installed
    root = engine.build("cuda", pip_paths(), CUDA_ARCHS="90a")
    assert {f"/usr/local/lib/{x}" for x in ("stampede_cuda.so", "libnccl.so.2",
                                            "libcublasLt.so.13")} <= {
        c["name"] for c in sbom(root)["file"]}
    config = engine.config("cuda")
    assert config["User"] == f"{USER}:{USER}"
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in config["Env"]
    done = subprocess.run(roots.command(root, ["stampede", "inspect", "--device", "cuda"], uid=USER,
                                        read_only=True), capture_output=True, text=True)
    # It opens; without a driver it says so.
    assert done.returncode != 0 and "driver" in done.stderr, done.stderr
    assert "cannot be opened" not in done.stderr
