"""A worker in Python, on a thread: what the protocol asks of one, and faults on request.

Sample i of a group has 3 + i tokens, drawn from the group's seed, so that a repeated sample is the
same sample, as D5 promises of the real worker.
"""

import threading
import time
from collections import deque

import numpy as np
import slow_delta
import xxhash
import zmq

from stampede import wire


def sample_tokens(seed, sample):
    return (np.arange(3 + sample) * 7 + seed % 1000 + sample).astype("<i4") % 500


def digest_of(weights):
    """Not the digest of D8, but like it the same for the same values in any order."""
    total = sum(xxhash.xxh3_64_intdigest(name.encode() + data) for name, data in weights.items())
    return total % 2**64


class FakeWorker:
    """Connects (or binds) and serves until close() or die().

    `hold` keeps finished samples back; `together` sends the samples of a task in one RESULT.
    `digest` is of what it serves at first, `salt` is added to those of what it applies later.
    `lost` are phases whose WEIGHTS_STATUS is never sent. A repeated COMMIT is answered with
    `recommit`: a phase, or None for silence. Without `answers_weights` it pulls nothing of what it
    is offered; both may be set later.
    """

    def __init__(self, url, uid="w0", bind=False, slots=16, version=0, dtype="f32",
                 exceptions=(), tied_head=False, fingerprint=1, hold=False, send_twice=False,
                 preempt=0, fail_tensor=None, fail_commit=False, incarnation=None, together=False,
                 digest=0, salt=0, lost=(), recommit=wire.PHASE_FAILED, numerics="python",
                 answers_weights=True):
        self.url, self.uid, self.bind, self.slots = url, uid, bind, slots
        self.version, self.dtype, self.exceptions = version, dtype, dict(exceptions)
        self.tied_head, self.fingerprint = tied_head, fingerprint
        self.hold, self.send_twice, self.preempt = hold, send_twice, preempt
        self.fail_tensor, self.fail_commit, self.together = fail_tensor, fail_commit, together
        self.salt, self.lost, self.recommit, self.numerics = salt, set(lost), recommit, numerics
        self.answers_weights = answers_weights
        self.staged_digest = None  # said when staged, None: that of what it serves
        self.incarnation = incarnation if incarnation is not None else time.monotonic_ns()
        self.log = []  # every message that came
        self.sent_results = []  # (serial, sample, attempt)
        self.weights = {}  # name -> bytes of what is served
        self.digest = digest
        self.run, self.epoch, self.seq, self.n_results = "", 0, 0, 0
        self.unacked = {}
        self.session = False
        self._credit = slots
        self._held = deque()
        self._staged = {}
        self._begin = None
        self._committed = 0  # update that was applied last
        self._former = None  # it, and what was served before it
        self._committable = None
        self._until = None  # a COMMIT that waits for samples in its hands, and till when
        self._plan = []
        self._stop = threading.Event()
        self._commands = deque()
        self.error = None
        self.context = zmq.Context()
        self.control, self.bulk_url, self.bulk = self._socket(), "", None
        if bind:
            self.control.bind(url)
            self.url = self.control.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
            self.bulk = self._socket()
            self.bulk.bind(self.url.rsplit(":", 1)[0] + ":*")
            self.bulk_url = self.bulk.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        else:
            self.control.connect(url)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- for tests ---

    def do(self, function):
        """Runs function(self) on the worker's thread."""
        done = threading.Event()
        self._commands.append((function, done))
        assert done.wait(30), "the fake worker hangs"

    def release(self):
        self.hold = False

    def die(self):
        """kill -9: no word to anyone."""
        self._stop.set()
        self._thread.join(30)

    close = die

    def count(self, kind):
        return sum(m.type == kind for m in list(self.log))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.die()
        if self.error is not None:
            raise self.error

    # --- the thread ---

    def _socket(self):
        socket = self.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        return socket

    def send(self, kind, **fields):
        self.seq = 1 if kind == "HELLO" else self.seq + 1
        self.control.send_multipart(wire.encode(wire.Message(kind, fields, self.run, self.epoch,
                                                             self.seq)))

    def hello(self):
        self.session = False
        names, offsets = wire.pack_texts([n.encode() for n in self.exceptions])
        self.send("HELLO", uid=self.uid, incarnation=self.incarnation, build="fake",
                  numerics=self.numerics, fingerprint=self.fingerprint, slots=self.slots,
                  max_context=512, vocab=512, tied_head=self.tied_head, version=self.version,
                  digest=self.digest, dtype=wire.DTYPES[self.dtype][0], bulk_url=self.bulk_url,
                  exception_names=names, exception_offsets=offsets,
                  exception_dtypes=np.array([wire.DTYPES[d][0] for d in
                                             self.exceptions.values()], "<u1"))

    def _run(self):
        try:
            self._serve()
        except Exception as error:
            self.error = error
        finally:
            self.control.close()
            if self.bulk is not None:
                self.bulk.close()
            self.context.term()

    def _serve(self):
        self.hello()
        next_beat, next_hello = time.monotonic() + 0.2, time.monotonic() + 2
        while not self._stop.is_set():
            while self._commands:
                function, done = self._commands.popleft()
                function(self)
                done.set()
            self.control.poll(10)
            self._read(self.control)
            if self.bulk is not None:
                self._read(self.bulk)
            self._pull()
            self._end_hold()
            if not self.hold:
                while self._held and self.session:
                    self._answer_next()
            now = time.monotonic()
            if not self.session and now > next_hello:
                next_hello = now + 2
                self.hello()
            if self.session and now > next_beat:
                next_beat = now + 0.2
                self.send("HEARTBEAT", n_rows=len(self._held), version=self.version)

    def _read(self, socket):
        while True:
            try:
                frames = socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            message = wire.decode(*frames)
            self.log.append(message)
            getattr(self, "_on_" + message.type.lower())(message)

    def _on_welcome(self, m):
        self.run, self.epoch, self.session = m.run, m.epoch, True
        self._held.clear()
        self._credit = self.slots
        if m["bulk_url"] and self.bulk is None:
            self.bulk = self._socket()
            self.bulk.connect(m["bulk_url"])
        for fields in list(self.unacked.values()):
            self.send("RESULT", **fields)

    def _on_refuse(self, m):
        if m["code"] in (wire.REFUSALS["no_session"], wire.REFUSALS["epoch"]) and self.session:
            self.hello()

    def _on_task(self, m):
        for sample in range(m["first"], m["first"] + m["n"]):
            self._held.append((m, sample, "stop"))

    def _on_cancel(self, m):
        for task, sample, _ in [h for h in self._held if h[0]["serial"] == m["serial"]]:
            self._answer(task, sample, "cancelled")
        self._held = deque(h for h in self._held if h[0]["serial"] != m["serial"])

    def _on_heartbeat(self, m):
        pass

    _on_drain = _on_heartbeat

    def _on_bye(self, m):
        if self.session:
            self.send("BYE", code=wire.BYE_LEAVING)
            self.session = False

    def _on_ack(self, m):
        self.unacked.pop(m["result"], None)

    def _answer_next(self):
        task, sample, finish = self._held.popleft()
        samples = [sample]
        while self.together and self._held and self._held[0][0] is task:
            samples.append(self._held.popleft()[1])
        self._answer(task, samples, finish)

    def _answer(self, task, samples, finish):
        samples = samples if isinstance(samples, list) else [samples]
        finishes = []
        for _ in samples:
            finishes.append("preempted" if self.preempt > 0 else finish)
            self.preempt -= self.preempt > 0
        fields = self.result_fields(task, samples, finishes)
        self.unacked[fields["result"]] = fields
        self.sent_results += [(task["serial"], sample, task["attempt"]) for sample in samples]
        for _ in range(1 + self.send_twice):
            self.send("RESULT", **fields)
        self._credit += len(samples)
        self.send("CREDIT", slots=self._credit)

    def result_fields(self, task, samples, finishes):
        samples = samples if isinstance(samples, list) else [samples]
        finishes = finishes if isinstance(finishes, list) else [finishes]
        n, tokens = len(samples), [sample_tokens(task["seed"], sample) for sample in samples]
        lengths = [len(t) for t in tokens]
        prompt = task["prompt_ids"]
        if prompt is None:
            source = task["prompt"] if task["prompt"] is not None else task["messages"]
            prompt = source.astype("<i4")
        self.n_results += 1
        text, text_offsets = wire.pack_texts([f"sample {sample}".encode() for sample in samples])
        error, error_offsets = wire.pack_texts(
            [b"broken" if finish == "error" else b"" for finish in finishes])
        reward, reward_offsets = wire.pack_texts([
            b'{"value":0.5,"status":"ok","terms":[{"name":"math","value":0.5,"status":"ok"}]}'] * n)
        fields = dict(
            result=self.n_results, serial=task["serial"], id=task["id"], attempt=task["attempt"],
            digest=self.digest, sample=np.array(samples, "<i4"),
            finish=np.array([wire.FINISH.index(finish) for finish in finishes], "<u1"),
            token_offsets=offsets_of(lengths), tokens=np.concatenate(tokens),
            lp_full=np.concatenate([-np.arange(k, dtype="<f4") for k in lengths]),
            lp_behav=np.concatenate([-2 * np.arange(k, dtype="<f4") for k in lengths]),
            span_offsets=np.arange(n + 1, dtype="<i8"), span_first=np.zeros(n, "<i4"),
            span_version=np.full(n, self.version, "<u8"), text=text, text_offsets=text_offsets,
            prompt_ids=prompt, value=np.full(n, 0.5, "<f8"), status=np.ones(n, "<u1"),
            reward=reward, reward_offsets=reward_offsets, error=error,
            error_offsets=error_offsets)
        if task["prompt_logprobs"]:
            fields["prompt_lp_full"] = np.concatenate(
                [[np.nan], -np.ones(len(prompt) - 1)]).astype("<f4")
        if task["routed_experts"]:
            positions = [len(prompt) + k - 1 for k in lengths]
            fields.update(moe_layers=2, experts_per_token=2,
                          routed=np.concatenate([np.arange(p * 4) % 8 for p in positions]).astype(
                              "<u1"),
                          routed_offsets=offsets_of(positions))
        return fields

    # --- weights ---

    def _on_weights_begin(self, m):
        names = wire.unpack_texts(m["names"], m["name_offsets"])
        if m["base"] != self.version:
            self._status(m, wire.PHASE_FAILED, error="The base is not what I serve.")
            return
        if self.fail_tensor in names:
            self._status(m, wire.PHASE_FAILED, tensor=self.fail_tensor, error="It is unknown.")
            return
        self._begin, self._staged = m, b""
        self._plan = [(offset, min(wire.MAX_CHUNK, m["total_bytes"] - offset))
                      for offset in range(0, m["total_bytes"], wire.MAX_CHUNK)]

    def _pull(self):
        """One chunk at a time; the answer is waited for in _on_weights_chunk."""
        if self._begin is None or not self.answers_weights or self.bulk is None:
            return
        if not self._plan:
            begin, self._begin = self._begin, None
            self._committable = begin
            self._status(begin, wire.PHASE_STAGED, self.staged_digest)
            return
        offset, n_bytes = self._plan[0]
        fields = dict(update=self._begin["update"], offset=offset, n_bytes=n_bytes)
        self.bulk.send_multipart(wire.encode(wire.Message("WEIGHTS_PULL", fields, self.run,
                                                          self.epoch)))
        self.bulk.poll(1000)

    def _on_weights_chunk(self, m):
        if self._begin is None or m["update"] != self._begin["update"]:
            return
        if self._plan and m["offset"] == self._plan[0][0]:
            self._plan.pop(0)
            self._staged += m["data"].tobytes()

    def _on_weights_commit(self, m):
        if self.fail_commit:
            self._status(m, wire.PHASE_FAILED, error="The apply failed.")
            return
        if m["update"] == self._committed:
            if self.recommit is not None:
                self._status(m, self.recommit, error="This update is not staged here.")
            return
        if self._until is not None:
            return  # said again
        if m["hold_ms"] and self._held:
            self._until = m, time.monotonic() + m["hold_ms"] / 1000
            return
        self._apply(m)

    def _end_hold(self):
        if self._until is None or (self._held and time.monotonic() < self._until[1]):
            return
        m, self._until = self._until[0], None
        self._apply(m)

    def _apply(self, m):
        self._former = (m["update"], self.version, self.digest, self.weights)
        self.weights = slow_delta.apply(self._committable, self._staged, self.weights)
        self.version = self._committable["version"]
        self.digest = (digest_of(self.weights) + self.salt) % 2**64
        self._committed = m["update"]
        self._status(m, wire.PHASE_APPLIED)

    def _on_weights_abort(self, m):
        self._begin, self._plan, self._staged = None, [], b""
        if self._until is not None and self._until[0]["update"] == m["update"]:
            self._until = None  # nothing was applied
            self._status(m, wire.PHASE_ROLLED_BACK)
            return
        if self._former is None or self._former[0] != m["update"]:
            return
        _, self.version, self.digest, self.weights = self._former
        self._former = None
        self._status(m, wire.PHASE_ROLLED_BACK)

    def _status(self, m, phase, digest=None, **more):
        if phase in self.lost:
            self.lost.discard(phase)
            return
        self.send("WEIGHTS_STATUS", update=m["update"], phase=phase, version=self.version,
                  digest=self.digest if digest is None else digest, **more)


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
