"""docker/kubernetes without a cluster: every folder renders, fits Kubernetes' schema to the last
field, and keeps the rules of rules.py; broken.yaml's are refused, each with its own sentence."""

from __future__ import annotations

import copy
import re
import subprocess
from functools import lru_cache
from pathlib import Path

import manifests
import pytest
import rules
import schema
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
    tripped = {rule.__name__ for rule in rules.RULES if list(rule(objects))}
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


def test_exit_statuses_are_those_of_the_readme():
    """rules.py's table, and README's: what is neither 0, 1 nor handled must count."""
    table = re.findall(r"^\| (\d+) \| ", (ROOT / "README.md").read_text(), re.M)
    known = {int(code) for code in table}
    handled = rules.POLICY["FailJob"] | rules.POLICY["Ignore"] | rules.COUNTED
    assert {2, 69, 70, 74, 75, 78} <= known
    assert known - {0, 1} <= handled
