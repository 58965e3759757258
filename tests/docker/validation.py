"""Rules of Kubernetes' own validation that are not in its schema."""

from __future__ import annotations

import re

from manifests import containers, get, pods
from rulebook import name_of, number, quantity, rule, selects


@rule
def indexed(objects):
    for pod in pods(objects):
        job = pod.job or {}
        if job.get("completionMode") != "Indexed":
            for name in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
                if name in job:
                    yield f"{pod.where}: {name} needs completionMode Indexed."
        if "maxFailedIndexes" in job and "backoffLimitPerIndex" not in job:
            yield f"{pod.where}: maxFailedIndexes needs backoffLimitPerIndex."
        if job.get("maxFailedIndexes", 0) > pod.completions:
            yield f"{pod.where}: maxFailedIndexes is more than the indexes that there are."


@rule
def restarts(objects):
    for pod in pods(objects):
        policy = pod.spec.get("restartPolicy", "Always")
        if pod.job is None and policy != "Always":
            yield f"{pod.where}: a Deployment's restartPolicy is Always."
        for name in ("podFailurePolicy", "backoffLimitPerIndex"):
            if pod.job and name in pod.job and policy != "Never":
                yield f"{pod.where}: {name} needs restartPolicy Never, not {policy}."


@rule
def replacements(objects):
    for pod in pods(objects):
        job = pod.job or {}
        if "podFailurePolicy" in job and job.get("podReplacementPolicy", "Failed") != "Failed":
            yield f"{pod.where}: with a podFailurePolicy podReplacementPolicy is Failed."


@rule
def failure_rules(objects):
    for pod in pods(objects):
        names = {c["name"] for c in pod.spec["containers"]}
        for one in get(pod.job, "podFailurePolicy.rules", []):
            codes = one.get("onExitCodes", {})
            if one["action"] == "FailIndex" and "backoffLimitPerIndex" not in pod.job:
                yield f"{pod.where}: FailIndex needs backoffLimitPerIndex."
            if len({"onExitCodes", "onPodConditions"} & set(one)) != 1:
                yield (f"{pod.where}: a rule of podFailurePolicy has exactly one of onExitCodes "
                       "and onPodConditions.")
            if codes and not all(c >= 0 for c in codes.get("values") or [-1]):
                yield f"{pod.where}: exit statuses {codes.get('values')} are none."
            if codes.get("values", []) != sorted(set(codes.get("values", []))):
                yield f"{pod.where}: exit statuses {codes['values']} must rise, each once."
            if codes.get("operator") == "In" and 0 in codes["values"]:
                yield f"{pod.where}: exit status 0 is no failure and may not stand in an In list."
            if "containerName" in codes and codes["containerName"] not in names:
                yield (f"{pod.where}: podFailurePolicy names the container "
                       f"{codes['containerName']}, which the pod lacks.")


@rule
def hostnames(objects):
    for pod in pods(objects):
        name = f"{pod.where.split()[1].rstrip(',')}-{pod.completions - 1}"
        if pod.job and pod.job.get("completionMode") == "Indexed" and len(name) > 63:
            yield f"{pod.where}: {name} is longer than the 63 characters of a host's name."


@rule
def mounts(objects):
    for pod, container in containers(objects):
        volumes = {v["name"] for v in pod.spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            if not mount["mountPath"].startswith("/"):
                yield f"{pod.where}: {mount['name']} is mounted at '{mount['mountPath']}'."
            if mount["name"] not in volumes:
                yield f"{pod.where}: {mount['name']} is mounted and is no volume."


@rule
def resources(objects):
    for pod, container in containers(objects):
        wants = get(container, "resources.requests", {})
        limits = get(container, "resources.limits", {})
        if "memory" not in limits:
            yield f"{pod.where}: the container has no memory limit."
        for name in {*wants, *limits}:
            if "/" in name and wants.get(name) != limits.get(name):
                yield (f"{pod.where}: {name} is requested and limited to the same number, or not "
                       "at all.")
            elif (quantity(wants.get(name, 0)) or 0) > (quantity(limits.get(name, "1e")) or 1e99):
                yield f"{pod.where}: the {name} requested is more than its limit."
        devices = [n for n in limits if n == "nvidia.com/gpu"]
        device = pod.flags(container).get("--device", "").split(":")[0]
        if container.get("args", [""])[0] == "serve" and (device == "cuda") != bool(devices):
            yield f"{pod.where}: --device {device} and the GPUs of its limits do not agree."


@rule
def shared_memory(objects):
    for pod, container in containers(objects):
        limit = quantity(get(container, "resources.limits.memory")) or 1e99
        for volume in pod.spec.get("volumes", []):
            memory = volume.get("emptyDir") or {}
            if memory.get("medium") != "Memory":
                continue
            if quantity(memory.get("sizeLimit", "1")) is None:
                yield f"{pod.where}: the sizeLimit of {volume['name']} is no quantity."
            if "sizeLimit" not in memory:
                yield f"{pod.where}: {volume['name']} is memory without a sizeLimit."
            elif (quantity(memory["sizeLimit"]) or 0) >= limit:
                yield f"{pod.where}: {volume['name']} may take more than the memory limit."


@rule
def no_containers(objects):
    for pod in pods(objects):
        if not pod.spec["containers"]:
            yield f"{pod.where}: it has no container."


@rule
def twice(objects):
    seen = set()
    for thing in objects:
        if name_of(thing) in seen:
            yield f"{name_of(thing)}: it is there twice."
        seen.add(name_of(thing))
    for pod in pods(objects):
        lists = [("volume", "name", pod.spec.get("volumes", []))]
        for container in pod.spec["containers"]:
            lists += [("variable", "name", container.get("env", [])),
                      ("port", "name", container.get("ports", [])),
                      ("port", "containerPort", container.get("ports", [])),
                      ("mount at", "mountPath", container.get("volumeMounts", []))]
        for what, key, entries in lists:
            values = [e[key] for e in entries if key in e]
            for value in sorted({str(v) for v in values if values.count(v) > 1}):
                yield f"{pod.where}: the {what} {value} is there twice."


@rule
def own_labels(objects):
    for thing in objects:
        if thing["kind"] == "Deployment":
            wanted = get(thing, "spec.selector.matchLabels", {})
            if not selects(wanted, get(thing, "spec.template.metadata.labels", {})):
                yield f"{name_of(thing)}: its selector does not select its own pods."


@rule
def successes(objects):
    for pod in pods(objects):
        for one in get(pod.job, "successPolicy.rules", []):
            last = max(map(int, re.findall(r"\d+", one.get("succeededIndexes", "0"))), default=0)
            if last >= pod.completions:
                yield (f"{pod.where}: successPolicy names index {last}; the last one is "
                       f"{pod.completions - 1}.")
            if one.get("succeededCount", 1) > pod.completions:
                yield (f"{pod.where}: successPolicy waits for {one['succeededCount']} indexes of "
                       f"{pod.completions}.")


@rule
def sources(objects):
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            if get(volume, "persistentVolumeClaim.claimName", "x") == "":
                yield f"{pod.where}: the volume {volume['name']} names no claim."
            if len([k for k in volume if k != "name"]) != 1:
                yield f"{pod.where}: the volume {volume['name']} needs exactly one source."


def words(pod):
    """Names inside a pod that are labels of DNS."""
    for container in [*pod.spec["containers"], *pod.spec.get("initContainers", [])]:
        yield container["name"]
        yield from (p["name"] for p in container.get("ports", []) if "name" in p)
    yield from (v["name"] for v in pod.spec.get("volumes", []))


@rule
def names(objects):
    for thing in objects:
        name = thing["metadata"]["name"]
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", name):
            yield f"{name_of(thing)}: a name has lower-case letters, digits, '-' and '.' alone."
        labels = [thing["metadata"].get("labels", {}),
                  get(thing, "spec.template.metadata.labels", {})]
        for value in [v for some in labels for v in some.values()]:
            if not re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", value):
                yield f"{name_of(thing)}: '{value}' is no label."
    for pod in pods(objects):
        for word in words(pod):
            if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", word):
                yield f"{pod.where}: the name {word} has other than lower-case letters and digits."


@rule
def quantities(objects):
    for pod, container in containers(objects):
        for kind in ("requests", "limits"):
            for name, value in get(container, f"resources.{kind}", {}).items():
                found = quantity(value)
                if found is None:
                    yield f"{pod.where}: {kind} of {name}: '{value}' is no quantity."
                elif "/" in name and found != int(found):
                    yield f"{pod.where}: {kind} of {name}: {value} is no whole number."


@rule
def field_paths(objects):
    known = (r"metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['.+'\]"
             r"|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs)")
    for pod, container in containers(objects):
        for variable in container.get("env", []):
            if not variable["name"] or not variable.get("valueFrom", True):
                yield f"{pod.where}: the variable '{variable['name']}' needs a name and a source."
            path = get(variable, "valueFrom.fieldRef.fieldPath")
            if path is not None and not re.fullmatch(known, path):
                yield f"{pod.where}: a pod has no field {path}."


@rule
def counts(objects):
    for pod in pods(objects):
        for name in ("completions", "parallelism", "backoffLimitPerIndex"):
            if (pod.job or {}).get(name, 1) < (0 if name == "backoffLimitPerIndex" else 1):
                yield f"{pod.where}: {name} is {pod.job[name]}."


@rule
def namespaces(objects):
    found = {t["metadata"].get("namespace", "") for t in objects}
    if len(found) > 1:
        yield (f"{name_of(objects[0])} and others: they are in the namespaces "
               f"{', '.join(sorted(n or 'of kubectl' for n in found))}; one is expected.")
