"""A trainer's own metrics for Prometheus; needs the package prometheus-client."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Dict, Iterator, Tuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .errors import ArgumentError, StampedeError

if TYPE_CHECKING:
    from .core import Core
    from .trainer import Trainer

_CROWD = 32  # connections; from here on the oldest makes room for the newest
_LIFE_S = 10.0  # of a connection, whatever it does
_WILDCARDS = ("", "*", "0.0.0.0", "::", "[::]")
# name: kind, help, and the counters that are summed.
_COUNTERS: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    "attempts": ("Tasks that were sent to workers.", ("sent_tasks",)),
    "duplicates": ("Samples that came a second time and were dropped.", ("duplicate_samples",)),
    "poison": ("Groups that were quarantined: workers died with them.", ("quarantined_groups",)),
    "auth_rejected": ("Peers and messages without an allowed key.",
                      ("refused_keys", "unauthenticated_messages", "stolen_names",
                       "stolen_addresses")),
    "damaged_workers": ("Workers that found their resident weights damaged.", ("damaged_workers",)),
    "suspect_samples": ("Samples of such workers that were drawn anew.", ("suspect_samples",)),
    "leases_lost": ("Groups that a worker had when its session ended.", ("lost_leases",)),
}
_DEATHS = ("silence", "connection", "restart", "failure", "stall", "standing_group")
_TOKENS = ("returned", "continued", "dropped")


def _import() -> Any:
    try:
        import prometheus_client
        import prometheus_client.core
    except ImportError as error:
        raise StampedeError("serve_metrics needs the package prometheus-client; install "
                            "stampede[metrics].") from error
    return prometheus_client


class Collector:
    """What is asked of the trainer at each scrape. A Trainer that is closed has no metrics."""

    def __init__(self, trainer: "Trainer") -> None:
        self._loop, self._core = trainer._loop, trainer._core

    def collect(self) -> Iterator[Any]:
        families = _import().core
        try:
            figures = self._loop.call(_look, self._core)
        except StampedeError:
            return
        counters = figures["counters"]
        for name, (help_, names) in _COUNTERS.items():
            yield families.CounterMetricFamily(
                f"rollout_gateway_{name}", help_, value=sum(counters.get(n, 0) for n in names))
        for name, help_ in (
                ("workers", "Workers by what they do; lost: died in the last ten minutes and not "
                            "back."), ("tasks", "Groups by where they are.")):
            family = families.GaugeMetricFamily(f"rollout_gateway_{name}", help_, labels=["state"])
            for state, value in figures[name].items():
                family.add_metric([state], value)
            yield family
        deaths = families.CounterMetricFamily(
            "rollout_gateway_leases_expired",
            "Workers that died or stood still, and how; and groups that one did not go on with.",
            labels=["reason"])
        for reason in _DEATHS:
            deaths.add_metric([reason], counters.get(f"deaths_by_{reason}", 0))
        yield deaths
        tokens = families.CounterMetricFamily(
            "rollout_gateway_partial_tokens", "Tokens of samples that a worker could not finish: "
            "returned to the trainer, continued by another worker, dropped.", labels=["state"])
        for state in _TOKENS:
            tokens.add_metric([state], counters.get(f"{state}_tokens", 0))
        yield tokens
        yield from self._own(families, figures)

    def _own(self, families: Any, figures: Dict[str, Any]) -> Iterator[Any]:
        waits = self._core.waits
        yield families.GaugeMetricFamily(
            "rollout_gateway_ready_samples", "Finished samples that nobody has taken yet.",
            value=waits.ready_samples)
        yield families.CounterMetricFamily(
            "rollout_gateway_starved_seconds", "Time that the training loop waited for a group.",
            value=waits.starved_s)
        yield families.GaugeMetricFamily("rollout_gateway_epoch", "Of this trainer.",
                                         value=self._core.epoch)
        yield families.GaugeMetricFamily(
            "rollout_gateway_policy_version", "Of the last push; 0: nothing was pushed.",
            value=self._core.updates.version)
        yield families.GaugeMetricFamily(
            "rollout_gateway_loop_lag_seconds", "The longest turn of the I/O thread of late.",
            value=figures["lag"])
        buckets, total = waits.staleness()
        yield families.HistogramMetricFamily(
            "rollout_gateway_staleness_versions",
            "Policy versions from a sample's first token to the last push, when it was taken.",
            buckets=buckets, sum_value=total)


def _look(core: "Core") -> Dict[str, Any]:
    """On the I/O thread."""
    states = [worker["state"] for worker in core.describe()]
    leased = core.n_leased()
    return {
        "counters": dict(core.counters),
        "lag": core.lag_s,
        "workers": {"ready": states.count("serving"), "loading": states.count("updating"),
                    "draining": states.count("draining"), "lost": core.custody.suspicion.n_lost()},
        "tasks": {"queued": core.n_jobs - leased, "leased": leased,
                  "done": core.counters.get("done_groups", 0),
                  "quarantined": core.counters.get("quarantined_groups", 0)},
    }


class _Handler(WSGIRequestHandler):
    timeout = 5  # seconds that a peer may say nothing

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, of which there are few and none for long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._visits: Dict[socket.socket, float] = {}  # when each was accepted
        self._visits_lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As HTTPServer's, but for the look-up of this machine's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def _cut(self, is_over: Any) -> None:
        with self._visits_lock:
            for visit in [v for v, since in self._visits.items() if is_over(since)]:
                with contextlib.suppress(OSError):
                    visit.shutdown(socket.SHUT_RDWR)  # its thread reads an end and closes it

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._visits_lock:
            crowd = sorted(self._visits.values())
            self._visits[request] = time.monotonic()
        if len(crowd) >= _CROWD:
            self._cut(lambda since: since <= crowd[len(crowd) - _CROWD])
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._visits_lock:
            self._visits.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Between requests, twice a second."""
        end = time.monotonic() - _LIFE_S
        self._cut(lambda since: since < end)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a peer that left


class MetricsServer:
    """An HTTP server of one trainer's metrics."""

    def __init__(self, trainer: "Trainer", address: str) -> None:
        client = _import()
        host, _, port = address.rpartition(":")
        if host in _WILDCARDS or not port.isdecimal() or int(port) > 65535:
            raise ArgumentError(f'serve_metrics: address is "{address}", expected HOST:PORT with '
                                "an address of this machine, and no wildcard.")
        registry = client.CollectorRegistry()
        registry.register(Collector(trainer))
        trainer._core.waits.counts_staleness = True
        try:
            self._server = _Server(host.strip("[]"), int(port))
        except OSError as error:
            raise StampedeError(f'serve_metrics: "{address}" could not be bound: {error.strerror}.'
                                ) from error
        self._server.set_app(client.make_wsgi_app(registry))
        self._thread = threading.Thread(target=self._server.serve_forever, name="stampede-metrics",
                                        daemon=True)
        self._thread.start()
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._thread.join(5)
        self._server.server_close()
