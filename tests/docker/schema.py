"""Strict schemas: Kubernetes' own by kubernetes-validate, and for resource types that it lacks the
few fields that we use."""

from __future__ import annotations

import copy
import re
from typing import Any, Dict, Iterator, List

import jsonschema
import kubernetes_validate
from manifests import Object

VERSION = "1.37"


def fields(required: List[str] = [], **properties: Any) -> Dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required,
            "additionalProperties": False}


TEXT, NUMBER, MAP = {"type": "string"}, {"type": "integer"}, {"type": "object"}
LABELS = {"type": "object", "additionalProperties": TEXT}
DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h))+$"}


def items(schema: Dict[str, Any]) -> Dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


ALERT = fields(["expr"], alert=TEXT, record=TEXT, expr=TEXT, labels=LABELS, annotations=LABELS,
               **{"for": DURATION})
OURS = {
    ("monitoring.coreos.com/v1", "PodMonitor"): fields(
        ["selector", "podMetricsEndpoints"], selector=fields(matchLabels=LABELS),
        podMetricsEndpoints=items(fields(["port"], port=TEXT, path=TEXT, interval=DURATION))),
    ("monitoring.coreos.com/v1", "PrometheusRule"): fields(["groups"], groups=items(
        fields(["name", "rules"], name=TEXT, interval=DURATION, rules=items(ALERT)))),
    ("keda.sh/v1alpha1", "ScaledObject"): fields(
        ["scaleTargetRef", "triggers"], scaleTargetRef=fields(["name"], name=TEXT),
        minReplicaCount=NUMBER, maxReplicaCount=NUMBER, pollingInterval=NUMBER,
        cooldownPeriod=NUMBER, triggers=items(fields(
            ["type", "metadata"], type={"enum": ["prometheus"]}, metadata=fields(
                ["serverAddress", "query", "threshold"], serverAddress=TEXT, query=TEXT,
                threshold=TEXT), metricType={"enum": ["AverageValue", "Value"]}))),
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): fields(
        ["replicatedJobs"],
        successPolicy=fields(["operator"], operator={"enum": ["All", "Any"]},
                             targetReplicatedJobs=items(TEXT)),
        failurePolicy=fields(maxRestarts=NUMBER), replicatedJobs=items(fields(
            ["name", "template"], name=TEXT, replicas=NUMBER, template=fields(
                ["spec"], metadata=MAP, spec=MAP)))),
}


# Kubernetes' schema has these as mere strings.
ENUMS = {
    "completionMode": {"Indexed", "NonIndexed"}, "restartPolicy": {"Always", "OnFailure", "Never"},
    "podReplacementPolicy": {"Failed", "TerminatingOrFailed"}, "protocol": {"TCP", "UDP", "SCTP"},
    "action": {"FailJob", "FailIndex", "Ignore", "Count"}, "policyTypes": {"Ingress", "Egress"},
    "dnsPolicy": {"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"},
    "medium": {"", "Memory"}, "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
}


def enums(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from enums(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from enums(inner, key)
    elif key in ENUMS and value not in ENUMS[key]:
        yield f"{key}: {value!r} is not one of {', '.join(sorted(ENUMS[key]))}"


def say(thing: Object, error: Any) -> str:
    path = ".".join(str(part) for part in getattr(error, "path", []))
    name = f"{thing['kind']} {thing['metadata'].get('name', '?')}"
    return f"{name}: {path + ': ' if path else ''}{re.sub(r'{.*}', '{...}', error.message)}."


def check_one(thing: Object) -> Iterator[str]:
    ours = OURS.get((thing["apiVersion"], thing["kind"]))
    try:
        if ours:
            jsonschema.validate(thing, fields(["apiVersion", "kind", "metadata", "spec"],
                                              apiVersion=TEXT, kind=TEXT, metadata=MAP, spec=ours))
        else:
            kubernetes_validate.validate(thing, VERSION, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        yield say(thing, error)
    except kubernetes_validate.SchemaNotFoundError:
        yield f"{thing['kind']} {thing['metadata'].get('name', '?')}: no such kind."
    for sentence in enums(thing):
        yield f"{thing['kind']} {thing['metadata'].get('name', '?')}: {sentence}."
    if thing["kind"] == "JobSet":
        for part in thing["spec"].get("replicatedJobs", []):
            yield from check_one({"apiVersion": "batch/v1", "kind": "Job",
                                  "metadata": {"name": part["name"]},
                                  "spec": part["template"]["spec"]})


def is_object(thing: Any) -> bool:
    return (isinstance(thing, dict) and isinstance(thing.get("metadata"), dict)
            and all(isinstance(v, str) and v for v in (
                thing.get("apiVersion"), thing.get("kind"), thing["metadata"].get("name"))))


def check(objects: List[Any]) -> List[str]:
    for i, thing in enumerate(objects):
        if not is_object(thing):
            return [f"Document {i + 1}: expected an object with apiVersion, kind and "
                    "metadata.name."]
    return [sentence for thing in objects for sentence in check_one(copy.deepcopy(thing))]
