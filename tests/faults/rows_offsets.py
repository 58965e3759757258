"""A delta that is cut at random bytes: by kill -9 and by SIGSTOP of the trainer and of the worker,
by the socket and by a directory."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from safetensors.torch import load_file

from harness import PATIENCE_S, eventually
from matrix import case
from push_at import Settings
from scenario import Run
from test_kills import free_url

HERE = Path(__file__).resolve().parent
SHORT_S, LONG_S = 1.0, 8.0  # less and more than what a peer may be silent (5 s)
PUSH_S = 40.0
ID_FILE = "stampede-directory"


class Fault(NamedTuple):
    who: str
    signal: int
    stop_s: float = 0.0


FAULTS = [Fault(who, number, seconds) for number, seconds in (
    (signal.SIGKILL, 0.0), (signal.SIGSTOP, SHORT_S), (signal.SIGSTOP, LONG_S))
    for who in ("trainer", "worker")]


class Scene:
    """A worker, the two versions that it may serve, and trainers that push the second one."""

    def __init__(self, run: Run, shared: Optional[Path]) -> None:
        self.run, self.shared, self.url = run, shared, free_url()
        self.flags: Dict[str, Any] = {} if shared is None else {"weights_dir": shared}
        self.epochs = itertools.count(1)
        self.worker = run.worker(self.url, **self.flags)
        self.base, self.target = self._weights(run.folder)
        self.quiet: Optional[Tuple[int, int]] = None  # its footprint when nothing goes on

    def _weights(self, folder: Path) -> Tuple[Tuple[str, str], Tuple[str, str]]:
        """File and digest of each; the digest is that of a checkpoint on disk, by `inspect`. One
        value in three changes."""
        from test_updates import digest_of, noisy, save
        state = noisy(1)
        out: List[Tuple[str, str]] = []
        for name in ("base", "target"):
            path = folder / name
            if not path.exists():
                save(state, path)
            out.append((str(path / "model.safetensors"), digest_of(path)))
            state = {key: value.clone() for key, value in load_file(out[0][0]).items()}
            for value in state.values():
                value.view(-1)[::3] *= 1.25
        return out[0], out[1]

    def footprint(self) -> Tuple[int, int]:
        """Open files and threads of the worker."""
        root = Path(f"/proc/{self.worker.pid}")
        return len(os.listdir(root / "fd")), len(os.listdir(root / "task"))

    # --- one fault ---

    def suffer(self, fault: Fault, share: float) -> str:
        """What became of the push; fails where it is neither of the two versions whole."""
        settings = Settings(self.url, next(self.epochs), self.base[0], self.target[0], 1, share,
                            fault.signal, self.worker.pid if fault.who == "worker" else None,
                            None if self.shared is None else str(self.shared), PUSH_S)
        trainer = subprocess.Popen([sys.executable, str(HERE / "push_at.py"),
                                    json.dumps(asdict(settings))], stdout=subprocess.PIPE)
        try:
            said = list(self._follow(trainer, fault))
        finally:
            trainer.kill()
            trainer.wait(PATIENCE_S)
        assert "at" in said[0], "the push had no such byte"
        if fault == FAULTS[0]:
            assert len(said) == 1 and trainer.returncode == -signal.SIGKILL
            return self._after_its_death()
        (worker,) = said[1]["workers"]
        error = said[1]["error"]
        expected = self.base if error else self.target
        assert worker["digest"] == expected[1], (fault, error, worker)
        assert worker["version"] == (1 if error else 2)
        assert not error or (error.endswith(".") and "version 2" in error), error
        return f"base: {error}" if error else "target"

    def _follow(self, trainer: "subprocess.Popen[bytes]", fault: Fault) -> Iterator[Any]:
        assert trainer.stdout is not None
        for line in trainer.stdout:
            said = json.loads(line)
            yield said
            if "at" not in said:
                continue
            if fault.signal == signal.SIGSTOP:
                time.sleep(fault.stop_s)
                os.kill(trainer.pid if fault.who == "trainer" else self.worker.pid,
                        signal.SIGCONT)
            elif fault.who == "worker":
                self.worker.child.wait(PATIENCE_S)
                self.worker = self.run.worker(self.url, **self.flags)
                self.quiet = None

    def _after_its_death(self) -> str:
        """What the next trainer finds."""
        import stampede
        with stampede.Trainer(self.url, run="offsets", epoch=next(self.epochs),
                              **self.flags) as trainer:
            trainer.wait_for_workers(1, PATIENCE_S)
            (worker,) = trainer.workers()
            assert (worker["version"], worker["digest"]) == (1, self.base[1]), worker
        return "base"

    def is_clean(self) -> None:
        """No file, no descriptor and no thread is left over."""
        if self.shared is not None:
            eventually(lambda: [f.name for f in self.shared.iterdir()] == [ID_FILE])
        assert self.worker.alive()
        if self.quiet is None:  # the least, since a connection comes and goes while nobody is there
            looks = []
            for _ in range(20):
                looks.append(self.footprint())
                time.sleep(0.05)
            self.quiet = min(n for n, _ in looks), min(n for _, n in looks)
        n_fds, n_threads = self.quiet
        eventually(lambda: all(a <= b for a, b in zip(self.footprint(), (n_fds, n_threads))))


@case(16, "offsets")
def offsets(run: Run) -> None:
    """20 bytes by each way in the long form, 3 in the short one. The seed says which."""
    run.is_judged = True  # nothing is drawn: what the worker holds is looked at
    n = 20 if run.is_long else 3
    faults = run.rng.sample(FAULTS, len(FAULTS))
    for i, way in enumerate(("socket", "directory")):
        shared = run.folder / "shared" if way == "directory" else None
        if shared is not None:
            shared.mkdir()
        scene = Scene(run, shared)
        for k in range(n):
            fault, share = faults[(i * n + k) % len(faults)], run.rng.random()
            outcome = scene.suffer(fault, share)
            scene.is_clean()
            print(f"   {way:9} at {100 * share:5.2f}%: signal {int(fault.signal)} to the "
                  f"{fault.who}, {fault.stop_s:g} s: {outcome}", flush=True)
        scene.worker.terminate()
    run.notes.append(f"seed {run.seed}: {n} bytes by each way")
