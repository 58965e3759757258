"""`stampede serve --device NAME:all`: a worker on each device, one parent (on emulated devices)."""

from __future__ import annotations

from pathlib import Path

import pytest

import stampede
from cli import BIN
from harness import SHORT, Worker, collect, eventually, prompts

pytestmark = pytest.mark.skipif(not (Path(BIN).parent / "stampede_cudasim.so").exists(),
                                reason="CUDA was left out: there is no stampede_cudasim.so")


@pytest.mark.parametrize("device,names", [("cudasim:all", ["pool-0", "pool-1"]),
                                          ("cudasim:1,0", ["pool-0", "pool-1"])])
def test_a_worker_on_each_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str,
                                 names: list) -> None:
    monkeypatch.setenv("CUDASIM_DEVICES", "2")
    monkeypatch.setenv("CUDASIM_SMS", "2")
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        worker = Worker(tmp_path, trainer.url, device=device, name="pool", max_rows=4,
                        max_context=64, kv_memory="1M", suspend_memory="1M")
        try:
            eventually(lambda: sorted(w["uid"] for w in trainer.workers()) == names, 300)
            assert len(collect(trainer.generate(prompts(4), n=2, sampling=SHORT))) == 8
            worker.terminate()
            worker.ends(75, 300)
        finally:
            worker.kill()


def test_one_address_is_not_enough_for_two(tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDASIM_DEVICES", "2")
    worker = Worker(tmp_path, "tcp://127.0.0.1:0", bind=True, device="cudasim:all")
    worker.ends(2)
    assert "--bind" in worker.log() and "2 devices" in worker.log()
