"""Rules of what a pool stands on: the values of its flags, its volumes, its queue, alerts."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Iterator, List, Set

import roots
import yaml
from manifests import KUBERNETES, ROOT, Object, containers, get, pods, workers
from rulebook import name_of, number, quantity, rule, size

SIZE = (r"[1-9]\d*[KMGT]?", "a size such as 16G")
URL = (r"tcp://(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}|ipc:///.+", "tcp://HOST:PORT")
# Flags that settings fill: what their value must be, as the program has it (a test compares).
VALUES = {"--max-rows": (r"[1-9]\d{0,3}", "a number of rows"), "--kv-memory": SIZE,
          "--drain-timeout": (r"\d{1,8}", "a number of seconds"),
          "--trainer-deadline": (r"[1-9]\d{0,7}", "a number of seconds"),
          "--connect": URL, "--bind": URL}


@rule
def roles(objects):
    for pod, container in containers(objects):
        command = container.get("args", [""])[0]
        if pod.labels.get("app.kubernetes.io/component") == "worker" and command != "serve":
            yield f"{pod.where}: a worker runs stampede serve, not {command}."


@rule
def values(objects):
    for pod, container in workers(objects):
        names = [a.partition("=")[0] for a in container["args"][1:]]
        for text in [a for a in container["args"][1:] if not re.match(r"--[a-z-]+(=|$)", a)]:
            yield f"{pod.where}: the argument '{text}' is no --NAME=VALUE."
        for name in sorted({n for n in names if names.count(n) > 1}):
            yield f"{pod.where}: {name} is given twice."
        for name, value in pod.flags(container).items():
            pattern, expected = VALUES.get(name, (".*", ""))
            if "$(" not in value and not re.fullmatch(pattern, value):
                yield f"{pod.where}: {name} is '{value}'; expected {expected}."
        own = next((a for a in container["args"] if a.startswith("--name=")), "")
        if own != "--name=$(POD_NAME)":
            yield f"{pod.where}: --name must be each pod's own, $(POD_NAME)."


@rule
def lifetimes(objects):
    for pod, container in workers(objects):
        if pod.job and "activeDeadlineSeconds" in {**pod.job, **pod.spec}:
            yield f"{pod.where}: activeDeadlineSeconds would end it in the middle of a run."
        if pod.job and "backoffLimit" in pod.job and "backoffLimitPerIndex" in pod.job:
            yield f"{pod.where}: backoffLimit counts all indexes together; leave it out."
        if (pod.job or {}).get("ttlSecondsAfterFinished", 3600) < 3600:
            yield f"{pod.where}: ttlSecondsAfterFinished takes the logs of a run with it."
        if "preStop" in container.get("lifecycle", {}):
            yield (f"{pod.where}: a worker stops taking work by itself; a preStop hook takes its "
                   "time to drain.")


@rule
def memory(objects):
    for pod, container in workers(objects):
        flags = pod.flags(container)
        limit = quantity(get(container, "resources.limits.memory")) or 1e99
        if flags.get("--device") == "cpu" and (size(flags.get("--kv-memory", "2G")) or 0) >= limit:
            yield f"{pod.where}: --kv-memory is more than the memory limit."


@rule
def volumes(objects):
    for pod, container in workers(objects):
        claims = {v["name"] for v in pod.spec.get("volumes", []) if "persistentVolumeClaim" in v}
        for mount in container.get("volumeMounts", []):
            if mount["name"] in claims and not mount.get("readOnly"):
                yield f"{pod.where}: {mount['name']} must be mounted readOnly."
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            if "hostPath" in volume:
                yield (f"{pod.where}: the volume {volume['name']} is a path of the node; "
                       "take a claim.")


@rule
def merges(objects):
    for pod, container in containers(objects):
        arguments = pod.arguments(container)
        if "--merge" not in arguments:
            continue
        found = [re.fullmatch(r"(.*?)(\d+)(\.\w+)", a) for a in arguments if a[0] == "/"]
        shards = [int(f[2]) for f in found if f]
        if sorted(shards) != list(range(len(shards))):
            yield f"{pod.where}: --merge takes shards {shards}; expected each from 0 on, once."


@rule
def admissions(objects):
    for thing in objects:
        notes = thing["metadata"].get("annotations") or {}
        least = notes.get("kueue.x-k8s.io/job-min-parallelism")
        if thing["kind"] != "Job" or least is None:
            continue
        if not 1 <= (number(least) or 0) <= thing["spec"].get("parallelism", 1):
            yield f"{name_of(thing)}: job-min-parallelism is {least}; expected 1 to parallelism."
        if notes.get("kueue.x-k8s.io/job-completions-equal-parallelism") != "true":
            yield (f"{name_of(thing)}: without job-completions-equal-parallelism indexes that are "
                   "not admitted would never be done.")


def metrics() -> Set[str]:
    """What workers and trainers export, by the committed lists, and what the rules record."""
    found = set()
    for path in ("worker/http/metrics.txt", "python/trainer_metrics.txt"):
        for line in (ROOT / "tests" / path).read_text().splitlines():
            name, kind = line.split()[:2]
            found |= {name, *(f"{name}_{end}" for end in ("bucket", "sum", "count")
                              if kind == "histogram")}
    return found


def recorded() -> Set[str]:
    rules_ = yaml.safe_load((KUBERNETES / "monitoring" / "rules.yaml").read_text())
    return {r["record"] for g in rules_["spec"]["groups"] for r in g["rules"] if "record" in r}


def unknown_names(expression: str, known: Set[str]) -> List[str]:
    names = re.findall(r"\b(?:rollout_|stampede:|process_|vllm:)\w+", expression)
    return sorted({n for n in names if n not in known})


@rule
def queries(objects):
    known = metrics() | recorded()
    for thing in objects:
        if thing["kind"] == "ScaledObject":
            asked = [t["metadata"]["query"] for t in thing["spec"]["triggers"]]
            rules_ = [{"record": "a:b", "expr": expression} for expression in asked]
            yield from refused(thing, {"groups": [{"name": "a", "rules": rules_}]})
        elif thing["kind"] == "PrometheusRule":
            asked = [r["expr"] for g in thing["spec"]["groups"] for r in g["rules"]]
        else:
            continue
        for expression in asked:
            for name in unknown_names(expression, known):
                yield f"{name_of(thing)}: nobody exports or records {name}."


def anchors() -> Set[str]:
    titles = re.findall(r"^#+ (.+)$", (ROOT / "docker" / "README.md").read_text(), re.M)
    return {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


@rule
def alerts(objects):
    for thing in objects:
        if thing["kind"] != "PrometheusRule":
            continue
        for one in [r for g in thing["spec"]["groups"] for r in g["rules"] if "alert" in r]:
            notes = one.get("annotations", {})
            path, _, anchor = notes.get("runbook_url", "").partition("#")
            if path != "docker/README.md" or anchor not in anchors():
                yield f"{name_of(thing)}: {one['alert']} has no words in docker/README.md."
            if not notes.get("summary") or "severity" not in one.get("labels", {}):
                yield f"{name_of(thing)}: {one['alert']} needs a summary and a severity."
        yield from refused(thing, thing["spec"])


def refused(thing: Object, groups: Any) -> Iterator[str]:
    """What promtool says, where it is there."""
    promtool = roots.program("promtool")
    if not promtool:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.yaml"
        path.write_text(yaml.safe_dump(groups))
        done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    if done.returncode:
        why = re.sub(r".*rules\.yaml: ", "", done.stderr.strip().splitlines()[-1]).rstrip(".")
        yield f"{name_of(thing)}: promtool says: {why}."
