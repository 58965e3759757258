"""The core alone, without sockets: who gets what, by random simulation and in large numbers."""

import random
from collections import Counter

import numpy as np
import pytest

import stampede
from stampede import jobs, wire
from stampede.core import Core

RUN = "run"


class Box:
    """Where groups go."""

    def __init__(self):
        self.groups = []

    def put(self, group):
        self.groups.append(group)


class Peer:
    """A worker as the core sees it: what was sent to it, and what it says."""

    def __init__(self, simulation, name, slots=8, version=0, dtype="f32", digest=1,
                 incarnation=1):
        self.simulation, self.name = simulation, name
        self.slots = self.credit = slots
        self.version, self.dtype, self.digest = version, dtype, digest
        self.address, self.incarnation = (0, name.encode()), incarnation
        self.seq, self.n_results, self.sent = 0, 0, 0
        self.tasks = []  # (serial, first, n, attempt)
        self.cancelled = set()

    def hello(self):
        self.seq, self.sent, self.credit, self.tasks = 0, 0, self.slots, []
        self.say("HELLO", uid=self.name, incarnation=self.incarnation, build="b", numerics="n",
                 fingerprint=1, slots=self.slots, max_context=512, vocab=512,
                 version=self.version, digest=self.digest, dtype=wire.DTYPES[self.dtype][0])

    def say(self, kind, **fields):
        self.seq += 1
        frames = wire.encode(wire.Message(kind, fields, RUN, 0, self.seq))
        self.simulation.core.on_message(self.address, wire.decode(*frames), self.simulation.now)

    def hear(self, message):
        if message.type == "TASK":
            self.tasks.append([message["serial"], message["first"], message["n"],
                               message["attempt"]])
            self.sent += message["n"]
            assert self.sent <= self.credit, "the credit was exceeded"
        elif message.type == "CANCEL":
            self.cancelled.add(message["serial"])

    def answer(self, n=1, finish="stop"):
        """Sends up to n samples of its first task in one RESULT."""
        serial, first, left, attempt = task = self.tasks[0]
        n = min(n, left)
        task[1], task[2] = first + n, left - n
        if task[2] == 0:
            self.tasks.pop(0)
        finish = "cancelled" if serial in self.cancelled else finish
        self.n_results += 1
        samples = np.arange(first, first + n, dtype="<i4")
        zeros = np.zeros(n, "<f4")
        self.say("RESULT", result=self.n_results, serial=serial, id="x", attempt=attempt,
                 digest=self.digest, sample=samples,
                 finish=np.full(n, wire.FINISH.index(finish), "<u1"),
                 token_offsets=np.arange(n + 1, dtype="<i8"), tokens=samples, lp_full=zeros,
                 lp_behav=zeros, span_offsets=np.arange(n + 1, dtype="<i8"),
                 span_first=np.zeros(n, "<i4"), span_version=np.full(n, self.version, "<u8"))
        self.credit += n
        self.say("CREDIT", slots=self.credit)


class Simulation:
    def __init__(self, min_workers=1):
        self.peers, self.now, self.box, self.dead = {}, 0.0, Box(), set()
        self.core = Core(RUN, 0, min_workers, self._send, lambda work, done: None)
        self.serial = 0

    def _send(self, address, frames):
        peer = self.peers.get(address)
        if peer is None:
            return False
        peer.hear(wire.decode(*frames))
        return True

    def join(self, name, **more):
        peer = Peer(self, name, **more)
        self.peers[peer.address] = peer
        peer.hello()
        self.core.settle()
        return peer

    def leave(self, peer):
        del self.peers[peer.address]
        self.core.lose(self.core.workers[peer.address], "it was killed")
        self.core.settle()

    def submit(self, *sizes, min_version=0):
        """A group of each size; their serials."""
        made = []
        for n in sizes:
            request = jobs.Request(n, None, 0, min_version, "continue", False, False, None)
            made.append(request.job(stampede.Prompt(prompt_ids=[1]), 0, self.serial, self.box))
            self.serial += 1
        self.core.submit(made)
        self.core.settle()
        return [job.serial for job in made]

    def finish(self):
        """Everybody answers until nobody has anything."""
        while any(peer.tasks for peer in self.peers.values()):
            for peer in list(self.peers.values()):
                if peer.tasks:
                    peer.answer(1 << 16)
                self.core.settle()

    def came(self):
        return sorted(group.serial for group in self.box.groups)


def check_group(group):
    """Each sample once, as its number says."""
    if "cancelled" not in group.finish_reason:
        assert [tokens.tolist() for tokens in group.tokens] == [[i] for i in range(group.n)]
        assert group.finish_reason == ["stop"] * group.n


@pytest.mark.parametrize("seed", range(25))
def test_random_lives(seed):
    """Workers of two kinds come, go, preempt and repeat; groups are cancelled. In the end each
    group that was not cancelled has come once, with each sample once, from one kind of worker."""
    rng = random.Random(seed)
    s = Simulation()
    kinds, n_names, cancelled, wanted = [("f32", 1), ("bf16", 2)], 0, set(), 0
    s.join("w0", slots=5)
    for _ in range(400):
        peers = list(s.peers.values())
        busy = [peer for peer in peers if peer.tasks]
        event = rng.random()
        if event < 0.1 and s.serial < 60:
            wanted += len(s.submit(*(rng.choice([1, 2, 7, 16, 40]) for _ in range(3))))
        elif event < 0.15 and len(peers) < 6:
            n_names += 1
            dtype, digest = rng.choice(kinds)
            s.join(f"n{n_names}", slots=rng.choice([1, 3, 8, 30]), dtype=dtype, digest=digest)
        elif event < 0.2 and len(peers) > 1:
            s.leave(rng.choice(peers))
        elif event < 0.23 and peers:
            peer = rng.choice(peers)
            peer.hello()  # a new session: what it had is gone
        elif event < 0.25 and s.serial:
            serial = rng.randrange(s.serial)
            s.core.cancel([serial], rng.random() < 0.3)
            cancelled.add(serial)
        elif busy:
            rng.choice(busy).answer(rng.choice([1, 2, 100]),
                                    rng.choice(["stop"] * 9 + ["preempted"]))
        s.core.settle()
    for dtype, digest in kinds:
        s.join(f"last {dtype}", slots=64, dtype=dtype, digest=digest)
    s.finish()
    came = Counter(s.came())
    assert set(came.values()) <= {1} and set(range(wanted)) - cancelled <= came.keys()
    for group in s.box.groups:
        check_group(group)
    assert s.core.n_jobs == 0 and s.core.dispatcher.n_waiting() == 0
    assert all(w.n_held == 0 and not w.held for w in s.core.workers.values())
    assert not s.core._by_id and not any(s.core.dispatcher._queues.values())


def test_a_group_of_65536_samples():
    s = Simulation()
    peers = [s.join(f"w{i}", slots=1000 + i) for i in range(3)]
    s.submit(65536)
    for _ in range(70):
        for peer in peers:
            for n in (1, 999):
                if peer.tasks:
                    peer.answer(n)
        s.core.settle()
    s.finish()
    (group,) = s.box.groups
    assert np.array_equal(np.concatenate(group.tokens), np.arange(65536))
    assert len({id(part) for part, _ in group._parts}) > 100


@pytest.mark.parametrize("n_workers", [1, 256])
def test_many_groups_and_workers(n_workers):
    """10,000 groups wait for so many workers; client_bench.py says what it costs."""
    s = Simulation()
    for i in range(n_workers):
        s.join(f"w{i}", slots=16)
    s.submit(*[8] * 10_000)
    s.finish()
    assert s.came() == list(range(10_000))


def test_a_group_that_waits_for_a_version_stands_in_nobodys_way():
    s = Simulation()
    peer = s.join("w0", slots=4)
    late = s.submit(4, min_version=3) + s.submit(4, min_version=2)
    now = s.submit(4, 4)
    s.finish()
    assert s.came() == now
    # A worker with version 2 comes (as if the first push was of an earlier epoch).
    s.core.updates._served.base = 2
    s.leave(peer)
    peer = s.join("w1", slots=4, version=2)
    s.finish()
    assert s.came() == sorted([late[1], *now])
    more = s.submit(4)
    s.finish()
    assert s.came() == sorted([late[1], *now, *more])


def test_many_versions_that_are_waited_for():
    s = Simulation()
    s.join("w0", slots=4)
    for version in range(2000):
        s.submit(2, min_version=version)
    s.submit(*[2] * 2000)
    s.finish()
    assert s.came() == [0, *range(2000, 4000)]


def test_older_groups_go_first():
    s = Simulation()
    a = s.join("a", slots=2)
    order = s.submit(2, 2, 2, 2)
    s.leave(a)  # the first is given back, in front of the others
    b = s.join("b", slots=2)
    seen = []
    while b.tasks:
        seen.append(b.tasks[0][0])
        b.answer(2)
        s.core.settle()
    assert seen == order


def test_a_worker_that_drains_gets_nothing_more():
    s = Simulation()
    a = s.join("a", slots=100)
    a.say("DRAIN")
    s.submit(4)
    assert not a.tasks
    b = s.join("b", slots=4)
    a.say("HEARTBEAT", draining=True)
    s.core.settle()
    assert not a.tasks and len(b.tasks) == 1


def test_who_cannot_be_reached_is_waited_for_until_all_is_read():
    """Until then it is given nothing, and what it said counts."""
    s = Simulation()
    a = s.join("a", slots=8)
    del s.peers[a.address]  # from here on sending to it fails
    s.submit(2, 2)
    assert s.core.counters["sent_tasks"] == 1  # the first showed that it is gone
    for _ in range(3):
        s.core.settle(all_read=False)
    assert a.address in s.core.workers and s.core.counters["deaths_by_connection"] == 0
    s.core.settle()
    s.core.settle()
    assert not s.core.workers and s.core.counters["deaths_by_connection"] == 1
    b = s.join("b", slots=8)
    assert len(b.tasks) == 2


def test_cancelling_thousands_one_by_one():
    s = Simulation()
    s.join("w0", slots=4)
    serials = s.submit(*[2] * 20_000)
    for serial in serials:
        s.core.cancel(s.core.serials_of(b"%d" % serial), False)
    s.core.settle()
    s.finish()
    assert s.came() == serials
    assert s.core.dispatcher.n_waiting() == 0


def test_results_of_other_sessions_count_once():
    """The samples of a worker that was lost come again from another, and then from both."""
    s = Simulation()
    a = s.join("a", slots=8)
    s.submit(6)
    tasks = [list(task) for task in a.tasks]
    a.hello()  # a new session; the work is given out again, to a itself
    s.core.settle()
    again = [list(task) for task in a.tasks]
    b = s.join("b", slots=8)
    a.tasks = tasks
    a.answer(4)  # results of the former session are sent again
    a.tasks = again
    s.core.settle()
    s.finish()
    (group,) = s.box.groups
    check_group(group)
    assert s.core.counters["duplicate_samples"] == 4 and not b.tasks


def test_parts_of_a_result_that_came_already():
    s = Simulation()
    a = s.join("a", slots=8)
    s.submit(5)
    whole = [list(task) for task in a.tasks]
    a.answer(2)
    a.tasks = whole
    a.answer(5)  # two of these have come
    (group,) = s.box.groups
    check_group(group)
    assert s.core.counters["duplicate_samples"] == 2
    assert s.core.workers[a.address].n_held == 0
