"""What no schema says of manifests: our own rules of a pool. Importing this module registers all
rules: also those of Kubernetes' own validation, and of the values of flags and alerts."""

from __future__ import annotations

import re
from typing import Dict, Iterator

import reach  # noqa: F401
import surroundings  # noqa: F401
import validation  # noqa: F401
from manifests import Object, Pod, containers, get, pods, workers
from rulebook import RULES, check, number, quantity, rule, selects

__all__ = ["RULES", "check", "serve_flags"]
LAG_S = 5  # drain_timeout and what comes after it end this long before the grace period does
# README's exit statuses, as podFailurePolicy must treat them; what is not here must be counted.
POLICY = {"FailJob": {2, 78}, "Ignore": {75}}
COUNTED = {69, 70, 74, 134, 137, 139}


@rule
def parallel(objects):
    for pod in pods(objects):
        if pod.job and pod.job.get("parallelism", 1) != pod.completions:
            yield (f"{pod.where}: parallelism and completions are one number, the size of the pool "
                   "(and are changed together).")


@rule
def grace(objects):
    for pod, container in workers(objects):
        drain = number(pod.flags(container).get("--drain-timeout", 60))
        given = pod.spec.get("terminationGracePeriodSeconds", 30)
        if drain is not None and given < drain + LAG_S:
            yield (f"{pod.where}: the grace period of {given} s is less than --drain-timeout and "
                   f"{LAG_S} s more.")


@rule
def scorers(objects):
    """What `stampede score` ends with, by docker/README.md: 1 is complete, 130 and 143 go on."""
    wanted = {2: "FailJob", 3: "FailJob", 1: "FailIndex", 130: "Ignore", 143: "Ignore"}
    for pod, container in containers(objects):
        if pod.job is None or container.get("args", [""])[0] != "score":
            continue
        treated = {code: one["action"] for one in get(pod.job, "podFailurePolicy.rules", [])
                   if get(one, "onExitCodes.operator") == "In"
                   for code in one["onExitCodes"]["values"]}
        for code, action in wanted.items():
            if treated.get(code) != action:
                yield f"{pod.where}: exit status {code} of score must be {action}."


@rule
def exit_statuses(objects):
    for pod, container in workers(objects):
        if pod.job is None:
            continue
        treated: Dict[int, str] = {}
        disruption = False
        for one in get(pod.job, "podFailurePolicy.rules", []):
            codes = one.get("onExitCodes", {})
            for code in codes["values"] if codes.get("operator") == "In" else []:
                treated.setdefault(code, one["action"])
            disruption |= any(c["type"] == "DisruptionTarget" and one["action"] == "Ignore"
                              and c.get("status", "True") == "True"
                              for c in one.get("onPodConditions", []))
        for action, codes in POLICY.items():
            for code in sorted(codes):
                if treated.get(code) != action:
                    yield f"{pod.where}: exit status {code} must be {action} (README)."
        for code in sorted(COUNTED & set(treated)):
            yield f"{pod.where}: exit status {code} must count against its index (README)."
        if not disruption:
            yield f"{pod.where}: a pod that is evicted (DisruptionTarget) must be Ignored."
        if not pod.job.get("backoffLimitPerIndex"):
            yield f"{pod.where}: without backoffLimitPerIndex one bad node fails the whole pool."


@rule
def probes(objects):
    for pod, container in workers(objects):
        ports = {p["name"]: p["containerPort"] for p in container.get("ports", [])}
        http = pod.flags(container).get("--http", "")
        if not http or http == "off":
            yield f"{pod.where}: without --http it has neither probes nor metrics."
        elif ports.get("metrics") != number(http.rpartition(":")[2]):
            yield f"{pod.where}: --http and the port named metrics have different numbers."
        for kind, path in (("startupProbe", "/readyz?phase=loaded"), ("livenessProbe", "/livez"),
                           ("readinessProbe", "/readyz")):
            probe = container.get(kind)
            if not probe:
                yield f"{pod.where}: it has no {kind}."
                continue
            if probe.get("timeoutSeconds", 1) >= probe.get("periodSeconds", 10):
                yield f"{pod.where}: the {kind} waits longer for an answer than until the next."
            if kind == "livenessProbe" and probe.get("failureThreshold", 3) < 3:
                yield f"{pod.where}: the livenessProbe kills for fewer than three failures."
            get_ = probe.get("httpGet", {})
            if get_.get("path") != path:
                yield f"{pod.where}: the {kind} asks {get_.get('path')}; expected {path}."
            if get_.get("port") not in (*ports, *ports.values()):
                yield f"{pod.where}: the {kind} asks port {get_.get('port')}, which it lacks."
        start = container.get("startupProbe", {})
        if start.get("periodSeconds", 10) * start.get("failureThreshold", 3) < 600:
            yield f"{pod.where}: the startupProbe gives less than ten minutes to load a model."


@rule
def addresses(objects):
    for pod, container in workers(objects):
        flags = pod.flags(container)
        for name in ("--connect", "--bind", "--http"):
            if re.search(r"(^|/)(\*|0\.0\.0\.0|\[::\]):", flags.get(name, "")):
                yield f"{pod.where}: {name} is a wildcard; name the pod's address, $(POD_IP)."
        if ("--connect" in flags) == ("--bind" in flags):
            yield f"{pod.where}: expected exactly one of --connect and --bind."
        if "--insecure" in flags:
            yield f"{pod.where}: --insecure has no place in a cluster; give --server-key and --key."


@rule
def keys(objects):
    for pod, container in workers(objects):
        secrets = {v["name"]: v["secret"] for v in pod.spec.get("volumes", []) if "secret" in v}
        mounted = {m["mountPath"]: m["name"] for m in container.get("volumeMounts", [])}
        for name in ("--server-key", "--key"):
            path = pod.flags(container).get(name)
            if not path:
                yield f"{pod.where}: {name} is missing, and the wire would be open."
            elif mounted.get(path.rpartition("/")[0]) not in secrets:
                yield f"{pod.where}: {name} is {path}, which no Secret is mounted at."


@rule
def secrets(objects):
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            if "secret" in volume and volume["secret"].get("defaultMode") != 0o400:
                yield f"{pod.where}: the files of Secret {volume['name']} must have mode 0400."
            if "secret" in volume and volume["secret"].get("optional"):
                yield f"{pod.where}: without the Secret {volume['name']} nothing can start."
            if "secret" in volume and not get(pod.spec, "securityContext.fsGroup"):
                yield (f"{pod.where}: without fsGroup the files of Secret {volume['name']} are "
                       "root's alone.")
        kinds = {v["name"]: v for v in pod.spec.get("volumes", [])}
        for container in pod.spec["containers"]:
            for mount in container.get("volumeMounts", []):
                if "secret" in kinds.get(mount["name"], {}) and "subPath" in mount:
                    yield f"{pod.where}: a Secret at a subPath never changes while a pod runs."
                if "secret" in kinds.get(mount["name"], {}) and not mount.get("readOnly"):
                    yield f"{pod.where}: {mount['name']} must be mounted readOnly."
            if any("secretKeyRef" in v.get("valueFrom", {}) for v in container.get("env", [])) or \
                    any("secretRef" in s for s in container.get("envFrom", [])):
                yield f"{pod.where}: a key in a variable can be read by every child; mount it."
    for thing in objects:
        if thing["kind"] == "Secret":
            yield f"Secret {thing['metadata']['name']}: keys are made by hand, never rendered."


@rule
def confinement(objects):
    for pod, container in containers(objects):
        of_pod, own = pod.spec.get("securityContext", {}), container.get("securityContext", {})
        both = {**of_pod, **own}
        if not both.get("runAsNonRoot") or both.get("runAsUser") != 65532:
            yield f"{pod.where}: it must run as user 65532, not as root."
        if not own.get("readOnlyRootFilesystem"):
            yield f"{pod.where}: its root file system must be read-only."
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{pod.where}: allowPrivilegeEscalation must be false."
        if get(own, "capabilities.drop") != ["ALL"]:
            yield f"{pod.where}: all capabilities must be dropped."
        for name in get(own, "capabilities.add", []):
            if name != "IPC_LOCK":
                yield f"{pod.where}: capability {name} is not needed (IPC_LOCK may be)."
        if get(both, "seccompProfile.type") != "RuntimeDefault":
            yield f"{pod.where}: seccompProfile must be RuntimeDefault."
        if own.get("procMount", "Default") != "Default":
            yield f"{pod.where}: procMount must be Default."
        if "command" in container and pod.labels.get("app.kubernetes.io/component") == "worker":
            yield f"{pod.where}: a command hides the image's own; give args."
        if any("hostPort" in p for p in container.get("ports", [])):
            yield f"{pod.where}: a hostPort is open beside every NetworkPolicy."
        if own.get("privileged") or pod.spec.get("hostPID") or pod.spec.get("hostIPC"):
            yield f"{pod.where}: it must neither be privileged nor share the host's processes."


@rule
def accounts(objects):
    accounts_ = {t["metadata"]["name"] for t in objects if t["kind"] == "ServiceAccount"}
    for thing in objects:
        if thing["kind"] == "ServiceAccount" and \
                thing.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {thing['metadata']['name']}: its pods need no token."
    for pod in pods(objects):
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.where}: it needs no token; automountServiceAccountToken must be false."
        if pod.spec.get("serviceAccountName") not in accounts_:
            yield f"{pod.where}: its ServiceAccount is not among what is applied."


@rule
def variables(objects):
    maps = {t["metadata"]["name"] for t in objects if t["kind"] == "ConfigMap"}
    for pod, container in containers(objects):
        for source in container.get("envFrom", []):
            if "configMapRef" in source and source["configMapRef"]["name"] not in maps:
                yield f"{pod.where}: ConfigMap {source['configMapRef']['name']} is not applied."
        known = pod.env(container)
        for text in container.get("args", []):
            for name in re.findall(r"\$\((\w+)\)", text):
                if name not in known:
                    yield f"{pod.where}: {text} names $({name}), which nobody sets."


@rule
def images(objects):
    for pod, container in containers(objects):
        image = container.get("image", "")
        tag = re.fullmatch(r"[\w.-]+(?::\d+)?(?:/[\w.-]+)*"
                           r"(:[\w.-]+|(?::[\w.-]+)?@sha256:[0-9a-f]{64})", image)
        if not tag or tag[1] == ":latest":
            yield f"{pod.where}: image {image} has no version; pin a tag or a digest."


@rule
def selectors(objects):
    labels = [pod.labels for pod in pods(objects)]
    outside = {"app.kubernetes.io/name": "stampede", "app.kubernetes.io/component": "trainer"}
    paths = {"Service": "spec.selector", "PodMonitor": "spec.selector.matchLabels",
             "NetworkPolicy": "spec.podSelector.matchLabels"}
    for thing in objects:
        path = paths.get(thing["kind"])
        if path and not any(selects(get(thing, path, {}), have) for have in [*labels, outside]):
            yield f"{thing['kind']} {thing['metadata']['name']}: it selects no pod of ours."
        if thing["kind"] == "PodMonitor":
            for end in thing["spec"]["podMetricsEndpoints"]:
                if end.get("path", "/metrics") != "/metrics":
                    yield f"PodMonitor {thing['metadata']['name']}: nothing is at {end['path']}."
                for pod in pods(objects):
                    ports = {p.get("name") for c in pod.spec["containers"]
                             for p in c.get("ports", [])}
                    if selects(get(thing, path, {}), pod.labels) and end["port"] not in ports:
                        yield (f"PodMonitor {thing['metadata']['name']}: {pod.where} has no port "
                               f"named {end['port']}.")


@rule
def host_network(objects):
    for pod in pods(objects):
        if pod.spec.get("hostNetwork") and pod.spec.get("dnsPolicy") != "ClusterFirstWithHostNet":
            yield (f"{pod.where}: with hostNetwork dnsPolicy is ClusterFirstWithHostNet, or the "
                   "trainer's name is not found.")


@rule
def shards(objects):
    for pod, container in containers(objects):
        shard = pod.flags(container).get("--shard")
        if shard and number(shard.rpartition("/")[2]) != pod.completions:
            yield f"{pod.where}: --shard {shard} and {pod.completions} completions do not agree."
        if shard and "--resume" not in pod.flags(container):
            yield f"{pod.where}: without --resume a pod that is made anew begins from the start."
        output = next((a for a in container.get("args", []) if a.startswith("--output=")), "")
        if shard and "$(SHARD)" not in output:
            yield f"{pod.where}: all shards write to one file, {output.partition('=')[2]}."


@rule
def queues(objects):
    for thing in objects:
        if thing["kind"] == "Job" and \
                "kueue.x-k8s.io/queue-name" in thing["metadata"].get("labels", {}) and \
                not thing["spec"].get("suspend"):
            yield f"Job {thing['metadata']['name']}: Kueue's jobs begin with suspend true."


@rule
def scalers(objects):
    names = {t["metadata"]["name"] for t in objects if t["kind"] in ("Deployment", "StatefulSet")}
    for thing in objects:
        if thing["kind"] == "ScaledObject":
            spec, name = thing["spec"], thing["metadata"]["name"]
            if spec["scaleTargetRef"]["name"] not in names:
                yield (f"ScaledObject {name}: {spec['scaleTargetRef']['name']} is no Deployment; a "
                       "Job has no /scale.")
            for thing_ in objects:
                if thing_["metadata"]["name"] == spec["scaleTargetRef"]["name"] and \
                        thing_["kind"] == "Deployment" and "replicas" in thing_["spec"]:
                    yield f"ScaledObject {name}: each apply would set replicas back."
            for trigger in spec["triggers"]:
                if not (quantity(trigger["metadata"]["threshold"]) or 0) > 0:
                    yield f"ScaledObject {name}: the threshold is no number above 0."
            if spec.get("minReplicaCount", 0) > spec.get("maxReplicaCount", 100):
                yield f"ScaledObject {name}: minReplicaCount is more than maxReplicaCount."


@rule
def sets(objects):
    for thing in objects:
        if thing["kind"] == "JobSet":
            names = {part["name"] for part in thing["spec"]["replicatedJobs"]}
            for part in thing["spec"]["replicatedJobs"]:
                if part.get("replicas", 1) != 1:
                    yield (f"JobSet {thing['metadata']['name']}: {part['name']} is one Job; its "
                           "size is completions.")
            for name in get(thing, "spec.successPolicy.targetReplicatedJobs", []):
                if name not in names:
                    yield f"JobSet {thing['metadata']['name']}: {name} is none of its jobs."


def serve_flags(pod: Pod, container: Object, known: set) -> Iterator[str]:
    """Flags that the program does not have; `known` are those of its --help."""
    for name in pod.flags(container):
        if name not in known:
            yield f"{pod.where}: stampede {container['args'][0]} has no flag {name}."
