"""Ranks of a training job on this machine: processes with gloo, each of which runs one function.

    outcomes = run(3, case, port_free_folder, *arguments)

`case(rank, n, *arguments)` returns something JSON can carry. None: the rank died.
"""

import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
from datetime import timedelta

import torch
import torch.distributed as dist


def _main(case, rank, n, folder, arguments):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank,
                            world_size=n, timeout=timedelta(seconds=60))
    try:
        out = {"value": case(rank, n, *arguments)}
    except BaseException:
        out = {"failed": traceback.format_exc()}
    (folder / f"{rank}.part").write_text(json.dumps(out))
    (folder / f"{rank}.part").rename(folder / f"{rank}.json")
    sys.stdout.flush()
    os._exit(0)  # the process group would wait for ranks that died


def start(n, case, folder, *arguments):
    # Forked from a server that has torch: importing it takes a rank some seconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed.fsdp", "torch.distributed.tensor",
                                    "stampede"])
    ranks = [context.Process(target=_main, args=(case, rank, n, folder, arguments))
             for rank in range(n)]
    for rank in ranks:
        rank.start()
    return ranks


def finish(ranks, folder, seconds=100):
    """What each rank returned. A rank that hangs is a failure."""
    end = time.monotonic() + seconds
    for rank in ranks:
        rank.join(max(0.1, end - time.monotonic()))
    hanging = [i for i, rank in enumerate(ranks) if rank.is_alive()]
    for rank in ranks:
        rank.kill()
        rank.join()
    assert not hanging, f"ranks {hanging} hang"
    out = []
    for i in range(len(ranks)):
        path = folder / f"{i}.json"
        said = json.loads(path.read_text()) if path.exists() else {"value": None}
        assert "failed" not in said, said["failed"]
        out.append(said["value"])
    return out


def run(n, case, folder, *arguments):
    return finish(start(n, case, folder, *arguments), folder)


class Peak:
    """The most memory of its own (not of files) that this process had while it was watched, beyond
    what it had before: bytes."""

    def __enter__(self):
        self.before = self.most = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.002):
            self.most = max(self.most, self._now())

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()

    @property
    def bytes(self):
        return self.most - self.before

    @staticmethod
    def _now():
        with open("/proc/self/status", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("RssAnon"))
        return int(line.split()[1]) << 10
