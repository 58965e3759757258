"""docker/kubernetes without a cluster: every folder renders, fits Kubernetes' schema to the last
field, and keeps the rules of rules.py; broken.yaml's are refused, each with its own sentence."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import manifests
import pytest
import roots
import rulebook
import rules
import schema
import surroundings
import yaml
from cli import BIN, ROOT

pytestmark = pytest.mark.skipif(manifests.kubectl() is None,
                                reason="kubectl is not installed (make deps)")
EVERY = [*manifests.OVERLAYS, "monitoring"]
BROKEN = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text())


@pytest.mark.parametrize("name", EVERY)
def test_it_renders_and_is_accepted(name):
    objects = manifests.render(name)
    assert refusals(objects) == []


def refusals(objects):
    """Rules count on what the schema holds."""
    return schema.check(objects) or rules.check(objects)


def change(objects, at, value, remove):
    """Edits one object: KIND, or KIND/NAME."""
    which, pointer = at.split(" ", 1)
    kind, _, name = which.partition("/")
    target = next(t for t in objects if t["kind"] == kind and name in ("", t["metadata"]["name"]))
    parts = [p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:]]
    for part in parts[:-1]:
        target = target[int(part)] if isinstance(target, list) else target[part]
    last = parts[-1]
    if isinstance(target, list) and last == "-":
        target.append(value)
    else:
        key = int(last) if isinstance(target, list) else last
        if remove:
            del target[key]
        else:
            target[key] = value


@lru_cache(maxsize=None)
def judge(i):
    """What is said of BROKEN[i], and the rules that say it."""
    case = BROKEN[i]
    objects = copy.deepcopy(manifests.render(case["of"]))
    change(objects, case["at"], case.get("set"), "set" not in case)
    said = schema.check(objects)
    if said:
        return said, set()
    said = rules.check(objects)
    tripped = {rule.__name__ for rule in rules.RULES if rulebook.ask(rule, objects)}
    return said, tripped


@pytest.mark.parametrize("i", range(len(BROKEN)), ids=lambda i: BROKEN[i]["says"])
def test_a_broken_one_is_refused(i):
    said, _ = judge(i)
    assert any(BROKEN[i]["says"] in sentence for sentence in said), said
    assert all(re.match(r"[A-Z].*\.$", sentence, re.S) for sentence in said), said


def test_every_rule_refuses_something():
    """A rule that no broken manifest trips would be one that cannot fail."""
    silent = {rule.__name__ for rule in rules.RULES}
    for i in range(len(BROKEN)):
        silent -= judge(i)[1]
    assert silent == set()


@pytest.mark.skipif(not roots.program("promtool"), reason="prometheus is not there (make deps)")
def test_an_alert_that_promtool_refuses_is_refused():
    objects = copy.deepcopy(manifests.render("monitoring"))
    change(objects, "PrometheusRule /spec/groups/1/rules/0/expr", "sum(rollout_leases", False)
    said = refusals(objects)
    assert len(said) == 1 and said[0].startswith("PrometheusRule stampede: promtool says: "), said
    assert "unclosed left parenthesis" in said[0]


def test_the_merge_takes_every_shard():
    merge, shards = pod_of("overlays/scoring-merge"), pod_of("overlays/scoring")
    taken = [a for a in merge.spec["containers"][0]["args"] if a.startswith("/data/scored-")]
    assert len(taken) == shards.completions


def test_keys_are_never_rendered():
    template = yaml.safe_load((manifests.KUBERNETES / "base" / "secret.template.yaml").read_text())
    assert any("never rendered" in s for s in rules.check([*manifests.render("base"), template]))
    assert set(template["stringData"]) == {"server.pub", "worker.key"}


def pod_of(name, kind="Job", part=None):
    for pod in manifests.pods(manifests.render(name)):
        if pod.where.startswith(kind) and (part is None or pod.where.endswith(part)):
            return pod
    raise AssertionError(f"{name} has no {kind}")


@pytest.mark.parametrize("name,kind,part,other", [
    ("overlays/deployment-keda", "Deployment", None, {"restartPolicy": "Always"}),
    ("overlays/jobset", "JobSet", "worker", {}),
])
def test_the_pool_is_the_same_in_every_form(name, kind, part, other):
    """What kustomize cannot share is written twice, and must not drift apart."""
    base, pod = pod_of("base"), pod_of(name, kind, part)
    assert pod.spec == base.spec | other and pod.labels == base.labels
    if part:
        assert pod.job | {"template": None} == base.job | {"template": None}


def test_no_folder_lacks_a_test_or_a_word():
    readme = (ROOT / "docker" / "README.md").read_text()
    for name in EVERY:
        assert f"`{name.removeprefix('overlays/')}`" in readme, name


def test_every_flag_is_one_that_the_program_has():
    for name in manifests.OVERLAYS:
        for pod, container in manifests.containers(manifests.render(name)):
            if container["image"].startswith("trainer"):
                continue
            command = container["args"][0]
            said = subprocess.run([BIN, command, "--help"], capture_output=True, text=True).stdout
            known = set(re.findall(r"--[a-z-]+", said))
            for ours in ("--http", "--server-key"):
                if command == "serve" and ours not in known:
                    pytest.skip(f"this build's serve has no {ours} yet")
            assert list(rules.serve_flags(pod, container, known)) == []
    broken = copy.deepcopy(manifests.render("base"))
    change(broken, "Job /spec/template/spec/containers/0/args/3", "--max-row=1", False)
    pod, container = next(manifests.workers(broken))
    assert list(rules.serve_flags(pod, container, known)) == [
        "Job stampede-worker: stampede serve has no flag --max-row."]


def check(where, **options):
    done = subprocess.run([sys.executable, Path(__file__).parent / "check.py", where],
                          capture_output=True, text=True, **options)
    return done.returncode, done.stdout + done.stderr


def test_the_check_of_an_own_overlay(tmp_path):
    base = os.path.relpath(manifests.KUBERNETES / "overlays" / "cpu", tmp_path)
    own = {"kind": "Kustomization", "apiVersion": "kustomize.config.k8s.io/v1beta1",
           "resources": [base], "namespace": "rl"}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    status, said = check(tmp_path)
    assert status == 0 and "nothing to say against them." in said, said
    own["patches"] = [{"target": {"kind": "ConfigMap"}, "patch": json.dumps(
        [{"op": "replace", "path": "/data/MAX_ROWS", "value": "many"}])}]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    assert check(tmp_path) == (1, "Job stampede-worker: --max-rows is 'many'; expected a number of "
                                  "rows.\n")
    assert check("-", input=manifests.render_text("base"))[0] == 0
    (tmp_path / "one.yaml").write_text("kind: Job\n")
    assert check(tmp_path / "one.yaml") == (
        1, "Document 1: expected an object with apiVersion, kind and metadata.name.\n")
    for where, text in (("-", ""), ("-", "a: ["), ("missing.yaml", ""), (tmp_path / "..", "")):
        status, said = check(where, input=text)
        assert status == 2 and said and "Traceback" not in said, said


@pytest.mark.parametrize("flag,good,bad", [
    ("--max-rows", "16", "0"), ("--max-rows", "4096", "16.5"), ("--kv-memory", "512M", "512m"),
    ("--kv-memory", "17179869184", "16Gi"), ("--drain-timeout", "0", "8s"),
    ("--trainer-deadline", "900", "0"), ("--connect", "tcp://a-b.c:5555", "http://a:5555"),
    ("--connect", "tcp://[::1]:5555", "tcp://a"), ("--connect", "ipc:///run/x", "tcp://a:x"),
])
def test_the_values_of_flags_are_the_programs(flag, good, bad):
    """Usage is refused before anything is loaded; a model that is not there is another status."""
    for value, status in ((good, 78), (bad, 2)):
        argv = [BIN, "serve", "--model=/nowhere", "--insecure", f"{flag}={value}"]
        argv += [] if flag == "--connect" else ["--connect=tcp://127.0.0.1:1"]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == status, (value, done.stderr)
        assert bool(re.fullmatch(surroundings.VALUES[flag][0], value)) == (status == 78)


def test_exit_statuses_are_those_of_the_readme():
    """rules.py's table, and README's: what is neither 0, 1 nor handled must count."""
    readme = (ROOT / "README.md").read_text()
    table = re.search(r"^\| exit status \|.*\n\|[-|]+\n((?:\|.*\n)+)", readme, re.M).group(1)
    known = {int(code) for code in re.findall(r"^\| (\d+) \| ", table, re.M)}
    handled = rules.POLICY["FailJob"] | rules.POLICY["Ignore"] | rules.COUNTED
    assert {2, 69, 70, 74, 75, 78} <= known
    assert known - {0, 1} <= handled
