"""Rules of who reaches whom: Services and NetworkPolicies, for workers and the trainer."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from manifests import Object, get, pods, workers
from rulebook import name_of, number, rule, selects

LABELS = {"app.kubernetes.io/name": "stampede"}
WORKER = {**LABELS, "app.kubernetes.io/component": "worker"}
TRAINER = {**LABELS, "app.kubernetes.io/component": "trainer"}
FREE = (32768, 60999)  # the ports that Linux picks, for bulk sockets and NCCL


def policies_of(objects: List[Object], labels: Dict[str, str]) -> List[Object]:
    return [t for t in objects if t["kind"] == "NetworkPolicy"
            and selects(get(t, "spec.podSelector.matchLabels", {}), labels)]


def openings(policy: Object, way: str) -> Iterator[Tuple[List[Object], Object]]:
    """Each port of each rule of one way, with the peers that it is open to."""
    for one in policy["spec"].get(way, []):
        for port in one.get("ports", []):
            yield one.get("from" if way == "ingress" else "to", []), port


def is_open(policy: Object, way: str, labels: Dict[str, str], wanted: Tuple[int, int]) -> bool:
    for peers, port in openings(policy, way):
        first = port.get("port")
        inside = isinstance(first, int) and first <= wanted[0] and \
            port.get("endPort", first) >= wanted[1]
        if inside and port.get("protocol", "TCP") == "TCP" and any(
                selects(get(p, "podSelector.matchLabels", {}), labels) for p in peers):
            return True
    return False


def is_anywhere(peer: Object) -> bool:
    """All of a network, or all pods of all namespaces."""
    block = get(peer, "ipBlock.cidr", "")
    selectors = [s for k, s in peer.items() if k.endswith("Selector")]
    return block.endswith("/0") or (bool(selectors) and not any(
        s.get("matchLabels") or s.get("matchExpressions") for s in selectors))


@rule
def trainer_address(objects):
    services = {t["metadata"]["name"]: t for t in objects if t["kind"] == "Service"}
    for pod, container in workers(objects):
        found = re.fullmatch(r"tcp://([\w-]+)((?:\.[\w-]+)*):(\d+)",
                             pod.flags(container).get("--connect", ""))
        if not found or found[2]:  # an address, or a name of another namespace
            continue
        if found[1] not in services:
            yield (f"{pod.where}: --connect names {found[1]}, and no Service of that name is "
                   "applied.")
        elif int(found[3]) not in [p["port"] for p in services[found[1]]["spec"]["ports"]]:
            yield f"{pod.where}: --connect names port {found[3]}, which {found[1]} lacks."


@rule
def services(objects):
    for thing in objects:
        if thing["kind"] == "Service" and selects(get(thing, "spec.selector", {}), TRAINER):
            if thing["spec"].get("clusterIP") != "None":
                yield f"{name_of(thing)}: it must be headless; the bulk socket's port is not its."
            if not thing["spec"].get("publishNotReadyAddresses"):
                yield f"{name_of(thing)}: workers look for a trainer before it is ready."


@rule
def outwards(objects):
    for pod, container in workers(objects):
        mine = policies_of(objects, pod.labels)
        if not mine:
            yield f"{pod.where}: no NetworkPolicy selects it."
            continue
        rules = [e for p in mine for e in p["spec"].get("egress", [])]
        kinds = [p["spec"].get("policyTypes", []) for p in mine]
        if any(not e.get("to") or not e.get("ports") or any(map(is_anywhere, e["to"]))
               for e in rules) or not all("Egress" in k for k in kinds):
            yield f"{pod.where}: its NetworkPolicy lets it reach anything."
        port = number(pod.flags(container).get("--connect", ":5555").rpartition(":")[2])
        for wanted, what in (((port, port), f"port {port}"), (FREE, "free ports (weights)")):
            if port is not None and not any(is_open(p, "egress", TRAINER, wanted) for p in mine):
                yield f"{pod.where}: its NetworkPolicy closes the trainer's {what}."
        names = {(o.get("protocol", "TCP"), o.get("port")) for p in mine
                 for _, o in openings(p, "egress")}
        if not {("UDP", 53), ("TCP", 53)} <= names:
            yield f"{pod.where}: its NetworkPolicy closes DNS."


@rule
def inwards(objects):
    for pod, container in workers(objects):
        mine = policies_of(objects, pod.labels)
        rules = [e for p in mine for e in p["spec"].get("ingress", [])]
        if any(not e.get("from") or any(map(is_anywhere, e["from"])) for e in rules) or \
                any("Ingress" not in p["spec"].get("policyTypes", ["Ingress"]) for p in mine):
            yield f"{pod.where}: its NetworkPolicy lets anybody reach it."
        number_ = number(pod.flags(container).get("--http", "").rpartition(":")[2])
        scraped = {o.get("port") for p in mine for _, o in openings(p, "ingress")}
        if mine and number_ and not {"metrics", number_} & scraped:
            yield f"{pod.where}: its NetworkPolicy closes its metrics."


@rule
def trainers(objects):
    """Of the NetworkPolicy that selects the trainer, where there is one."""
    for policy in policies_of(objects, TRAINER):
        if any(not e.get("from") or any(map(is_anywhere, e["from"]))
               for e in policy["spec"].get("ingress", [])):
            yield f"{name_of(policy)}: it lets anybody reach the trainer."
        for pod, container in workers(objects):
            port = number(pod.flags(container).get("--connect", ":5555").rpartition(":")[2])
            for wanted, what in (((port, port), f"port {port}"), (FREE, "free ports (weights)")):
                if port is not None and not is_open(policy, "ingress", pod.labels, wanted):
                    yield f"{name_of(policy)}: {pod.where} cannot reach its {what}."
    for thing in objects:
        if thing["kind"] == "JobSet" and not any(
                selects(TRAINER, p.labels) for p in pods(objects)):
            yield f"{name_of(thing)}: no pod of it is labelled as the trainer."


@rule
def ranks(objects):
    for pod, container in workers(objects):
        mine = policies_of(objects, pod.labels)
        if not any(n.startswith("rdma/") for n in get(container, "resources.limits", {})):
            continue
        if "IPC_LOCK" not in get(container, "securityContext.capabilities.add", []):
            yield f"{pod.where}: RDMA pins memory; it needs the capability IPC_LOCK."
        ways = [("ingress", WORKER), ("ingress", TRAINER), ("egress", WORKER)]
        if mine and not all(any(is_open(p, way, labels, FREE) for p in mine)
                            for way, labels in ways):
            yield (f"{pod.where}: its NetworkPolicy keeps NCCL's other ranks out; let workers and "
                   "trainer reach its free ports.")
