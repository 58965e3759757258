"""The commands of docker/README.md, run as they stand. kubectl is a stand-in (fake_kubectl.py) for
what needs a cluster and the real one for the rest; stampede is the real program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import manifests
import pytest
import yaml
from cli import BIN, ROOT

pytestmark = pytest.mark.skipif(manifests.kubectl() is None,
                                reason="kubectl is not installed (make deps)")
HERE = Path(__file__).parent
README = (ROOT / "docker" / "README.md").read_text()
PATCH = ("kubectl apply -k docker/kubernetes/base && kubectl patch job stampede-worker "
         "--type=merge -p '{\"spec\": {\"parallelism\": %s}}'")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)


@pytest.fixture
def shell(tmp_path):
    """Runs a block in a folder that keeps what earlier blocks made, with the checkout's docker/."""
    folder = tmp_path
    programs = folder / "bin"
    programs.mkdir()
    (programs / "stampede").symlink_to(Path(BIN).resolve())
    for name in ("kubectl", "docker"):
        (programs / name).write_text(
            f'#!/bin/sh\nexec {sys.executable} {HERE}/fake_{name}.py "$@"\n')
        (programs / name).chmod(0o755)
    (folder / "work").mkdir()
    for name in ("docker", "tests", ".venv"):
        (folder / "work" / name).symlink_to(ROOT / name)
    env = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder),
           "CLUSTER": str(folder / "cluster"), "KUBECTL": str(manifests.kubectl())}
    env |= {k: v for k, v in os.environ.items() if k in ("LD_LIBRARY_PATH", "LANG")}

    def run(block):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", block], env=env,
                              cwd=folder / "work", capture_output=True, text=True, timeout=120)
    run.cluster = folder / "cluster"
    return run


needs_keygen = pytest.mark.skipif(
    subprocess.run([BIN, "keygen", "--help"], capture_output=True).returncode != 0,
    reason="this build has no keygen yet")


@needs_keygen
def test_the_readmes_third_use_runs(shell):
    section = re.search(r"^## A pool of Kubernetes jobs\n(.*?)^## ",
                        (ROOT / "README.md").read_text(), re.M | re.S).group(1)
    done = shell(re.search(r"^```\n(.*?)^```", section, re.M | re.S).group(1))
    assert done.returncode == 0 and "job/stampede-worker configured" in done.stdout, done.stderr


@needs_keygen
def test_every_command_runs_in_its_order(shell):
    assert len(BLOCKS) > 10
    for block in BLOCKS:
        done = shell(block)
        assert done.returncode == 0, block + done.stdout + done.stderr
    state = {p.stem: yaml.safe_load(p.read_text()) for p in shell.cluster.glob("*.yaml")}
    # What the steps were to lead to: the pool, its new keys, shards and their merge, alerts.
    assert {"job-stampede-worker", "job-stampede-score", "job-stampede-score-merge",
            "secret-stampede-worker-keys", "secret-stampede-trainer-keys",
            "configmap-stampede-allowed-keys", "prometheusrule-stampede"} <= set(state)
    secret = state["secret-stampede-worker-keys"]["data"]
    assert set(secret) == {"server.pub", "worker.key"}
    allowed = state["configmap-stampede-allowed-keys"]["data"]
    assert len(allowed["worker.pub"].split()) == 1


@pytest.mark.parametrize("block,says", [
    ("kubectl apply -k docker/kubernetes/overlays/gpu", "gpu"),
    ("kubectl frobnicate job stampede-worker", "unknown command"),
    ("kubectl get pod --selectors=a", "unknown flag"),
    (PATCH % '"many"', "many"), (PATCH % "16", "parallelism and completions are one number"),
    ("kubectl delete job stampede-workers", "not found"),
    ("docker build -f docker/Dockerfile --target gpu -t x .", "no target gpu"),
    ("docker build -f docker/Containerfile -t x .", "Containerfile"),
])
def test_a_command_that_would_fail_fails_here(shell, block, says):
    done = shell(block)
    assert done.returncode != 0 and says in done.stdout + done.stderr, done.stdout + done.stderr


def test_the_overlay_of_the_runbook_is_a_good_one(tmp_path):
    (text,) = re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)
    base = os.path.relpath(manifests.KUBERNETES / "overlays" / "cpu", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(text.replace("../cpu", base))
    done = subprocess.run([sys.executable, HERE / "check.py", tmp_path], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    job = next(t for t in manifests.render(str(tmp_path)) if t["kind"] == "Job")
    assert job["spec"]["completions"] == 16
    image = job["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example/team/stampede:0.1.0-cpu"


def test_links_inside_the_runbook_resolve():
    anchors = {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-")
               for t in re.findall(r"^#+ (.+)$", README, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        path, _, anchor = target.partition("#")
        assert (ROOT / "docker" / path).exists() if path else anchor in anchors, target
