"""The client's threads and processes: forks, ends, interrupts, asyncio, many callers at once."""

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from client import check_all, eventually, prompts, quick_loss, trainer
from fake_worker import FakeWorker

import stampede
from stampede import core, wire

HERE = Path(__file__).resolve().parent
PREAMBLE = """
import gc, multiprocessing, os, signal, sys, threading, time
sys.path.insert(0, {here!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may come ignored
# A hang ends it. (faulthandler's watchdog would itself hang in a forked process.)
signal.alarm(90)
os.register_at_fork(after_in_child=lambda: signal.alarm(60))
import stampede
from fake_worker import FakeWorker
from client import check_all, eventually, prompts
"""


def script(code, *arguments, **more):
    """Runs Python code in a process of its own. Returns it, with its output."""
    text = PREAMBLE.format(here=str(HERE)) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text, *map(str, arguments)], capture_output=True,
                          text=True, timeout=100, **more)


def check_script(code, *arguments):
    done = script(code, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


# --- forks ---


FORK = """
import torch

def child(trainer, call, worker):
    calls = [lambda: list(trainer.generate(prompts(1))), lambda: next(call), trainer.workers,
             trainer.counters, lambda: trainer.cancel(0), lambda: trainer.wait_for_workers(1, 30),
             lambda: trainer.push_weights({"w": torch.ones(1)}, version=1),
             lambda: trainer.agenerate(prompts(1))]
    for i, one in enumerate(calls):
        try:
            one()
        except stampede.ForkedError as error:
            words = f"belongs to process {os.getppid()}"
            assert words in str(error) and str(error).endswith("."), str(error)
        else:
            raise AssertionError(f"call {i} did not raise")
    call.close()
    trainer.close(run_complete=True)
    trainer.close()

with stampede.Trainer("tcp://127.0.0.1:0") as trainer, FakeWorker(trainer.url, hold=True) as worker:
    call = trainer.generate(prompts(3), n=2)
    eventually(lambda: worker.count("TASK") == 3)
    %s
    worker.release()
    check_all(list(call), 3, 2)
    check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=3)
    assert worker.count("BYE") == 0 and worker.count("CANCEL") == 0
    assert worker.count("WELCOME") == 1 and trainer.next_serial == 5
"""


@pytest.mark.parametrize("how", [
    """
    pid = os.fork()
    if pid == 0:
        child(trainer, call, worker)
        del trainer, call, worker
        gc.collect()
        os._exit(17)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
    """, """
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=child, args=(trainer, call, worker)) for _ in range(3)]
    for process in processes: process.start()
    for process in processes: process.join(40)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    """], ids=["os.fork", "multiprocessing"])
def test_a_forked_process_cannot_use_it(how):
    check_script(FORK % textwrap.indent(textwrap.dedent(how), "    ").strip())


@pytest.mark.parametrize("drop", ["", "del trainer, call; gc.collect()"])
def test_a_forked_process_ends_as_any_other(drop):
    """Through the with, and to the end of the interpreter; the worker hears nothing of it."""
    with stampede.Trainer("tcp://127.0.0.1:0") as t:
        url = t.url
    with FakeWorker(url) as worker:
        check_script(f"""
            with stampede.Trainer(sys.argv[1]) as trainer:
                call = trainer.generate(prompts(3), n=2)
                groups = [next(call)]
                pid = os.fork()
                if pid == 0:
                    {drop or "pass"}
                    sys.exit(18)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 18
                check_all(groups + list(call), 3, 2)
                check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=3)
        """, url)
        assert worker.count("BYE") == 1
        assert worker.count("CANCEL") == worker.count("REFUSE") == 0


def test_a_fork_while_other_threads_call():
    """Locks that other threads hold at that moment stay locked in the child for ever."""
    check_script("""
        with stampede.Trainer("tcp://127.0.0.1:0") as trainer, FakeWorker(trainer.url):
            stop = threading.Event()
            def busy():
                while not stop.is_set():
                    list(trainer.generate(prompts(3), n=1))
            threads = [threading.Thread(target=busy) for _ in range(3)]
            for thread in threads: thread.start()
            for _ in range(30):
                pid = os.fork()
                if pid == 0:
                    try:
                        trainer.generate(prompts(1))
                    except stampede.ForkedError:
                        trainer.close()
                        os._exit(0)
                    os._exit(1)
                assert os.waitpid(pid, 0)[1] == 0
            stop.set()
            for thread in threads: thread.join()
            assert trainer.counters().get("lost_sessions", 0) == 0
    """)


def test_a_forked_process_makes_a_trainer_of_its_own():
    check_script("""
        with stampede.Trainer("tcp://127.0.0.1:0") as trainer, FakeWorker(trainer.url):
            trainer.wait_for_workers(1, 10)
            pid = os.fork()
            if pid == 0:
                with stampede.Trainer("tcp://127.0.0.1:0") as mine, FakeWorker(mine.url):
                    check_all(list(mine.generate(prompts(2), n=2)), 2, 2)
                os._exit(19)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 19
            check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)
    """)


def test_a_launched_worker_is_its_starters(tmp_path, monkeypatch):
    program = tmp_path / "stampede"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    check_script("""
        os.environ["STAMPEDE_BIN"] = sys.argv[1]
        with stampede.launch("m", connect="tcp://127.0.0.1:1") as worker:
            pid = os.fork()
            if pid == 0:
                for call in (worker.terminate, worker.kill, worker.wait, worker.poll):
                    try:
                        call()
                    except stampede.ForkedError:
                        continue
                    os._exit(1)
                worker.__exit__()
                with stampede.launch("m", connect="tcp://127.0.0.1:1") as mine:
                    assert mine.poll() is None
                os._exit(20)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 20
            assert worker.poll() is None
    """, program)


# --- ends ---


def test_an_open_trainer_does_not_keep_the_interpreter():
    """Its workers hear of the end."""
    with stampede.Trainer("tcp://127.0.0.1:0") as t:
        url = t.url
    with FakeWorker(url) as worker:
        done = script("""
            trainer = stampede.Trainer(sys.argv[1])
            call = trainer.generate(prompts(2), n=2)
            next(call)
            print("came")
        """, url)
        assert done.returncode == 0 and done.stdout == "came\n" and not done.stderr, done.stderr
        eventually(lambda: worker.count("BYE") == 1)


def test_a_trainer_that_is_dropped_ends():
    t = stampede.Trainer("tcp://127.0.0.1:0")
    with FakeWorker(t.url) as worker:
        call = t.generate(prompts(2), n=2)
        gone = weakref.ref(t)
        thread = t._loop._thread
        del t
        gc.collect()
        check_all(list(call), 2, 2)  # not while one waits for its groups
        assert gone() is not None and thread.is_alive()
        del call
        gc.collect()
        assert gone() is None
        thread.join(30)
        assert not thread.is_alive()
        eventually(lambda: worker.count("BYE") == 1)


def test_close_ends_who_waits(trainer):
    ended = []

    def wait(call):
        try:
            call()
        except stampede.ClosedError as error:
            ended.append(error)

    call = trainer.generate(prompts(2), n=2)
    waits = [lambda: next(call), lambda: trainer.wait_for_workers(1),
             lambda: trainer.push_weights({"w": torch.ones(1)}, version=1),
             lambda: asyncio.run(anext_of(trainer.agenerate(prompts(1))))]
    threads = [threading.Thread(target=wait, args=(one,)) for one in waits]
    for thread in threads:
        thread.start()
    eventually(lambda: trainer.next_serial == 3)
    trainer.close()
    for thread in threads:
        thread.join(30)
    assert len(ended) == 4
    trainer.close()


async def anext_of(call):
    async for group in call:
        return group


def test_what_came_before_the_end_is_not_lost(trainer):
    with FakeWorker(trainer.url):
        call, other = trainer.generate(prompts(3), n=2), trainer.agenerate(prompts(2), n=2)
        eventually(lambda: trainer._loop.call(lambda: trainer._core.n_jobs) == 0)
        trainer.close()
        got = [next(call) for _ in range(3)]
        check_all(got, 3, 2)
        assert list(call) == []
        check_all(asyncio.run(all_of(other)), 2, 2, first_serial=3)


def test_closing_a_call_ends_who_waits_for_it(trainer):
    with FakeWorker(trainer.url, hold=True) as worker:
        call = trainer.generate(prompts(2), n=2)
        got = []
        threads = [threading.Thread(target=lambda: got.append(list(call))) for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: worker.count("TASK") == 2)
        call.close()
        for thread in threads:
            thread.join(30)
        assert got == [[], [], []]


def test_interrupts():
    """Ctrl-C at a loop that waits, and at a push that waits; then both go on."""
    check_script("""
        import torch

        def interrupt(worker, kind, n):
            def run():
                eventually(lambda: worker.count(kind) >= n)
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=run).start()

        def interrupted(call):
            try:
                call()
            except KeyboardInterrupt:
                return
            raise AssertionError("it was not interrupted")

        with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
            with FakeWorker(trainer.url, hold=True) as worker:
                interrupt(worker, "TASK", 1)
                interrupted(lambda: list(trainer.generate(prompts(1), n=2)))
                eventually(lambda: worker.count("CANCEL") == 1)
                worker.answers_weights = False
                interrupt(worker, "WEIGHTS_BEGIN", 1)
                interrupted(lambda: trainer.push_weights({"w": torch.ones(1)}, version=1))
                eventually(lambda: worker.count("WEIGHTS_ABORT") == 1)
                worker.answers_weights = True
                worker.release()
                trainer.push_weights({"w": torch.ones(1)}, version=1)
                check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=1)
    """)


# --- many at once ---


def test_a_call_that_is_dropped_while_the_same_thread_calls(trainer):
    """As the garbage collector does it, in the middle of another call."""
    with FakeWorker(trainer.url):
        call = [trainer.generate(prompts(2), n=1)]

        class Commands(deque):
            def append(self, command):
                super().append(command)
                while call:
                    call.pop()  # __del__ posts a command of its own

        trainer._loop._commands = Commands()
        check_all(list(trainer.generate(prompts(2), n=1)), 2, 1, first_serial=2)
        assert not call


def test_threads_that_call_at_once(trainer):
    with FakeWorker(trainer.url, together=True), FakeWorker(trainer.url, uid="w1"):
        serials, errors = [], []

        def work(k):
            try:
                for _ in range(10):
                    groups = list(trainer.generate(prompts(3), n=2 + k % 3))
                    assert sorted(g.index for g in groups) == [0, 1, 2]
                    serials.extend(g.serial for g in groups)
                    for _ in trainer.generate(prompts(2), n=1):
                        break  # drops the rest
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        assert not errors and len(set(serials)) == len(serials) == 180
        assert trainer.next_serial == 6 * 10 * 5


def test_threads_share_a_call(trainer):
    with FakeWorker(trainer.url):
        call = trainer.generate(prompts(40), n=1)
        got = []
        threads = [threading.Thread(target=lambda: got.extend(call)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        check_all(got, 40, 1)


def test_a_call_is_dropped_in_another_thread(trainer):
    with FakeWorker(trainer.url, hold=True, slots=4) as worker:
        calls = [trainer.generate(prompts(4), n=2)]
        eventually(lambda: worker.count("TASK") == 2)
        thread = threading.Thread(target=calls.clear)
        thread.start()
        thread.join()
        eventually(lambda: worker.count("CANCEL") == 2)
        worker.release()
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=4)


def test_odd_ids(trainer):
    ids = [{"a": [1]}, {"a": [1]}, None, "x", 1, 1.0, True, [1]]
    with FakeWorker(trainer.url, hold=True, slots=64) as worker:
        call = trainer.generate([stampede.Prompt(prompt_ids=[1], id=i) for i in ids], n=1)
        eventually(lambda: worker.count("TASK") == 8)
        trainer.cancel({"a": [1]})
        trainer.cancel(1)
        trainer.cancel("nobody")
        worker.release()
        got = {g.index: g for g in call}
        assert [got[i].finish_reason[0] for i in range(8)] == [
            "cancelled", "cancelled", "stop", "stop", "cancelled", "stop", "stop", "stop"]
        assert [got[i].id for i in range(8)] == ids
        np.testing.assert_array_equal(got[0].tokens[0], got[1].tokens[0])  # one id, one seed


# --- asyncio ---


def test_agenerate(trainer):
    async def main():
        both = [trainer.agenerate(prompts(5), n=2), trainer.agenerate(prompts(3), n=2)]
        return await asyncio.gather(*[collect(call) for call in both])

    async def collect(call):
        return [group async for group in call]

    with FakeWorker(trainer.url):
        one, two = asyncio.run(main())
        check_all(one, 5, 2)
        check_all(two, 3, 2, first_serial=5)
        check_all(asyncio.run(collect(trainer.agenerate(prompts(2), n=1))), 2, 1, first_serial=8)
        assert asyncio.run(collect(trainer.agenerate([]))) == []


@pytest.mark.parametrize("how", ["cancel", "aclose", "break", "timeout"])
def test_leaving_agenerate_cancels_the_rest(trainer, how):
    async def take(call):
        async for _ in call:
            if how == "break":
                return
            if how == "aclose":
                await call.aclose()

    async def main():
        task = asyncio.ensure_future(take(trainer.agenerate(prompts(8), n=2)))
        while worker.count("TASK") < 2:
            await asyncio.sleep(0.01)
        if how in ("aclose", "break"):
            worker.do(lambda w: (w._answer(*w._held.popleft()), w._answer(*w._held.popleft())))
            await asyncio.wait_for(task, 10)
        elif how == "timeout":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.1)
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with FakeWorker(trainer.url, hold=True, slots=4) as worker:
        asyncio.run(main())
        eventually(lambda: worker.count("CANCEL") >= 1)
        worker.release()
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=8)
        assert worker.count("TASK") <= 3 + 2  # most of the eight never went out


def test_an_event_loop_that_ends_harms_nobody(trainer):
    """Its waiter is gone without a word; groups go on coming for others."""
    with FakeWorker(trainer.url, hold=True) as worker:
        call = trainer.agenerate(prompts(2), n=1)
        loop = asyncio.new_event_loop()
        task = loop.create_task(anext_of(call))
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()
        worker.release()
        other = list(trainer.generate(prompts(2), n=1))
        check_all(other, 2, 1, first_serial=2)
        assert [g.index for g in asyncio.run(all_of(call))] == [0, 1] and not task.done()
        task._log_destroy_pending = False
        with pytest.raises(ValueError, match="n is 0"):
            trainer.agenerate(prompts(1), n=0)


async def all_of(call):
    return [group async for group in call]


# --- what the I/O thread survives ---


def test_a_message_that_cannot_be_handled_costs_its_session(trainer, monkeypatch):
    """A second line of defence: whatever goes wrong with one message."""
    real, failed = core.Core._on_result, []

    def on_result(self, worker, r):
        if not failed:
            failed.append(1)
            raise ZeroDivisionError("as if it was")
        real(self, worker, r)

    monkeypatch.setattr(core.Core, "_on_result", on_result)
    with stampede.Trainer("tcp://127.0.0.1:0") as t, FakeWorker(t.url) as worker:
        check_all(list(t.generate(prompts(3), n=2)), 3, 2)
        assert t.counters()["failed_messages"] == 1 and worker.count("WELCOME") == 2


def test_a_hello_without_a_type_is_refused(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        worker.do(lambda w: w.send("HELLO", **{**hello_fields(w), "dtype": 0}))
        eventually(lambda: any(m.type == "REFUSE" and m["code"] == wire.REFUSALS["malformed"]
                               for m in worker.log))
        worker.do(lambda w: w.hello())
        check_all(list(trainer.generate(prompts(2), n=1)), 2, 1)


def hello_fields(w):
    return dict(uid="x", incarnation=1, build="b", numerics="n", fingerprint=1, slots=4,
                max_context=8, vocab=8, version=0, digest=0)


def test_the_version_has_one_source():
    project = (HERE.parents[1] / "protocol/python/pyproject.toml").read_text()
    assert f'version = "{stampede.__version__}"' in project
