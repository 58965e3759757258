"""The trainer's own metrics, where they are asked for."""

import re
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import cli
import pytest
from client import eventually, prompts, quick_loss, trainer  # noqa: F401
from fake_worker import FakeWorker

import stampede

pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
NAMES = Path(__file__).with_name("trainer_metrics.txt")


def scrape(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def values(text):
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_is_served(trainer):
    url = trainer.serve_metrics()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url)
    none = values(scrape(url))
    assert none['rollout_gateway_workers{state="ready"}'] == 0
    with FakeWorker(trainer.url, "w", slots=8, hold=True) as worker:
        trainer.wait_for_workers(1, 30)
        groups = trainer.generate(prompts(6), n=2)
        eventually(lambda: worker.count("TASK") == 4)
        busy = values(scrape(url))
        assert busy['rollout_gateway_tasks{state="leased"}'] == 4
        assert busy['rollout_gateway_tasks{state="queued"}'] == 2
        assert busy["rollout_gateway_attempts_total"] == 4
        assert busy['rollout_gateway_workers{state="ready"}'] == 1
        # The loop waits for a group: the counter rises meanwhile, not only behind it.
        thread = threading.Thread(target=lambda: next(groups))
        thread.start()
        eventually(lambda: values(scrape(url))["rollout_gateway_starved_seconds_total"] > 0.3)
        worker.release()
        thread.join()
        eventually(lambda: values(scrape(url))['rollout_gateway_tasks{state="done"}'] == 6)
        done = values(scrape(url))
        assert done["rollout_gateway_ready_samples"] == 10 and thread is not None
        assert done['rollout_gateway_staleness_versions_bucket{le="0.0"}'] == 2
        assert done["rollout_gateway_loop_lag_seconds"] > 0
        starved = done["rollout_gateway_starved_seconds_total"]
        time.sleep(0.3)  # nobody waits now
        assert values(scrape(url))["rollout_gateway_starved_seconds_total"] == starved
        next(groups)
        assert values(scrape(url))["rollout_gateway_ready_samples"] == 8
        groups.close()
        del groups
        eventually(lambda: values(scrape(url))["rollout_gateway_ready_samples"] == 0)
    # A worker that dies counts as lost for a while.
    eventually(lambda: values(scrape(url))['rollout_gateway_workers{state="lost"}'] == 1)
    after = values(scrape(url))
    assert sum(v for k, v in after.items() if k.startswith("rollout_gateway_leases_expired")) >= 1


def test_staleness_is_counted_from_the_last_push(trainer):
    import torch
    url = trainer.serve_metrics()
    with FakeWorker(trainer.url, "w", slots=8):
        old = trainer.generate(prompts(1), n=3)
        eventually(lambda: values(scrape(url))["rollout_gateway_ready_samples"] == 3)
        trainer.push_weights({"model.embedding_norm.weight": torch.ones(4)}, version=2)
        next(old)
        counted = values(scrape(url))
        assert counted['rollout_gateway_staleness_versions_bucket{le="1.0"}'] == 0
        assert counted['rollout_gateway_staleness_versions_bucket{le="2.0"}'] == 3
        assert counted["rollout_gateway_staleness_versions_sum"] == 6
        assert counted["rollout_gateway_policy_version"] == 2


def test_tokens_of_samples_that_were_not_finished(trainer):
    """What one worker returns and the next goes on from, and what a damaged worker drew."""
    url = trainer.serve_metrics()
    with FakeWorker(trainer.url, "w", slots=8, preempt=1):
        (group,) = list(trainer.generate(prompts(1), n=1))
    said = values(scrape(url))
    n = int(said['rollout_gateway_partial_tokens_total{state="returned"}'])
    counters = trainer.counters()
    assert n == counters["returned_tokens"] == 3
    for state in ("continued", "dropped"):
        assert said[f'rollout_gateway_partial_tokens_total{{state="{state}"}}'] == counters.get(
            f"{state}_tokens", 0)
    with FakeWorker(trainer.url, "torn", slots=8) as torn:
        list(trainer.generate(prompts(1), n=1))
        torn.do(lambda w: w.send("BYE", code=0, suspect_ms=5, tensor="x"))
        eventually(lambda: values(scrape(url))["rollout_gateway_damaged_workers_total"] == 1)
        assert values(scrape(url))["rollout_gateway_suspect_samples_total"] == 0  # all was used


def test_names_are_pinned_and_clean(trainer):
    text = scrape(trainer.serve_metrics())
    names = sorted(" ".join(pair) for pair in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert names == NAMES.read_text().splitlines()
    program = cli.promtool()
    if program is None:
        pytest.skip("promtool is not there: make deps unpacks it")
    done = subprocess.run([program, "check", "metrics"], input=text.encode(), capture_output=True,
                          timeout=60)
    assert done.returncode == 0 and not done.stdout + done.stderr


def threads():
    return int(re.search(r"Threads:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def test_peers_that_say_little_hold_nothing(trainer):
    """Each would have a thread for good; who scrapes is answered among them."""
    url = trainer.serve_metrics()
    host, port = url[7:].split("/")[0].split(":")
    before = threads()
    slow = []
    try:
        for _ in range(200):
            slow.append(socket.create_connection((host, int(port)), timeout=10))
            slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert threads() - before < 60
        assert "rollout_gateway_epoch" in scrape(url)
        end = time.monotonic() + 20
        while slow and time.monotonic() < end:
            for peer in list(slow):
                try:  # a byte a while is not enough to stay
                    peer.sendall(b"x")
                    peer.settimeout(0.001)
                    if peer.recv(100) == b"":
                        raise OSError
                except TimeoutError:
                    continue
                except OSError:
                    slow.remove(peer)
                    peer.close()
            time.sleep(0.1)
        assert not slow, f"{len(slow)} of 200 are still there"
        eventually(lambda: threads() <= before + 2)
        assert "rollout_gateway_epoch" in scrape(url)
    finally:
        for peer in slow:
            peer.close()


def test_other_words_of_http(trainer):
    url = trainer.serve_metrics()
    host, port = url[7:].split("/")[0].split(":")
    for words, status in ((b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
                          (b"GET / HTTP/1.0\r\n\r\n", b"200"),
                          (b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
                          (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
                          (b"\x16\x03\x01\x00\xa5\r\n\r\n", b"")):
        with socket.create_connection((host, int(port)), timeout=10) as peer:
            peer.sendall(words)
            got = b""
            try:
                while piece := peer.recv(65536):
                    got += piece
            except ConnectionResetError:
                pass
            assert got.split(b"\r\n")[0].split(b" ")[1:2] == [status] or not status, (words, got)


def test_addresses_and_the_end(trainer):
    for bad in ("0.0.0.0:0", "*:1", ":1", "[::]:0", "127.0.0.1", "127.0.0.1:99999", "x"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            trainer.serve_metrics(bad)
    url = trainer.serve_metrics()
    with pytest.raises(stampede.StampedeError, match="already"):
        trainer.serve_metrics()
    other = stampede.Trainer("tcp://127.0.0.1:0")
    with pytest.raises(stampede.StampedeError, match="could not be bound"):
        other.serve_metrics(url[7:].split("/")[0])
    other.close()
    trainer.close()
    with pytest.raises(OSError):
        scrape(url)
