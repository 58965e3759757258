"""Whether a run kept its promises: invariants I1 to I8, by its event logs and nothing else.

`check` sees events (events.py) and what an undisturbed run draws; it knows no worker, no client and
no scenario. Each violation is a sentence that begins with the invariant's name.

  I1  a sample is consumed at most once, whoever consumes it
  I2  every group that was asked for ends: completed, cancelled or quarantined
  I3  a sample has versions that its worker served between TASK and RESULT, in rising order
  I4  a digest is that of the version
  I5  no more samples are out than were granted
  I6  memory and open files do not grow
  I7  tokens and log-probabilities are those of an undisturbed run
  I8  nobody died but who was killed, and each exit status means what it says
  lease   a sample is in the hands of one worker at a time
  fence   who has seen an epoch obeys no older one
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

Event = Dict[str, Any]
Sample = Tuple[Any, int]  # the group's id, and which of its samples
STAGED, APPLIED, ROLLED_BACK = 1, 2, 4  # phases of WEIGHTS_STATUS
RUN_COMPLETE, DRAINED = 0, 75
# The staging of an update (6 MiB of the tiny model, and as much to undo it) comes with the first.
_RSS_SLACK_KIB, _FD_SLACK = 16384, 2
_MIN_FOOTPRINTS, _MIN_SPAN_S = 30, 15.0


class Drawn(NamedTuple):
    """A sample of an undisturbed run."""

    tokens: List[int]
    lp_full: str  # hex of float32
    lp_behav: str


Reference = Mapping[int, Mapping[Sample, Drawn]]  # by policy version


class Interval:
    """From when to when a worker may have served a version."""

    def __init__(self, version: int, begin: float) -> None:
        self.version, self.begin, self.end = version, begin, float("inf")

    def meets(self, begin: float, end: float) -> bool:
        return self.begin <= end and self.end >= begin


class Incarnation:
    """One life of a worker, over all its sessions."""

    def __init__(self) -> None:
        self.intervals: List[Interval] = []
        # When TASK came first, of (trainer, serial, sample).
        self.asked: Dict[Tuple[str, int, int], float] = {}

    def opens(self, version: int, t: float) -> None:
        if not any(i.version == version and i.end == float("inf") for i in self.intervals):
            self.intervals.append(Interval(version, t))

    def serves(self, version: int, t: float) -> bool:
        """It says so. False: nobody gave it this version."""
        known = any(i.version == version and i.begin <= t for i in self.intervals)
        for i in self.intervals:
            if i.version != version and i.begin < t:
                i.end = min(i.end, t)
        self.opens(version, t)
        return known


class Session:
    """From a HELLO to what ends it."""

    def __init__(self, worker: str, life: Incarnation, granted: int) -> None:
        self.worker, self.life = worker, life
        self.granted, self.n_sent = granted, 0
        self.updates: Dict[int, Tuple[int, int]] = {}  # number: base, version
        self.held: Set[Tuple[int, int]] = set()  # (serial, sample)


class Wire:
    """Goes through the messages of all trainers in their order: I3, I4, I5, leases."""

    def __init__(self, digests: Mapping[int, str]) -> None:
        self._digests = digests
        self._lives: Dict[Tuple[str, int], Incarnation] = {}
        self._sessions: Dict[Tuple[str, str], Session] = {}  # by trainer and peer
        self._hellos: Dict[Tuple[str, str], Event] = {}  # that are not answered
        self._epochs: Dict[str, int] = {}
        self.found: List[str] = []

    def say(self, text: str) -> None:
        self.found.append(text)

    def on(self, e: Event) -> None:
        if e["event"] == "open":
            self._epochs[e["who"]] = e["epoch"]
        elif e["event"] == "gone":
            self._sessions.pop((e["who"], e["peer"]), None)
        elif e["event"] in ("sent", "received"):
            handler = getattr(self, f"_on_{e['event']}_{e['type'].lower()}", None)
            key = (e["who"], e["peer"])
            if e["type"] == "HELLO":
                self._on_hello(e)
            elif e["type"] == "WELCOME" and key in self._hellos:
                self._on_welcome(key, self._hellos.pop(key))
            elif handler is not None and key in self._sessions:
                handler(e, self._sessions[key])

    def _on_hello(self, e: Event) -> None:
        life = self._lives.setdefault((e["uid"], e["incarnation"]), Incarnation())
        if not life.intervals:
            life.intervals.append(Interval(e["version"], float("-inf")))
        self._says_version(e, life, e["uid"])
        self._check_digest(e["version"], e["digest"], f"HELLO of {e['uid']}")
        self._hellos[e["who"], e["peer"]] = e

    def _on_welcome(self, key: Tuple[str, str], hello: Event) -> None:
        """The session begins; others of this worker have ended, whatever was said of them."""
        for other, session in list(self._sessions.items()):
            if other[0] == key[0] and (session.worker == hello["uid"] or other == key):
                del self._sessions[other]
        life = self._lives[hello["uid"], hello["incarnation"]]
        self._sessions[key] = Session(hello["uid"], life, hello["slots"])

    def _says_version(self, e: Event, life: Incarnation, worker: str) -> None:
        if not life.serves(e["version"], e["t"]):
            self.say(f"I3: {worker} says that it serves version {e['version']}, which nobody "
                     "committed there.")

    def _check_digest(self, version: int, digest: str, where: str) -> None:
        want = self._digests.get(version)
        if want is not None and digest != want:
            self.say(f"I4: {where} has digest {digest} with version {version}, whose digest is "
                     f"{want}.")

    # --- credit and leases ---

    def _on_received_credit(self, e: Event, s: Session) -> None:
        s.granted = max(s.granted, e["slots"])

    def _on_sent_task(self, e: Event, s: Session) -> None:
        s.n_sent += e["n"]
        if s.n_sent > s.granted:
            self.say(f"I5: {s.worker} was sent {s.n_sent} samples in a session, and had granted "
                     f"{s.granted}.")
        for sample in range(e["first"], e["first"] + e["n"]):
            lease = (e["serial"], sample)
            for key, other in self._sessions.items():
                if key[0] == e["who"] and other is not s and lease in other.held:
                    self.say(f"lease: sample {sample} of group {e['serial']} was given to "
                             f"{s.worker} while {other.worker} had it.")
            s.held.add(lease)
            s.life.asked.setdefault((e["who"], *lease), e["t"])

    # --- versions ---

    def _on_sent_weights_begin(self, e: Event, s: Session) -> None:
        s.updates[e["update"]] = e["base"], e["version"]

    def _on_sent_weights_commit(self, e: Event, s: Session) -> None:
        if e["update"] in s.updates:
            s.life.opens(s.updates[e["update"]][1], e["t"])

    def _on_sent_weights_abort(self, e: Event, s: Session) -> None:
        """Behind a COMMIT it takes the update back: the base may be served again."""
        base, version = s.updates.get(e["update"], (None, None))
        if base is not None and any(i.version == version for i in s.life.intervals):
            s.life.opens(base, e["t"])

    def _on_received_weights_status(self, e: Event, s: Session) -> None:
        if e["phase"] in (APPLIED, ROLLED_BACK):
            self._says_version(e, s.life, s.worker)
            self._check_digest(e["version"], e["digest"], f"WEIGHTS_STATUS of {s.worker}")

    def _on_received_heartbeat(self, e: Event, s: Session) -> None:
        if not any(i.version == e["version"] for i in s.life.intervals):
            self.say(f"I3: {s.worker} says that it serves version {e['version']}, which nobody "
                     "committed there.")

    # --- results ---

    def _on_received_result(self, e: Event, s: Session) -> None:
        if e["epoch"] != self._epochs.get(e["who"]):
            return  # the client refuses it; "fence" looks at what was consumed
        for sample, spans, finish in zip(e["samples"], e["spans"], e["finish"]):
            lease = (e["serial"], sample)
            s.held.discard(lease)
            asked = s.life.asked.get((e["who"], *lease))
            if asked is None:
                self.say(f"lease: {s.worker} sent sample {sample} of group {e['serial']}, which "
                         "it was never given.")
                continue
            self._check_spans(e, s, sample, spans, asked)
            if finish in ("stop", "length"):
                self._check_result_digest(e, s, sample, spans, asked)

    def _check_spans(self, e: Event, s: Session, sample: int, spans: Any, asked: float) -> None:
        versions = [version for _, version in spans]
        what = f"sample {sample} of group {e['serial']} by {s.worker}"
        if versions != sorted(set(versions)) or (spans and spans[0][0] != 0):
            self.say(f"I3: {what} has spans {spans}, expected the first at 0 and rising versions.")
        for version in versions:
            if not any(i.version == version and i.meets(asked, e["t"]) for i in s.life.intervals):
                self.say(f"I3: {what} has tokens of version {version}, which was not served there "
                         "between its TASK and its RESULT.")

    def _check_result_digest(self, e: Event, s: Session, sample: int, spans: Any,
                             asked: float) -> None:
        """Of what was served at its end: its last version, or one that came right behind it."""
        last = spans[-1][1] if spans else -1
        allowed = {self._digests[i.version] for i in s.life.intervals
                   if i.version >= last and i.version in self._digests
                   and i.meets(asked, e["t"])}
        if self._digests and e["digest"] not in allowed:
            self.say(f"I4: sample {sample} of group {e['serial']} by {s.worker} has digest "
                     f"{e['digest']}, expected that of version {last}: "
                     f"{self._digests.get(last)}.")


def check_wire(events: List[Event]) -> List[str]:
    digests = {e["version"]: e["digest"] for e in events if e["event"] == "manifest"}
    wire = Wire(digests)
    for e in events:
        wire.on(e)
    return wire.found


# --- what the training loop was given ---

def consumed(events: List[Event]) -> Iterator[Tuple[Event, Sample, Dict[str, Any]]]:
    for e in events:
        if e["event"] == "consumed":
            for s in e["samples"]:
                yield e, (e["id"], s["sample"]), s


def check_once(events: List[Event]) -> List[str]:
    counts = Counter(sample for _, sample, _ in consumed(events))
    return [f"I1: sample {sample[1]} of group {sample[0]} was consumed {n} times."
            for sample, n in counts.items() if n > 1]


def check_ends(events: List[Event], within_s: float) -> List[str]:
    """The submit that counts is the first: a restart asks for the same ones again."""
    asked: Dict[Any, Event] = {}
    for e in events:
        if e["event"] == "submit":
            for id in e["ids"]:
                asked.setdefault(id, e)
    cancelled = {e["id"] for e in events if e["event"] == "cancelled"}
    ends = {sample: (e, s) for e, sample, s in consumed(events)}
    found = []
    for sample in ends:
        if sample[0] not in asked:
            found.append(f"I2: group {sample[0]} was consumed and never asked for.")
    for id, submit in asked.items():
        for i in range(submit["n"]):
            if (id, i) not in ends:
                found.append(f"I2: sample {i} of group {id} did not end.")
                continue
            e, s = ends[id, i]
            finish = s["finish"]
            quarantined = finish == "error" and e["deaths"] >= 3
            if not (finish in ("stop", "length") or quarantined
                    or (finish == "cancelled" and id in cancelled)):
                found.append(f"I2: sample {i} of group {id} ended with {finish} "
                             f"({s['error']}), and was neither cancelled nor quarantined.")
            if e["t"] - submit["t"] > within_s:
                found.append(f"I2: sample {i} of group {id} took {e['t'] - submit['t']:.0f} s, "
                             f"expected at most {within_s:.0f}.")
    return found


def check_bits(events: List[Event], reference: Reference) -> List[str]:
    """Up to the first change of weights, which later tokens depend on the place of."""
    found = []
    for _, sample, s in consumed(events):
        if s["finish"] not in ("stop", "length") or not s["spans"]:
            continue
        version = s["spans"][0][1]
        want = reference.get(version, {}).get(sample)
        if want is None:
            if reference:
                found.append(f"I7: sample {sample[1]} of group {sample[0]} is of version "
                             f"{version}, of which there is no undisturbed run.")
            continue
        n = s["spans"][1][0] if len(s["spans"]) > 1 else max(len(s["tokens"]), len(want.tokens))
        for name, got, expected in (
                ("tokens", s["tokens"][:n], want.tokens[:n]),
                ("lp_full", s["lp_full"][:8 * n], want.lp_full[:8 * n]),
                ("lp_behav", s["lp_behav"][:8 * n], want.lp_behav[:8 * n])):
            if got != expected:
                found.append(f"I7: sample {sample[1]} of group {sample[0]} by {s['worker']} has "
                             f"other {name} than an undisturbed run.")
                break
    return found


def check_fence(events: List[Event]) -> List[str]:
    """Two trainers: once a worker has joined the newer, nothing of the older one counts."""
    found, epochs, newest, lives = [], {}, {}, {}
    for e in events:
        if e["event"] == "open":
            epochs[e["who"]] = e["epoch"]
        elif e["event"] == "received" and e["type"] == "HELLO":
            lives[e["who"], e["peer"]] = e["uid"], e["incarnation"]
        elif e["event"] == "received" and e["type"] == "RESULT":
            life = lives.get((e["who"], e["peer"]))
            seen = newest.get(life, 0)
            # A RESULT that was on its way is no obedience: the TASK behind the newer WELCOME is.
            if life and e["epoch"] > seen:
                newest[life] = e["epoch"]
            elif life and e["epoch"] < seen and e["epoch"] == epochs.get(e["who"]):
                found.append(f"fence: {life[0]} worked for epoch {e['epoch']} after it had worked "
                             f"for epoch {seen}.")
    joined: Dict[str, int] = {}
    for e in events:
        match = e["event"] == "said" and re.search(r"joined run '.*', epoch (\d+)", e["text"])
        if match:
            epoch = int(match.group(1))
            if epoch < joined.get(e["worker"], 0):
                found.append(f"fence: {e['worker']} joined epoch {epoch} after epoch "
                             f"{joined[e['worker']]}.")
            joined[e["worker"]] = epoch
    return found


# --- processes ---

def check_footprints(events: List[Event]) -> List[str]:
    """The last third of a life against the one before it: what is warm does not grow."""
    lives: Dict[Tuple[str, int], List[Event]] = defaultdict(list)
    for e in events:
        if e["event"] == "footprint":
            lives[e["worker"], e["pid"]].append(e)
    found = []
    for (worker, _), seen in lives.items():
        if len(seen) < _MIN_FOOTPRINTS or seen[-1]["t"] - seen[0]["t"] < _MIN_SPAN_S:
            continue
        third = len(seen) // 3
        middle, last = seen[third:2 * third], seen[2 * third:]
        for name, unit, slack in (("rss_kib", "KiB", _RSS_SLACK_KIB),
                                  ("n_fds", "open files", _FD_SLACK)):
            before, after = (statistics.median(e[name] for e in some) for some in (middle, last))
            if after > before + slack:
                found.append(f"I6: {worker} grew from {before:.0f} to {after:.0f} {unit}.")
    return found


def check_exits(events: List[Event]) -> List[str]:
    signals: Dict[int, Set[int]] = defaultdict(set)
    expected: Dict[str, Set[int]] = defaultdict(set)
    peers, complete, asked = {}, set(), set()
    for e in events:
        if e["event"] == "signal":
            signals[e["pid"]].add(e["signal"])
        elif e["event"] == "expect":
            expected[e["worker"]].add(e["status"])
        elif e["event"] == "received" and e["type"] == "HELLO":
            peers[e["who"], e["peer"]] = e["uid"]
        elif e["event"] == "sent" and e["type"] == "BYE" and e["code"] == 1:
            complete.add(peers.get((e["who"], e["peer"])))
        elif e["event"] == "sent" and e["type"] == "DRAIN":
            asked.add(peers.get((e["who"], e["peer"])))
    found = []
    for e in events:
        if e["event"] != "exit":
            continue
        worker, status, sent = e["worker"], e["status"], signals[e["pid"]]
        if status in expected[worker]:
            continue
        if status < 0 and -status not in sent:
            found.append(f"I8: {worker} died by signal {-status}, which nobody sent.")
        elif status == RUN_COMPLETE and worker not in complete:
            found.append(f"I8: {worker} ended with status 0, and no trainer had said that the run "
                         "is complete.")
        elif status == DRAINED and worker not in asked and not sent & {1, 2, 15}:
            found.append(f"I8: {worker} ended with status 75, and nobody had asked it to drain.")
        elif status > 0 and status != DRAINED:
            found.append(f"I8: {worker} ended with status {status}, which was not expected.")
    return found


def check(events: List[Event], reference: Optional[Reference] = None,
          within_s: float = 600.0) -> List[str]:
    """All violations, in the order of the invariants; each sentence once."""
    found = (check_once(events) + check_ends(events, within_s) + check_wire(events)
             + check_footprints(events) + check_bits(events, reference or {})
             + check_exits(events) + check_fence(events))
    return list(dict.fromkeys(sorted(found, key=lambda s: s.split(":")[0])))
