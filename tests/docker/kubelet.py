"""A fake kubelet and Job controller: rendered pods as processes of this machine.

A pod is the real program in a mount namespace: its own read-only root with the volumes where they
are mounted, its user and groups, no capabilities, its variables and nothing else. Probes are asked
over HTTP, SIGTERM is followed by SIGKILL after the grace period, and the controller counts ends as
upstream does: podFailurePolicy in order, backoffLimitPerIndex, maxFailedIndexes, suspension,
elastic indexes, successPolicy. What it leaves out: schedules, back-off delays, networks (pods share
the host's loopback, each with an address of its own).
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import manifests

TICK_S = 0.05
UNHURRIED = 1000.0

# The root: this machine's programs and libraries, read-only; then the pod's volumes; then nothing
# can be written that the pod does not mount.
_START = """
set -e
root=$1; shift
mount -t tmpfs tmpfs "$root"
for d in usr etc; do mkdir "$root/$d"; mount --bind -o ro "/$d" "$root/$d"; done
for d in bin lib lib64 sbin; do
    if [ -L "/$d" ]; then cp -P "/$d" "$root/$d"
    elif [ -d "/$d" ]; then mkdir "$root/$d"; mount --bind -o ro "/$d" "$root/$d"; fi
done
mkdir "$root/proc" "$root/dev" "$root/image"
mount --rbind /proc "$root/proc"
mount --rbind --make-private /dev "$root/dev"
mount --bind -o ro "$1" "$root/image"; shift
while [ "$1" != -- ]; do
    mkdir -p "$root$3"
    case $1 in
    tmp) mount -t tmpfs -o "size=$2,mode=1777" tmpfs "$root$3" ;;
    ro) mount --bind -o ro "$2" "$root$3" ;;
    rw) mount --bind "$2" "$root$3" ;;
    esac
    shift 3
done
shift
mount -o remount,ro "$root"
exec chroot "$root" setpriv "$@"
"""


class Pod:
    def __init__(self, name: str, ip: str, index: int, spec: Dict[str, Any]) -> None:
        self.name, self.ip, self.index, self.spec = name, ip, index, spec
        self.process: Optional[subprocess.Popen] = None
        self.log = ""  # its path
        self.status: Optional[int] = None  # of its container, 128 + N by signal N
        self.started = self.ready = False
        self.deleted_at = self.kill_at = UNHURRIED * 1e6
        self.disrupted = False  # has the condition DisruptionTarget
        self.probes: Dict[str, Dict[str, float]] = {}

    @property
    def over(self) -> bool:
        return self.status is not None

    @property
    def failed(self) -> bool:
        """As the Job controller sees it: status 0 is success, also of a pod that was deleted."""
        return self.over and self.status != 0


class Kubelet:
    """`hurry` divides the probes' periods and the grace period of what does not end by itself."""

    def __init__(self, folder: Path, program: Path, objects: List[Dict[str, Any]],
                 sources: Dict[str, Path], names: Dict[str, str], hurry: float = 1) -> None:
        self.folder, self.program, self.objects = folder, program, objects
        self.sources, self.names, self.hurry = sources, names, hurry

    def _volume(self, pod: Pod, name: str) -> List[str]:
        """[kind, source or size] of a volume, as volumes and permissions are laid out on a node."""
        volume = next(v for v in pod.spec["volumes"] if v["name"] == name)
        if "emptyDir" in volume:
            return ["tmp", volume["emptyDir"]["sizeLimit"].rstrip("i")]
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]
            return ["ro" if claim.get("readOnly") else "rw",
                    str(self.sources[claim["claimName"]])]
        secret, group = volume["secret"], pod.spec["securityContext"]["fsGroup"]
        folder = self.folder / f"{pod.name}-{name}"
        (folder / "..2026").mkdir(parents=True)
        for source in self.sources[secret["secretName"]].iterdir():
            copy = folder / "..2026" / source.name
            shutil.copyfile(source, copy)
            os.chown(copy, 0, group)
            copy.chmod(secret["defaultMode"] | 0o040)  # fsGroup lets the group read
            (folder / source.name).symlink_to(f"..2026/{source.name}")
        return ["ro", str(folder)]

    def start(self, pod: Pod, template: Dict[str, Any]) -> None:
        container = pod.spec["containers"][0]
        view = manifests.Pod(pod.name, template, self.objects)
        index = str(pod.index)
        known = {"metadata.name": pod.name, "status.podIP": pod.ip,
                 "metadata.annotations['batch.kubernetes.io/job-completion-index']": index}
        env = {k: v for k, v in view.env(container).items() if v is not None}
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                env[variable["name"]] = known[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        view.extra = env
        arguments = view.arguments(container)
        for name, address in self.names.items():  # the cluster's DNS
            arguments = [a.replace(name, address) for a in arguments]
        mounts: List[str] = []
        for mount in container.get("volumeMounts", []):
            kind, source = self._volume(pod, mount["name"])
            mounts += ["ro" if mount.get("readOnly") else kind, source, mount["mountPath"]]
        context = pod.spec["securityContext"] | container["securityContext"]
        root = self.folder / f"{pod.name}-root"
        root.mkdir(parents=True)
        user = [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}",
                f"--groups={context['fsGroup']}", "--no-new-privs", "--bounding-set=-all"]
        words = [f"{k}={v}" for k, v in env.items()] + ["JOB_COMPLETION_INDEX=" + index]
        log = open(self.folder / f"{pod.name}.log", "wb")
        pod.log = log.name
        pod.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", "-c", _START, "-", str(root),
             str(self.program.parent), *mounts, "--", *user, "env", "-i", *words,
             f"/image/{self.program.name}", *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()

    def delete(self, pod: Pod, disrupted: bool = False) -> None:
        """An eviction, a preemption (disrupted), or what the controller asks for."""
        if pod.over or pod.deleted_at < time.monotonic():
            return
        pod.disrupted |= disrupted
        pod.deleted_at = time.monotonic()
        pod.kill_at = pod.deleted_at + pod.spec["terminationGracePeriodSeconds"] / self.hurry
        pod.process.send_signal(signal.SIGTERM)

    def lose(self, pod: Pod) -> None:
        """The node is gone: the pod's process without a word, the condition by the controllers."""
        pod.disrupted = True
        pod.process.kill()

    def look(self, pod: Pod) -> None:
        """Reaps it, kills it where its grace is over, asks its probes when they are due."""
        status = pod.process.poll()
        if status is not None:
            pod.status, pod.ready = (128 - status if status < 0 else status), False
        elif time.monotonic() > pod.kill_at:
            pod.process.kill()
        elif pod.deleted_at > time.monotonic():
            self._probe(pod)

    def _probe(self, pod: Pod) -> None:
        container = pod.spec["containers"][0]
        pod.started |= "startupProbe" not in container
        kinds = ["livenessProbe", "readinessProbe"] if pod.started else ["startupProbe"]
        for kind in kinds:
            probe = container.get(kind)
            if not probe:
                continue
            state = pod.probes.setdefault(kind, {"due": 0, "failures": 0})
            if time.monotonic() < state["due"]:
                continue
            state["due"] = time.monotonic() + probe.get("periodSeconds", 10) / self.hurry
            good = self._ask(pod, container, probe)
            state["failures"] = 0 if good else state["failures"] + 1
            gone = state["failures"] >= probe.get("failureThreshold", 3)
            if kind == "startupProbe":
                pod.started = good
            if kind == "readinessProbe":
                pod.ready = good
            elif gone:
                self.delete(pod)

    def _ask(self, pod: Pod, container: Dict[str, Any], probe: Dict[str, Any]) -> bool:
        get, ports = probe["httpGet"], {p["name"]: p["containerPort"] for p in container["ports"]}
        link = http.client.HTTPConnection(
            pod.ip, ports.get(get["port"], get["port"]),
            timeout=max(0.5, probe.get("timeoutSeconds", 1) / self.hurry))
        try:
            link.request("GET", get["path"])
            return 200 <= link.getresponse().status < 400
        except OSError:
            return False
        finally:
            link.close()


class Cluster:
    """One Job under a controller and a kubelet, in a thread that turns until `close`."""

    def __init__(self, job: Dict[str, Any], kubelet: Kubelet) -> None:
        self.job, self.kubelet = job, kubelet
        self.spec = job["spec"]
        self.pods: List[Pod] = []
        self.succeeded: set = set()
        self.failed: set = set()  # indexes
        self.failures: Dict[int, int] = {}  # of an index, that count against it
        self.ignored = 0  # ends that do not count
        self.outcome: Optional[str] = None  # Complete, Failed
        self.held: set = set()  # indexes that no node has room for
        self.lock = threading.RLock()
        self._seen: set = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            with self.lock:
                for pod in self.pods:
                    if not pod.over:
                        self.kubelet.look(pod)
                for pod in self.pods:
                    if pod.over and pod.name not in self._seen:
                        self._seen.add(pod.name)
                        self._count(pod)
                self._sync()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for pod in self.pods:
            if pod.process.poll() is None:
                pod.process.send_signal(signal.SIGCONT)
                pod.process.kill()
            pod.process.wait()

    def active(self) -> List[Pod]:
        with self.lock:
            return [p for p in self.pods if not p.over]

    def pod(self, index: int) -> Pod:
        return next(p for p in self.active() if p.index == index)

    def scale(self, n: int) -> None:
        with self.lock:
            self.spec["completions"] = self.spec["parallelism"] = n

    def suspend(self, yes: bool) -> None:
        with self.lock:
            self.spec["suspend"] = yes

    def _action(self, pod: Pod) -> str:
        """What podFailurePolicy says of a failed pod: the first rule that matches."""
        for rule in self.spec.get("podFailurePolicy", {}).get("rules", []):
            codes = rule.get("onExitCodes")
            if codes and (pod.status in codes["values"]) == (codes["operator"] == "In"):
                return rule["action"]
            if any(c["type"] == "DisruptionTarget" and pod.disrupted
                   for c in rule.get("onPodConditions", [])):
                return rule["action"]
        return "Count"

    def _count(self, pod: Pod) -> None:
        if pod.index >= self.spec["completions"]:
            return  # scaled away
        if not pod.failed:
            self.succeeded.add(pod.index)
            return
        action = self._action(pod)
        if action == "Ignore":
            self.ignored += 1
        elif action == "FailJob":
            self._end("Failed")
        elif action == "FailIndex":
            self.failed.add(pod.index)
        else:
            n = self.failures[pod.index] = self.failures.get(pod.index, 0) + 1
            if n > self.spec["backoffLimitPerIndex"]:
                self.failed.add(pod.index)
        if len(self.failed) > self.spec.get("maxFailedIndexes", self.spec["completions"]):
            self._end("Failed")

    def _end(self, outcome: str) -> None:
        self.outcome = self.outcome or outcome
        for pod in self.pods:
            self.kubelet.delete(pod)

    def _sync(self) -> None:
        indexes = set(range(self.spec["completions"]))
        for rule in self.spec.get("successPolicy", {}).get("rules", []):
            if len(self.succeeded) >= rule["succeededCount"]:
                self._end("Complete")
        if self.outcome is None and indexes <= self.succeeded | self.failed:
            self._end("Failed" if self.failed else "Complete")
        for pod in self.pods:
            if self.spec.get("suspend") or pod.index not in indexes:
                self.kubelet.delete(pod)
        if self.outcome or self.spec.get("suspend"):
            return
        # podReplacementPolicy Failed: the next pod only when the last one has ended.
        busy = {p.index for p in self.pods if not p.over}
        for index in sorted(indexes - busy - self.succeeded - self.failed - self.held):
            n = len(self.pods)
            pod = Pod(f"{self.job['metadata']['name']}-{index}-{n}", f"127.0.{1 + n // 200}."
                      f"{1 + n % 200}", index, self.spec["template"]["spec"])
            self.kubelet.start(pod, self.spec["template"])
            self.pods.append(pod)
