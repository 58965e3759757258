"""HTTP of a worker: probes, metrics, the status page, and clients that mean harm."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import pytest

import cli
import stampede
from cli import TINY, run
from harness import (CHAT, LONG, PATIENCE_S, SHORT, RawTrainer, Worker, collect, eventually,
                     prompts, serving)
from test_drain import big_model

NAMES = Path(__file__).parents[1] / "worker" / "http" / "metrics.txt"
HTTP = {"http": "127.0.0.1:0"}


def url_of(worker: Worker) -> str:
    worker.said("http at ")
    found = re.search(r"http at (\S+?)\"?}?$", worker.log(), re.M)
    assert found, worker.log()
    return found.group(1)


def get(url: str, **headers: str) -> Tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(text: str) -> Dict[str, float]:
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def fds(worker: Worker) -> int:
    return len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))


def test_probes(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        url = trainer.url
        with serving(tmp_path, url, **HTTP) as worker:
            at = url_of(worker)
            eventually(lambda: get(f"{at}/readyz") == (200, "ok\n"))
            assert get(f"{at}/readyz?phase=loaded") == (200, "ok\n")
            assert get(f"{at}/livez") == (200, "ok\n")
            assert get(f"{at}/readyz?phase=other")[0] == 400
            assert get(f"{at}/nothing")[0] == 404
            trainer.close()
            # Without a trainer it is not ready, and not to be killed either.
            eventually(lambda: get(f"{at}/readyz")[0] == 503)
            assert "session" in get(f"{at}/readyz")[1]
            assert get(f"{at}/readyz?phase=loaded")[0] == 200
            assert get(f"{at}/livez")[0] == 200


def test_probes_while_loading(tmp_path: Path) -> None:
    model = big_model(tmp_path / "big")
    with serving(tmp_path, f"ipc://{tmp_path}/w", model=model, **HTTP) as worker:
        at = url_of(worker)
        status, why = get(f"{at}/readyz?phase=loaded")
        assert (status, why) == (503, "The model is being loaded.\n")
        assert get(f"{at}/livez")[0] == 200
        eventually(lambda: get(f"{at}/readyz?phase=loaded")[0] == 200)


def test_ready_only_at_the_version_that_is_asked_for(tmp_path: Path) -> None:
    from test_updates import noisy
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, min_version=2, **HTTP) as worker:
            at = url_of(worker)
            trainer.wait_for_workers(1, PATIENCE_S)
            eventually(lambda: "version" in get(f"{at}/readyz")[1])
            trainer.push_weights(noisy(1), version=1)
            assert get(f"{at}/readyz")[0] == 503
            trainer.push_weights(noisy(2), version=2)
            eventually(lambda: get(f"{at}/readyz")[0] == 200)
            counted = values(get(f"{at}/metrics")[1])
            assert counted['rollout_weight_updates_total{result="committed"}'] == 2
            assert counted["rollout_policy_version"] == 2
            for phase in ("stage", "commit", "pause"):
                assert counted[f'rollout_weight_update_seconds_count{{phase="{phase}"}}'] == 2
            assert counted['rollout_weight_bytes_total{transport="bulk"}'] > 1e6
    # One that comes late and does not serve what the trainer pushed is not ready.
    with RawTrainer() as raw, serving(tmp_path, raw.url, **HTTP) as worker:
        at = url_of(worker)
        raw.welcome(version=5)
        raw.drain(0.3)
        assert "version" in get(f"{at}/readyz")[1]
        raw.send("REFUSE", code=3)
        raw.welcome(version=0)
        eventually(lambda: raw.drain(0.05) is not None and get(f"{at}/readyz")[0] == 200)


def test_a_worker_that_drains_is_not_ready(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, max_rows=1, **HTTP) as worker:
            at = url_of(worker)
            groups = trainer.generate(prompts(20), n=4, sampling=LONG)
            next(groups)
            eventually(lambda: get(f"{at}/readyz")[0] == 200)
            worker.terminate()
            worker.said("draining")
            with contextlib.suppress(OSError):
                # The board is published at the end of the turn that said so.
                eventually(lambda: get(f"{at}/readyz") == (503, "The worker drains.\n"))
            worker.ends(75)
            groups.close()


def test_liveness_sees_a_stopped_thread(tmp_path: Path) -> None:
    """The I/O thread is stopped by a debugger's hand; the process answers and says so."""
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, **HTTP) as worker:
            at = url_of(worker)
            trainer.wait_for_workers(1, PATIENCE_S)
            hold = Path(__file__).with_name("hold_thread.py")
            child = subprocess.Popen(["python3", str(hold), str(worker.pid), "link"],
                                     stdout=subprocess.PIPE)
            assert child.stdout is not None
            said = child.stdout.readline().strip()
            if said != b"held":
                child.wait()
                pytest.skip(f"ptrace is not to be had here: {said.decode()}")
            try:
                assert get(f"{at}/livez")[0] == 200  # not at once: a pause is no death
                eventually(lambda: get(f"{at}/livez")[0] == 503, 40)
                assert "I/O thread" in get(f"{at}/livez")[1]
            finally:
                child.terminate()
                child.wait()
            eventually(lambda: get(f"{at}/livez")[0] == 200)


def promtool(text: str) -> List[str]:
    program = cli.promtool()
    if program is None:
        pytest.skip("promtool is not there: make deps unpacks it")
    done = subprocess.run([program, "check", "metrics"], input=text.encode(),
                          capture_output=True, timeout=60)
    return (done.stdout + done.stderr).decode().splitlines()


def test_metrics(tmp_path: Path) -> None:
    ask = [stampede.Prompt(messages=CHAT, reward=[stampede.math("12")]) for _ in range(4)]
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, **HTTP) as worker:
            groups = list(trainer.generate(ask, n=4, sampling=stampede.Sampling(max_new_tokens=60)))
            text = get(f"{url_of(worker)}/metrics")[1]
            counted = values(text)
            n_tokens = sum(len(t) for g in groups for t in g.tokens)
            assert len(counted) <= 300
            names = sorted(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
            committed = [tuple(line.split()) for line in NAMES.read_text().splitlines()]
            assert names == sorted(committed), "names and kinds are pinned: see metrics.txt"
            assert counted["rollout_generation_tokens_total"] == n_tokens
            assert counted["rollout_generation_tokens_sum"] == n_tokens
            n_prompt = len(groups[0].prompt_ids)
            assert counted["rollout_prefix_cache_queries_total"] == 16 * n_prompt
            assert counted["rollout_prefix_cache_hits_total"] == 12 * (n_prompt - 1)
            assert sum(v for k, v in counted.items()
                       if k.startswith("rollout_samples_total")) == 16
            assert counted['rollout_verdicts_total{reason="ok"}'] == 16
            for name in ("time_to_first_token", "e2e", "prefill", "decode"):
                assert counted[f"rollout_{name}_seconds_count"] == 16, name
            assert counted["rollout_queue_seconds_count"] == 4
            for part in ("queue", "prefill", "decode", "time_to_first_token"):
                assert (0 < counted[f"rollout_{part}_seconds_sum"]
                        <= 4 * counted["rollout_e2e_seconds_sum"])
            assert counted["rollout_session_up"] == 1
            assert abs(counted["rollout_last_step_timestamp_seconds"] - time.time()) < PATIENCE_S
            assert abs(counted["process_start_time_seconds"] - time.time()) < 2 * PATIENCE_S
            # The time that passed is inside of steps or idle, once.
            spent = sum(v for k, v in counted.items() if k.startswith("rollout_engine_"))
            assert 0 < spent < time.time() - counted["process_start_time_seconds"] + 1
            assert not any("vllm" in name for name in counted)
            assert promtool(text) == []


def test_drafts_are_counted(tmp_path: Path) -> None:
    greedy = stampede.Sampling(temperature=0.0, max_new_tokens=40, ignore_eos=True)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, draft=4, **HTTP) as worker:
            for _ in range(2):  # the same text comes again
                collect(trainer.generate([stampede.Prompt(messages=CHAT)], n=4, sampling=greedy))
            at = url_of(worker)
            counted, status = values(get(f"{at}/metrics")[1]), json.loads(get(f"{at}/status")[1])
            guessed = counted["rollout_draft_tokens_total"]
            accepted = counted["rollout_draft_accepted_tokens_total"]
            assert guessed >= accepted > 0
            engine = status["engine"]
            assert (engine["guessed"], engine["accepted"]) == (guessed, accepted)
            assert counted["rollout_generation_tokens_total"] == 320


def test_metrics_under_vllms_names(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, metrics_compat="vllm", **HTTP) as worker:
            collect(trainer.generate(prompts(3), n=2, sampling=SHORT))
            text = get(f"{url_of(worker)}/metrics")[1]
            counted = values(text)
            assert len(counted) <= 300
            labels = f'{{engine="0",model_name="{TINY.name}"}}'
            assert counted[f"vllm:generation_tokens_total{labels}"] == 48
            assert counted[f"vllm:e2e_request_latency_seconds_count{labels}"] == 6
            assert len(set(re.findall(r"^# TYPE (vllm:\S+)", text, re.M))) == 12
            assert all("should not contain ':'" in line for line in promtool(text))


def test_what_goes_wrong_is_counted(tmp_path: Path) -> None:
    """Each counter of the wire and of updates, by a trainer that makes it rise."""
    from test_updates import Push, noisy
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, **HTTP) as worker:
        at = url_of(worker)

        def counted(name: str) -> float:
            return values(get(f"{at}/metrics")[1])[f"rollout_{name}"]

        hello = trainer.welcome(lost_ms=2500)
        trainer.frames(b"junk")
        trainer.send("HEARTBEAT", epoch=7)
        trainer.seq -= 1
        trainer.send("HEARTBEAT")
        eventually(lambda: trainer.drain(0.05) is not None
                   and counted('frames_rejected_total{reason="msgpack"}') == 1
                   and counted("epoch_rejected_total") == 1)
        push = Push(trainer, hello, 1, 1, noisy(1))
        push.begin()
        push.serve(spoil=lambda m, data: np.zeros_like(data))
        eventually(lambda: counted('weight_updates_total{result="digest_mismatch"}') == 1)
        push = Push(trainer, hello, 1, 2, noisy(1))
        push.fields["base"] = 99
        push.begin()
        assert push.serve()["phase"] == 3
        eventually(lambda: counted('weight_updates_total{result="discarded"}') == 1)
        # A result that is not acknowledged waits in the spool and is sent again; then silence.
        trainer.drain(0.1)
        trainer.task(0, n=2)
        eventually(lambda: counted("result_spool_bytes") > 0)
        assert counted("reconnects_total") == 0
        eventually(lambda: counted("session_up") == 0)
        assert counted("heartbeat_missed_total") >= 5
        trainer.welcome(lost_ms=20000)
        eventually(lambda: trainer.drain(0.05) is not None and counted("reconnects_total") == 1)
        eventually(lambda: trainer.drain(0.05) is not None
                   and counted("result_spool_bytes") == 0)
        assert counted("samples_resent_total") >= 2 and counted("session_up") == 1


@contextlib.contextmanager
def idle_worker(folder: Path, **flags: Any) -> Iterator[Tuple[Worker, str]]:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(folder, trainer.url, **{**HTTP, **flags}) as worker:
            at = url_of(worker)
            eventually(lambda: get(f"{at}/readyz")[0] == 200)
            yield worker, at


def test_requests_that_are_refused(tmp_path: Path) -> None:
    with idle_worker(tmp_path) as (_, at):
        for method, status in (("POST", 405), ("PUT", 405), ("DELETE", 405), ("TRACE", 405)):
            request = urllib.request.Request(f"{at}/status", method=method,
                                             data=b"x" * 100 if method in ("POST", "PUT") else None)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            assert refused.value.code == status and refused.value.headers["Allow"] == "GET, HEAD"
        assert get(f"{at}/../../etc/passwd")[0] == 404
        # A foreign page whose name was made to resolve to this machine.
        for host, status in (("evil.example:80", 403), ("127.0.0.1.evil.example", 403),
                             ("localhost:1", 200), ("[::1]:1", 200), ("127.0.0.1", 200)):
            assert get(f"{at}/status", Host=host)[0] == status, host
        request = urllib.request.Request(f"{at}/status", method="HEAD")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read() == b"" and int(answer.headers["Content-Length"]) > 1000
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_hostile_clients(tmp_path: Path) -> None:
    """Slow ones, many of them, giant headers and junk: probes and rollouts go on, nothing stays."""
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, contextlib.ExitStack() as stack:
        # Without drafts, whose history takes memory as texts come.
        worker = stack.enter_context(serving(tmp_path, trainer.url, draft="off", **HTTP))
        at = url_of(worker)
        collect(trainer.generate(prompts(4), n=4, sampling=SHORT))
        port = int(at.rsplit(":", 1)[1])
        before, rss = fds(worker), worker.rss_kib()

        def connect() -> socket.socket:
            peer = socket.create_connection(("127.0.0.1", port), timeout=10)
            stack.callback(peer.close)
            return peer

        slow = [connect() for _ in range(100)]
        late = 0
        for i in range(6):
            for peer in slow:
                with contextlib.suppress(OSError):
                    peer.sendall(b"GET /livez HTTP/1.1\r\nX-Slow: "[i * 5:i * 5 + 5])
            start = time.monotonic()
            assert get(f"{at}/livez")[0] == 200
            late += time.monotonic() - start > 2  # the kubelet's patience; it has it three times
            slow += [connect() for _ in range(60)]
            time.sleep(0.2)
        assert late < 3
        post = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
        for junk in (b"GET /status HTTP/1.1\r\n" + b"X: " + b"a" * (1 << 20), b"\0" * 100000,
                     b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET /livez\r\n\r\n" * 1000,
                     b"A: b\r\n" * 20000, b"GET / HTTP/9.9\r\n\r\n",
                     post + b"Content-Length: 99999999999999999\r\n\r\n",
                     post + b"Transfer-Encoding: chunked\r\n\r\nffffffffff"):
            for _ in range(5):
                peer = connect()
                with contextlib.suppress(OSError):
                    peer.sendall(junk)
                    peer.settimeout(0.2)
                    peer.recv(1 << 16)
            assert get(f"{at}/livez")[0] == 200
        for _ in range(200):  # who goes in the middle, with a reset
            peer = connect()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            peer.close()
        assert len(collect(trainer.generate(prompts(4), n=4, sampling=SHORT))) == 16
        # Connections that say a byte now and then end too.
        end = time.monotonic() + 30
        while fds(worker) > before + 2:
            assert time.monotonic() < end, f"{fds(worker)} descriptors, {before} before"
            for peer in slow:
                with contextlib.suppress(OSError):
                    peer.sendall(b"a")
            time.sleep(0.5)
        assert worker.alive() and worker.rss_kib() - rss < 8192
        assert get(f"{at}/readyz")[0] == 200


def test_texts_are_shown_on_loopback_only(tmp_path: Path) -> None:
    address = next((a for a in subprocess.run(["hostname", "-I"], capture_output=True, text=True)
                    .stdout.split() if "." in a), None)
    if address is None:
        pytest.skip("this machine has no address but loopback")
    for host, shown in (("127.0.0.1", True), (address, False), ("lo", True)):
        with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
            with serving(tmp_path, trainer.url, http=f"{host}:0") as worker:
                at = url_of(worker)
                list(trainer.generate([stampede.Prompt(messages=CHAT)], n=1, sampling=SHORT))
                status = json.loads(get(f"{at}/status")[1])
                assert len(status["rollouts"]) == 1 and status["ready"]
                assert ("text" in status["rollouts"][0]) == shown


@pytest.mark.parametrize("address, words", [
    ("0.0.0.0:9", "wildcard"), ("*:9", "wildcard"), ("[::]:9", "wildcard"),
    ("nowhere0:9", "nowhere0"), ("127.0.0.1", "HOST:PORT"), ("127.0.0.1:99999", "port"),
    (":80", "HOST:PORT"), ("[x]:1", "IPv6"),
])
def test_refused_addresses(address: str, words: str) -> None:
    done = run("serve", "--model", TINY, "--connect", "ipc:///x", "--http", address)
    assert done.returncode == 2 and words in done.stderr.decode(), done.stderr


def test_an_address_in_use_and_off(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--model", TINY, "--connect", "ipc:///x", "--http", f"127.0.0.1:{port}")
        assert done.returncode == 74 and str(port) in done.stderr.decode()
    done = run("serve", "--model", TINY, "--connect", f"ipc://{tmp_path}/x", "--http", "off",
               "--trainer-deadline", "1")
    assert done.returncode == 69 and b"http at" not in done.stderr
    done = run("serve", "--model", TINY, "--connect", "ipc:///x", "--metrics-compat", "sglang")
    assert done.returncode == 2 and b"vllm" in done.stderr


def pixels(path: Path) -> Tuple[int, int, List[bytes]]:
    """Width, height and rows of RGB(A) bytes of a PNG, of the few kinds that Chromium writes."""
    data = path.read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    n = {2: 3, 6: 4}[kind]
    assert depth == 8
    raw, at, packed = b"", 8, b""
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + size] if name == b"IDAT" else b""
        at += 12 + size
    raw, rows, last = zlib.decompress(packed), [], bytearray(width * n)
    for y in range(height):
        line = bytearray(raw[y * (width * n + 1) + 1:(y + 1) * (width * n + 1)])
        how = raw[y * (width * n + 1)]
        for x in range(len(line)):
            a, b = line[x - n] if x >= n else 0, last[x]
            c = last[x - n] if x >= n else 0
            p = a + b - c
            best = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[x] = (line[x] + (0, a, b, (a + b) // 2, best)[how]) & 255
        rows.append(bytes(line[i] for x in range(width) for i in (x * n, x * n + 1, x * n + 2)))
        last = line
    return width, height, rows


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser(dark: bool, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium is installed")
    ask = [stampede.Prompt(messages=CHAT, reward=[stampede.math("12")]) for _ in range(6)]
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, **HTTP) as worker:
            list(trainer.generate(ask, n=4, sampling=stampede.Sampling(max_new_tokens=60)))
            at = url_of(worker)
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                     f"--user-data-dir={tmp_path}/browser", "--virtual-time-budget=4000",
                     "--window-size=420,900" if dark else "--window-size=1100,900",
                     f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
            shot = tmp_path / "page.png"
            for more in (["--dump-dom"], [f"--screenshot={shot}"]):
                done = subprocess.run([browser, *flags, *more, f"{at}/"], capture_output=True,
                                      timeout=PATIENCE_S)
                assert done.returncode == 0, done.stderr[-2000:]
                if more == ["--dump-dom"]:
                    dom = done.stdout.decode()
    head = dom[dom.index("<main>"):dom.index("<script>")]
    assert 'class="badge good" role="status">ready<' in head, head
    for words in ("Generated tokens a second", "Drafts accepted", "KV cache", "Mean reward",
                  "Policy version", "\\boxed{", "24 of 24 have a value"):
        assert words in head, words
    assert head.count("<tr>") == 25 and 'id="error" class="bad"></span>' in head
    width, _, rows = pixels(shot)
    assert sum(rows[2][:3]) < 150 if dark else sum(rows[2][:3]) > 600
    assert len({row for row in rows}) > 100  # something is drawn all the way down
    # Nothing is wider than a narrow screen: its right margin is background.
    assert all(row[-9:-6] == rows[2][:3] for row in rows) and width == (420 if dark else 1100)
