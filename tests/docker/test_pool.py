"""The rendered pool on a fake kubelet and Job controller (kubelet.py), with the real worker and a
real trainer: what README calls the third use, as far as a machine without a cluster allows."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import kubelet
import manifests
import pytest
import roots
from cli import BIN, TINY

import stampede

HELP = subprocess.run([BIN, "serve", "--help"], capture_output=True, text=True).stdout
pytestmark = [
    pytest.mark.skipif(manifests.kubectl() is None, reason="kubectl is not installed (make deps)"),
    pytest.mark.skipif(bool(roots.why_not_enter()), reason=f"{roots.why_not_enter()}"),
    pytest.mark.skipif("--http" not in HELP or "--server-key" not in HELP,
                       reason="this build's serve has no --http or no --server-key yet"),
]
PATIENCE_S = 60
# What the tests' machine is too small for, and what would make them slow.
SMALL = {"MAX_ROWS": "8", "KV_MEMORY": "64M"}


def eventually(condition, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


class Rig:
    """A trainer and a pool, with keys made as the runbook says."""

    def __init__(self, folder, overlay, n, settings, hurry):
        folder.chmod(0o755)
        self.keys = folder / "keys"
        for name in ("trainer", "worker"):
            subprocess.run([BIN, "keygen", self.keys, "--name", name], check=True,
                           capture_output=True)
        allowed, secret, self.model = folder / "allowed", folder / "secret", folder / "model"
        allowed.mkdir()
        secret.mkdir()
        shutil.copy(self.keys / "worker.pub", allowed / "worker.pub")
        shutil.copy(self.keys / "trainer.pub", secret / "server.pub")
        shutil.copy(self.keys / "worker.key", secret / "worker.key")
        shutil.copytree(TINY, self.model)
        self.trainer = stampede.Trainer("tcp://127.0.0.1:0", keys=stampede.Keys(
            self.keys / "trainer.key", allow_keys=allowed))
        objects = copy.deepcopy(manifests.render(overlay))
        for thing in objects:
            if thing["kind"] == "ConfigMap":
                thing["data"] |= {**SMALL, **settings}
        job = next(t for t in objects if t["kind"] == "Job")
        job["spec"] |= {"completions": n, "parallelism": n}
        self.cluster = kubelet.Cluster(job, kubelet.Kubelet(
            folder / "pods", Path(BIN).resolve(), objects,
            {"stampede-model": self.model, "stampede-worker-keys": secret},
            {"stampede-trainer:5555": self.trainer.url.removeprefix("tcp://")}, hurry))
        self.groups, self.thread = [], None

    def ask(self, n_groups=16, n=4, tokens=96):
        """Groups on their way, in a thread; `finish` waits for all of them."""
        prompts = [stampede.Prompt(prompt_ids=[1, 5, 7 + i], id=i, reward=[stampede.exact("7")])
                   for i in range(n_groups)]
        sampling = stampede.Sampling(max_new_tokens=tokens, ignore_eos=True)

        def collect():
            for group in self.trainer.generate(prompts, n=n, sampling=sampling):
                self.groups.append(group)
        self.thread = threading.Thread(target=collect, daemon=True)
        self.thread.start()

    def finish(self, n_groups=16):
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), [p.log for p in self.cluster.pods]
        assert sorted(g.index for g in self.groups) == list(range(n_groups))
        assert all(reason == "length" for g in self.groups for reason in g.finish_reason)
        assert all(status == "ok" for g in self.groups for status in g.status)

    def ready(self, n):
        eventually(lambda: sum(p.ready for p in self.cluster.active()) == n)

    def close(self):
        self.cluster.close()
        self.trainer.close()


@contextmanager
def pool(folder, n=2, overlay="overlays/cpu", hurry=10, **settings):
    rig = Rig(folder, overlay, n, settings, hurry)
    try:
        yield rig
    finally:
        rig.close()


def test_a_run_from_its_first_pod_to_complete(tmp_path):
    with pool(tmp_path, 3) as p:
        p.ready(3)
        pod = p.cluster.pod(0)
        status = Path(f"/proc/{pod.process.pid}/status").read_text()
        assert "Uid:\t65532\t65532" in status and "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status and "CapBnd:\t0000000000000000" in status
        environment = Path(f"/proc/{pod.process.pid}/environ").read_bytes()
        assert b"POD_IP=127.0." in environment and b"PATH=" not in environment
        assert {w["uid"] for w in p.trainer.workers()} == {q.name for q in p.cluster.active()}
        p.ask()
        p.finish()
        p.trainer.close(run_complete=True)
        eventually(lambda: p.cluster.outcome)
        eventually(lambda: not p.cluster.active())
        assert p.cluster.outcome == "Complete" and p.cluster.succeeded == {0, 1, 2}
        assert p.cluster.failures == {} and len(p.cluster.pods) == 3


@pytest.mark.parametrize("how", ["evicted", "node lost"])
def test_a_pod_that_is_taken_costs_its_index_nothing(tmp_path, how):
    with pool(tmp_path, 2, DRAIN_TIMEOUT="1") as p:
        p.ready(2)
        p.ask()
        pod = p.cluster.pod(1)
        eventually(lambda: p.groups)
        start = time.monotonic()
        if how == "evicted":
            p.cluster.kubelet.delete(pod, disrupted=True)
        else:
            p.cluster.kubelet.lose(pod)
        eventually(lambda: pod.over)
        assert pod.status == (75 if how == "evicted" else 137)
        assert time.monotonic() - start < 10  # useful within ten seconds, whatever the grace
        p.finish()
        p.ready(2)
        assert p.cluster.failures == {} and p.cluster.ignored == 1
        assert [q.index for q in p.cluster.pods] == [0, 1, 1]


def test_a_crash_counts_until_its_index_has_failed(tmp_path):
    with pool(tmp_path, 2) as p:
        for i in range(4):  # backoffLimitPerIndex 3
            p.ready(2)
            assert p.cluster.failures.get(1, 0) == i
            p.cluster.pod(1).process.kill()
            eventually(lambda i=i: p.cluster.failures.get(1, 0) == i + 1)
        assert p.cluster.failed == {1} and p.cluster.outcome is None
        p.ask(4)
        p.finish(4)  # index 0 serves on
        p.trainer.close(run_complete=True)
        eventually(lambda: p.cluster.outcome)
        assert p.cluster.outcome == "Failed" and p.cluster.succeeded == {0}
        assert p.cluster.failures == {1: 4}


def test_a_bad_checkpoint_fails_the_job_at_once(tmp_path):
    with pool(tmp_path, 2) as p:
        p.ready(2)
        (p.model / "config.json").write_text("{}")
        p.cluster.pod(1).process.kill()
        eventually(lambda: p.cluster.outcome)
        assert p.cluster.outcome == "Failed" and p.cluster.failures == {1: 1}
        eventually(lambda: not p.cluster.active())
        assert [q.status for q in p.cluster.pods] == [75, 137, 78]


def test_without_a_trainer_each_index_has_its_budget(tmp_path):
    with pool(tmp_path, 1, TRAINER_DEADLINE="1") as p:
        p.trainer.close()
        eventually(lambda: p.cluster.outcome)
        assert [q.status for q in p.cluster.pods] == [69] * 4
        assert p.cluster.outcome == "Failed" and p.cluster.failures == {0: 4}


def test_suspended_and_resumed(tmp_path):
    with pool(tmp_path, 2, DRAIN_TIMEOUT="1") as p:
        p.ready(2)
        p.ask()
        eventually(lambda: p.groups)
        p.cluster.suspend(True)
        eventually(lambda: not p.cluster.active())
        assert [q.status for q in p.cluster.pods] == [75, 75]
        p.cluster.suspend(False)
        p.finish()
        p.ready(2)  # which the groups need not have waited for
        assert p.cluster.failures == {} and len(p.cluster.pods) == 4


def test_grown_and_shrunk_in_mid_run(tmp_path):
    with pool(tmp_path, 2, DRAIN_TIMEOUT="1") as p:
        p.ready(2)
        p.ask(24)
        p.cluster.scale(4)
        p.ready(4)
        p.cluster.scale(1)
        eventually(lambda: len(p.cluster.active()) == 1)
        assert [q.status for q in p.cluster.pods[1:]] == [75] * 3
        p.finish(24)
        assert p.cluster.failures == {} and p.cluster.failed == set()
        p.trainer.close(run_complete=True)
        eventually(lambda: p.cluster.outcome)
        assert p.cluster.outcome == "Complete"


def test_a_worker_that_stands_still_is_replaced(tmp_path):
    with pool(tmp_path, 1) as p:
        p.ready(1)
        pod = p.cluster.pod(0)
        os.kill(pod.process.pid, signal.SIGSTOP)
        eventually(lambda: pod.over)
        assert pod.status == 137 and p.cluster.failures == {0: 1}
        p.ready(1)


def test_a_trainer_that_is_away_kills_nobody(tmp_path):
    with pool(tmp_path, 2) as p:
        p.ready(2)
        p.trainer.close()
        eventually(lambda: not any(q.ready for q in p.cluster.active()))
        time.sleep(5)  # five periods and more of a liveness probe that gives up after three
        assert len(p.cluster.active()) == 2 and len(p.cluster.pods) == 2


def test_the_first_success_ends_the_pool(tmp_path):
    overlay = manifests.render("overlays/success-policy")
    policy = next(t for t in overlay if t["kind"] == "Job")["spec"]["successPolicy"]
    with pool(tmp_path, 2) as p:
        p.cluster.spec["successPolicy"] = policy
        p.ready(2)
        with p.cluster.lock:
            p.cluster.held.add(1)
        p.cluster.kubelet.delete(p.cluster.pod(1), disrupted=True)
        eventually(lambda: len(p.cluster.active()) == 1)
        p.trainer.close(run_complete=True)
        eventually(lambda: p.cluster.outcome)
        assert p.cluster.outcome == "Complete" and p.cluster.succeeded == {0}


def make_key(folder):
    subprocess.run([BIN, "keygen", folder, "--name", "worker"], check=True, capture_output=True)
    return folder / "worker.key", (folder / "worker.pub").read_text()


def test_a_pool_with_a_key_that_is_not_allowed_fails(tmp_path):
    """Not at once: the key may be on its way into the trainer's folder."""
    with pool(tmp_path, 1, TRAINER_DEADLINE="2") as p:
        p.ready(1)
        key, _ = make_key(tmp_path / "other")
        shutil.copy(key, tmp_path / "secret" / "worker.key")
        p.cluster.pod(0).process.kill()
        eventually(lambda: p.cluster.outcome)
        assert p.cluster.outcome == "Failed" and [q.status for q in p.cluster.pods] == [137, 78]
        assert "does not allow this worker's key" in Path(p.cluster.pods[1].log).read_text()


def test_the_pools_key_is_changed_in_mid_run(tmp_path):
    """docker/README.md, A new key for the pool."""
    with pool(tmp_path, 2, DRAIN_TIMEOUT="1") as p:
        p.ready(2)
        p.ask()
        eventually(lambda: p.groups)
        key, public = make_key(tmp_path / "new")
        allowed = tmp_path / "allowed" / "worker.pub"
        allowed.write_text(public + allowed.read_text())
        time.sleep(2.5)  # the trainer reads its folder each two seconds
        shutil.copy(key, tmp_path / "secret" / "worker.key")
        for pod in p.cluster.active():
            p.cluster.kubelet.delete(pod)
        eventually(lambda: len(p.cluster.pods) == 4)
        p.ready(2)
        allowed.write_text(public)
        p.finish()
        time.sleep(2.5)
        p.groups.clear()
        p.ask(4)
        p.finish(4)
        assert p.cluster.failures == {} and [q.status for q in p.cluster.pods[:2]] == [75, 75]


@contextmanager
def jobs(folder, overlay, data):
    """The Job of a render that needs nothing but its data."""
    objects = copy.deepcopy(manifests.render(overlay))
    job = next(t for t in objects if t["kind"] == "Job")
    cluster = kubelet.Cluster(job, kubelet.Kubelet(folder, Path(BIN).resolve(), objects,
                                                   {"stampede-data": data}, {}))
    try:
        yield cluster
    finally:
        cluster.close()


def test_scoring_by_shard_and_its_merge(tmp_path):
    """Eight shards and their merge are the rows of one run; one pod is evicted on the way."""
    tmp_path.chmod(0o755)
    data, lines = tmp_path / "data", []
    data.mkdir()
    for i in range(400):
        lines.append(json.dumps({"id": i, "completion": f"So it is \\boxed{{{i % 7}}}",
                                 "reward": [{"verifier": "math", "gold": str(i % 5)}]}))
    (data / "completions.jsonl").write_text("\n".join(lines) + "\n")
    os.chown(data, 65532, 65532)
    with jobs(tmp_path / "score", "overlays/scoring", data) as c:
        eventually(lambda: c.pods)
        c.kubelet.delete(c.pods[0], disrupted=True)
        eventually(lambda: c.outcome)
        assert c.outcome == "Complete" and c.failures == {}, [Path(p.log).read_text()
                                                              for p in c.pods]
    with jobs(tmp_path / "merge", "overlays/scoring-merge", data) as c:
        eventually(lambda: c.outcome)
        assert c.outcome == "Complete", Path(c.pods[0].log).read_text()
    alone = tmp_path / "alone.jsonl"
    subprocess.run([BIN, "score", data / "completions.jsonl", "--output", alone], check=True,
                   capture_output=True)
    assert (data / "scored.jsonl").read_bytes() == alone.read_bytes()


def test_a_bad_record_fails_its_shard_alone_and_at_once(tmp_path):
    tmp_path.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    good = json.dumps({"completion": "7", "reward": [{"verifier": "exact", "gold": "7"}]})
    (data / "completions.jsonl").write_text("\n".join([good] * 10 + ["{}"] + [good] * 5) + "\n")
    os.chown(data, 65532, 65532)
    with jobs(tmp_path / "score", "overlays/scoring", data) as c:
        eventually(lambda: c.outcome)
        assert c.outcome == "Failed" and c.failed == {10 % 8} and len(c.pods) == 8
        assert c.succeeded == set(range(8)) - {2} and c.failures == {}
