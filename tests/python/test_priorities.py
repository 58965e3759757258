"""Several calls at once: who is handed out next."""

import random
import time

import pytest
from client import eventually, prompts
from fake_worker import FakeWorker

import stampede
from stampede import jobs
from stampede.queues import Flow, Lanes
from test_dispatch import Box, Simulation


def submit(s, n_groups, n=1, priority=0):
    """A call: the serials of its groups."""
    request = jobs.Request(n, None, 0, None, "continue", False, False, None,
                           priority=priority)
    box, first = Box(), getattr(s, "n_made", 0)
    made = [request.job(stampede.Prompt(prompt_ids=[1]), i, first + i, box)
            for i in range(n_groups)]
    s.n_made = first + n_groups
    s.core.submit(made)
    return {job.serial for job in made}


@pytest.fixture
def s():
    return Simulation()


def served(s, peer, rounds, sizes=None):
    """The serials that the worker is given, one after the other, as it ends what it has; with their
    samples in `sizes`."""
    order = []
    for _ in range(rounds):
        s.core.settle()
        if not peer.tasks:
            break
        order.append(peer.tasks[0][0])
        if sizes is not None:
            sizes.append((peer.tasks[0][0], peer.tasks[0][2]))
        peer.answer(peer.tasks[0][2])
    return order


def test_higher_priority_first(s):
    peer = s.join("w", slots=1)
    low, high, middle = submit(s, 4, priority=-3), submit(s, 4, priority=9), submit(s, 4)
    order = served(s, peer, 12)
    assert set(order[:4]) == high and set(order[4:8]) == middle and set(order[8:]) == low
    assert order[:4] == sorted(high)


def test_calls_of_one_priority_share(s):
    """A small call does not wait for a large one, whichever came first; samples are counted."""
    peer = s.join("w", slots=8)
    large, small = submit(s, 200, n=4), submit(s, 20, n=4)
    order = served(s, peer, 60)
    n_small = [serial in small for serial in order]
    assert sum(n_small) == 20 and sum(n_small[:44]) == 20
    wide, narrow = submit(s, 20, n=8), submit(s, 100, n=1)
    sizes = []
    order = [x for x in served(s, peer, 400, sizes) if x not in large]
    given = {True: 0, False: 0}
    for serial, n in sizes:  # as many samples of one call as of the other, while both wait
        if serial not in large and given[False] < 90:
            given[serial in wide] += n
            assert abs(given[True] - given[False]) <= 16
    assert given[True] > 70 and set(order) == wide | narrow


def test_one_that_comes_late_takes_no_more_than_its_share(s):
    peer = s.join("w", slots=2)
    first = submit(s, 100, n=2)
    served(s, peer, 50)
    late = submit(s, 100, n=2)
    order = served(s, peer, 40)
    assert abs(sum(x in late for x in order) - 20) <= 1 and first


def test_a_thousand_calls_of_one_prompt(s):
    peer = s.join("w", slots=4)
    start = time.process_time()
    for _ in range(1500):
        submit(s, 1)
    order = served(s, peer, 1500)
    assert order == list(range(1500))
    assert len(next(iter(s.core.dispatcher._queues.values()), Lanes())._heap) < 200
    assert time.process_time() - start < 60  # quadratic: minutes


class Item:
    def __init__(self, flow, serial):
        self.job, self.flow, self.serial = self, flow, serial


def test_lanes_beside_the_obvious():
    rng = random.Random(2)
    for _ in range(60):
        lanes, model = Lanes(), []  # (flow, item) in the order within each flow
        flows = [Flow(rng.choice([0, 0, 1])) for _ in range(rng.randrange(1, 6))]
        for serial in range(300):
            what = rng.random()
            if what < 0.45:
                item = Item(rng.choice(flows), serial)
                lanes.append(item)
                model.append(item)
            elif what < 0.55:
                flow = rng.choice(flows)
                items = [Item(flow, serial), Item(flow, serial)]
                lanes.extendleft(items)
                model[:0] = items
            elif what < 0.6:
                rng.choice(flows).given += rng.randrange(5)
            else:
                bad = {id(i) for i in model if rng.random() < 0.1}
                ready = []
                for flow in flows:
                    mine = [i for i in model if i.flow is flow]
                    while mine and id(mine[0]) in bad:
                        mine.pop(0)
                    ready += mine[:1]
                key = lanes.head(lambda r: id(r) not in bad)
                best = min(((-h.flow.priority, h.flow.given, h.serial) for h in ready),
                           default=None)
                # The serial decides among equals that were looked at: one deeper in the heap may be
                # older by now.
                assert (key is None) == (best is None) and (key or ())[:2] == (best or ())[:2]
                # What head() has not looked at may be in there still.
                left = list(lanes)
                model = [i for i in model if i in left]
                assert lanes.n == len(left)
                if key is not None:
                    item = lanes.pop()
                    assert (-item.flow.priority, item.flow.given) == best[:2] and item in ready
                    model.remove(item)
                    item.flow.given += 1


def test_priorities_by_the_wire():
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        low = trainer.generate(prompts(20), n=2)
        high = trainer.generate(prompts(5), n=2, priority=1)
        with FakeWorker(trainer.url, slots=2) as worker:
            assert len(list(high)) == 5 and len(list(low)) == 20
            tasks = [m["serial"] for m in worker.log if m.type == "TASK"]
            assert [x >= 20 for x in tasks] == sorted((x >= 20 for x in tasks), reverse=True)
        eventually(lambda: not trainer.workers())
        for bad in (1.5, "1", None, 1 << 31):
            with pytest.raises(stampede.StampedeError, match="generate: priority"):
                trainer.generate(prompts(1), priority=bad)

