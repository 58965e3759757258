"""The alerts by promtool, one firing and one quiet case each; the dashboard's and the alerts'
expressions in a Prometheus that scrapes real workers and a trainer."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import manifests
import pytest
import roots
import yaml
from cli import BIN, ROOT, TINY

import stampede

PROMTOOL, PROMETHEUS = roots.program("promtool"), roots.program("prometheus")
pytestmark = [pytest.mark.skipif(not PROMTOOL, reason="prometheus is not there (make deps)"),
              pytest.mark.skipif(manifests.kubectl() is None,
                                 reason="kubectl is not installed (make deps)")]
RULES = yaml.safe_load((manifests.KUBERNETES / "monitoring" / "rules.yaml").read_text())["spec"]
ALERTS = {r["alert"]: r for g in RULES["groups"] for r in g["rules"] if "alert" in r}
W = 'namespace="rl", instance="a:9400", pod="worker-0"'
G = 'namespace="rl", instance="t:9400", pod="trainer"'
# Alert: [its labels, its summary, series that fire it, series that do not], seen after 15 minutes;
# a line of promtool's series is START+STEPxTIMES, a step a minute.
CASES = {
    "StampedeWorkersLost": [
        'namespace="rl"', "25% of the workers are lost.",
        {f'rollout_gateway_workers{{{G}, state="lost"}}': "2x20",
         f'rollout_gateway_workers{{{G}, state="ready"}}': "6x20"},
        {f'rollout_gateway_workers{{{G}, state="lost"}}': "1x20",
         f'rollout_gateway_workers{{{G}, state="ready"}}': "9x20"}],
    "StampedeStaleWeights": [
        W, "worker-0 serves weights that are 3 versions old.",
        {f"rollout_policy_version{{{W}}}": "4x20",
         'rollout_policy_version{namespace="rl", instance="b:9400", pod="worker-1"}': "7x20"},
        {f"rollout_policy_version{{{W}}}": "5x20",
         'rollout_policy_version{namespace="rl", instance="b:9400", pod="worker-1"}': "7x20",
         'rollout_policy_version{namespace="other", instance="c:9400", pod="worker-9"}': "90x20"}],
    "StampedeDigestMismatch": [
        f'{W}, result="digest_mismatch"',
        "worker-0 received weights whose digest is not the trainer's.",
        {f'rollout_weight_updates_total{{{W}, result="digest_mismatch"}}': "0x12 1x8"},
        {f'rollout_weight_updates_total{{{W}, result="digest_mismatch"}}': "3x20",
         f'rollout_weight_updates_total{{{W}, result="committed"}}': "0+1x20"}],
    "StampedeWeightsDamaged": [
        G, "A bit flipped in the resident weights of a worker.",
        {f"rollout_gateway_damaged_workers_total{{{G}}}": "0x10 1x10"},
        {f"rollout_gateway_damaged_workers_total{{{G}}}": "1x20"}],
    "StampedeNcclAborted": [
        W, "worker-0 left 4 communicators of NCCL with an update unfinished.",
        {f"rollout_nccl_aborts_total{{{W}}}": "0x10 4x10"},
        {f"rollout_nccl_aborts_total{{{W}}}": "0x10 1x10"}],
    "StampedeAuthRejected": [
        W, "worker-0 refuses 0.5 peers or messages a second.",
        {f"rollout_auth_rejected_total{{{W}}}": "0+30x20"},
        {f"rollout_auth_rejected_total{{{W}}}": "0+1x20"}],
    "StampedePoisonQuarantined": [
        G, "A task killed three workers and is quarantined.",
        {f"rollout_gateway_poison_total{{{G}}}": "0x10 1x10"},
        {f"rollout_gateway_poison_total{{{G}}}": "1x20"}],
    "StampedeStarved": [
        G, "The trainer waits for samples 50% of the time.",
        {f"rollout_gateway_starved_seconds_total{{{G}}}": "0+30x20"},
        {f"rollout_gateway_starved_seconds_total{{{G}}}": "0+3x20"}],
    "StampedeHwmHit": [
        W, "worker-0 found a socket's queue full: credit should make that impossible.",
        {f"rollout_hwm_hits_total{{{W}}}": "0x12 1x8"}, {f"rollout_hwm_hits_total{{{W}}}": "2x20"}],
    "StampedeSpoolFull": [
        W, "worker-0 holds 512MiB of results that nobody acknowledges.",
        {f"rollout_result_spool_bytes{{{W}}}": "536870912x20"},
        {f"rollout_result_spool_bytes{{{W}}}": "1048576x20"}],
    "StampedeStepStalled": [
        W, "worker-0 has tasks and made no step for 10m 0s.",
        {f"rollout_last_step_timestamp_seconds{{{W}}}": "300x20", f"rollout_leases{{{W}}}": "4x20"},
        {f"rollout_last_step_timestamp_seconds{{{W}}}": "300x20",
         f"rollout_leases{{{W}}}": "0x20"}],
}


def labels(text: str) -> dict:
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def promtool(tmp_path: Path, tests: list) -> subprocess.CompletedProcess:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(
        {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    return subprocess.run([PROMTOOL, "test", "rules", "tests.yaml"], cwd=tmp_path,
                          capture_output=True, text=True)


def test_promtool_accepts_the_rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    done = subprocess.run([PROMTOOL, "check", "rules", tmp_path / "rules.yaml"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "SUCCESS: 12 rules found" in done.stdout, done.stderr


def test_every_alert_has_its_cases():
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_and_is_quiet(tmp_path, name):
    own, summary, firing, quiet = CASES[name]
    alert = {"exp_labels": labels(own) | ALERTS[name]["labels"],
             "exp_annotations": {"summary": summary,
                                 "runbook_url": ALERTS[name]["annotations"]["runbook_url"]}}

    def case(series, expected):
        return {"interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "alert_rule_test": [{"eval_time": "15m", "alertname": name,
                                     "exp_alerts": expected}]}
    done = promtool(tmp_path, [case(firing, [alert]), case(quiet, [])])
    assert done.returncode == 0, done.stdout + done.stderr
    assert promtool(tmp_path, [case(quiet, [alert])]).returncode != 0


@pytest.mark.parametrize("starved,ready,wanted", [
    ("0+0x20", "0x20", 8), ("0+30x20", "0x20", 10), ("0+0x20", "4096x20", 6),
    ("0+0x20", "4096x12 0x8", 8), ("0+30x20", "4096x20", 8)])
def test_the_pool_grows_while_the_trainer_starves(tmp_path, starved, ready, wanted):
    series = {f'rollout_gateway_workers{{{G}, state="ready"}}': "8x20",
              f"rollout_gateway_starved_seconds_total{{{G}}}": starved,
              f"rollout_gateway_ready_samples{{{G}}}": ready}
    done = promtool(tmp_path, [{
        "interval": "1m", "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [{"expr": "max(stampede:workers_wanted)", "eval_time": "15m",
                              "exp_samples": [{"labels": "{}", "value": wanted}]}]}])
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_words_in_the_runbook():
    readme = (ROOT / "docker" / "README.md").read_text()
    anchors = {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-")
               for t in re.findall(r"^#+ (.+)$", readme, re.M)}
    for name, alert in ALERTS.items():
        path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert path == "docker/README.md" and anchor == name.lower() and anchor in anchors, name


def dashboard() -> dict:
    return json.loads((manifests.KUBERNETES / "monitoring" / "dashboard.json").read_text())


def expressions() -> dict:
    """Every expression of the dashboard and the rules, by where it stands."""
    found = {r.get("alert") or r["record"]: r["expr"] for g in RULES["groups"] for r in g["rules"]}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


def test_the_dashboard_is_whole():
    board = dashboard()
    ids = [p["id"] for p in board["panels"]]
    assert len(set(ids)) == len(ids) and board["uid"] == "stampede"
    variables = {v["name"] for v in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
    assert used <= variables
    places = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"]) for p in board["panels"]]
    assert len(set(places)) == len(places) and all(x + w <= 24 for x, _, w in places)


def free_ports(n: int) -> list:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def ask(port: int, query: str) -> list:
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


@contextmanager
def prometheus(folder: Path, port: int, targets: dict):
    """Scrapes each target every second, under the rules; `targets`: pod to port."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "stampede", "static_configs": [
            {"targets": [f"127.0.0.1:{p}"], "labels": {"namespace": "rl", "pod": pod}}
            for pod, p in targets.items()]}]}))
    with open(folder / "prometheus.log", "wb") as log:
        child = subprocess.Popen(
            [PROMETHEUS, "--config.file=prometheus.yaml", "--storage.tsdb.path=data",
             f"--web.listen-address=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        child.terminate()
        child.wait(20)


def test_every_expression_finds_a_series_at_real_workers(tmp_path):
    """An alert's threshold is taken away, so that its quiet expression has a value too."""
    said = subprocess.run([BIN, "serve", "--help"], capture_output=True, text=True).stdout
    if "--http" not in said or not hasattr(stampede.Trainer, "serve_metrics"):
        pytest.skip("this build serves no metrics yet")
    pytest.importorskip("prometheus_client")
    own, first, second, third = free_ports(4)
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        trainer.serve_metrics(f"127.0.0.1:{first}")
        workers = [stampede.launch(model=TINY, connect=trainer.url, threads=1, max_rows=4,
                                   http=f"127.0.0.1:{p}") for p in (second, third)]
        targets = {"trainer": first, "worker-0": second, "worker-1": third}
        with prometheus(tmp_path, own, targets):
            weights = torch_state()
            sampling = stampede.Sampling(max_new_tokens=24, ignore_eos=True)
            missing = dict(expressions())
            end = time.monotonic() + 60
            for version in range(1, 1000):
                prompts = [stampede.Prompt(prompt_ids=[1, 5, 9 + i]) for i in range(4)]
                for _ in trainer.generate(prompts, n=2, sampling=sampling):
                    pass
                trainer.push_weights(weights, version=version)
                missing = {where: e for where, e in missing.items() if not answered(own, e)}
                if not missing or time.monotonic() > end:
                    break
                time.sleep(1)
            assert missing == {}
            assert all(a["state"] != "firing" or a["labels"]["alertname"] == "StampedeStarved"
                       for a in alerts(own))
        for worker in workers:
            worker.terminate()


def answered(port: int, expression: str) -> bool:
    query = re.sub(r"\$\{?namespace\}?", ".*", expression)
    query = re.sub(r"> (?=[\d.]+)", "> -1e300 + ", query)
    try:
        found = ask(port, query)
    except OSError:
        return False
    return any(sample["value"][1] != "NaN" for sample in found)


def alerts(port: int) -> list:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=10) as answer:
        return json.load(answer)["data"]["alerts"]


def torch_state() -> dict:
    """The shipped checkpoint's own tensors: a push of the same values under a new number."""
    safetensors = pytest.importorskip("safetensors.torch")
    state = {}
    for file in sorted(Path(TINY).glob("*.safetensors")):
        state |= safetensors.load_file(file)
    return state
