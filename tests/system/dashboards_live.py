#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every query of the dashboards, and all rules, in a real Prometheus on loopback that scrapes an exporter with all
metrics: each must give data. Usage: dashboards_live.py PROMETHEUS"""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "tests/rules"
sys.path.insert(0, str(RULES))

import metrics  # noqa: E402
from dashboards_exporter import Exporter  # noqa: E402

SAMPLES = 8  # scrapes to wait for, one a second
PATIENCE = 60  # seconds


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, path):
    with urllib.request.urlopen(url + path, timeout=5) as answer:
        return json.load(answer)["data"]


def ready(url):
    """Whether there are samples enough, and all rules have been evaluated."""
    result = get(url, "/api/v1/query?query=count_over_time(mapshift_build_info[1m])")["result"]
    rules = [rule for group in get(url, "/api/v1/rules")["groups"] for rule in group["rules"]]
    return bool(result) and int(result[0]["value"][1]) >= SAMPLES and all(rule["health"] != "unknown" for rule in rules)


def wait_until_ready(url, process):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"prometheus ended with {process.returncode}")
        with contextlib.suppress(OSError, ValueError):
            if ready(url):
                return
        time.sleep(0.5)
    raise RuntimeError(f"prometheus has not scraped and evaluated within {PATIENCE} s")


@contextlib.contextmanager
def prometheus(binary, target, folder):
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "alerts/mapshift.rules.yml"), str(ROOT / "alerts/examples/rollback.rules.yml")],
        "scrape_configs": [{"job_name": "mapshift", "static_configs": [{"targets": [target]}]}],
    }
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(json.dumps(config))  # JSON is YAML
    places = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([binary, f"--config.file={file}", *places], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process)
        yield url
    except Exception:
        print((folder / "log").read_text()[-4000:])
        raise
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def rule_problems(url):
    for group in get(url, "/api/v1/rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                yield f"rule {rule['name']}: {rule['health']} {rule.get('lastError', '')}"


def run_queries(*arguments):
    command = [sys.executable, "-B", RULES / "run_queries.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


def main():
    with tempfile.TemporaryDirectory() as name, Exporter(metrics.METRICS) as exporter:
        folder = pathlib.Path(name)
        wanted = folder / "wanted.txt"
        # All of them, and what the list for a real agent has on top.
        wanted.write_text(run_queries("--list").stdout + (RULES / "must_have_data.txt").read_text())
        with prometheus(sys.argv[1], exporter.address, folder) as url:
            done = run_queries("--prometheus", url, "--must-have-data", wanted, "--rate-interval", "4s", "--range", "20")
            problems = list(rule_problems(url))
            alerts = get(url, "/api/v1/alerts")["alerts"]
            firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
    print(done.stdout + done.stderr + "\n".join(problems))
    if "MapshiftWatchdog" not in firing:
        problems.append("the watchdog does not fire")
        print(problems[-1])
    return 1 if done.returncode or problems else 0


if __name__ == "__main__":
    sys.exit(main())
