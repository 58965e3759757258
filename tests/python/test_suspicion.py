"""Which groups are to blame for deaths: kills at random blame nobody, poison is found in them."""

import random

import pytest
from test_dispatch import Simulation

N_WORKERS, N_GROUPS, N_KILLS = 8, 60, 20
SEEDS = range(25)


class Pool(Simulation):
    """Workers that are killed, and replaced at once. Time passes in turns: in each, some finish
    what they have next."""

    def __init__(self, seed, poison=(), n_workers=N_WORKERS):
        super().__init__()
        self.random, self.poison, self.n_made = random.Random(seed), set(poison), 0
        self.n_deaths_by_poison = 0
        for _ in range(n_workers):
            self.make()

    def make(self):
        self.n_made += 1
        self.join(f"pod-{self.n_made}", slots=16, incarnation=self.n_made)

    def kill(self, peer):
        del self.peers[peer.address]
        self.core.lose(self.core.workers[peer.address], "it was killed", "connection")
        self.core.settle()
        self.make()

    def turn(self):
        for peer in list(self.peers.values()):
            if any(task[0] in self.poison for task in peer.tasks):
                self.n_deaths_by_poison += 1
                self.kill(peer)
            elif peer.tasks and self.random.random() < 0.3:
                peer.answer(1)
                self.core.settle()

    def run(self, n_kills):
        self.submit(*[2] * N_GROUPS)
        while len(self.box.groups) < N_GROUPS:
            self.turn()
            if n_kills and self.random.random() < 0.5:  # twenty in a few seconds of a real pool
                n_kills -= 1
                self.kill(self.random.choice(list(self.peers.values())))
        return [g.serial for g in self.box.groups if "error" in g.finish_reason]


def test_kills_at_random_quarantine_nobody():
    blamed = {seed: Pool(seed).run(N_KILLS) for seed in SEEDS}
    assert not {seed: bad for seed, bad in blamed.items() if bad}


@pytest.mark.parametrize("n_kills", [0, 2, N_KILLS])
def test_poison_is_found(n_kills):
    for seed in SEEDS:
        pool = Pool(seed, poison={7})
        assert pool.run(n_kills) == [7], f"seed {seed}"
        n_deaths = len(next(g for g in pool.box.groups if g.serial == 7).deaths)
        assert n_deaths >= 3
        if n_kills == 0:
            assert n_deaths == pool.n_deaths_by_poison == 3
        else:  # more evidence is asked for where workers die anyhow
            assert pool.n_deaths_by_poison <= 3 + n_kills


@pytest.mark.parametrize("n_workers", [2, 3, N_WORKERS])
def test_two_poisons_cost_three_deaths_each(n_workers):
    """Also where there are two workers, and each poison is the other's bad luck."""
    for seed in SEEDS:
        pool = Pool(seed, {7, 30}, n_workers)
        assert sorted(pool.run(0)) == [7, 30]
        assert pool.n_deaths_by_poison <= 6, f"seed {seed}"
