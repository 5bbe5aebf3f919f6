#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every query of the dashboards in a real Prometheus that has scraped a real agent before, during and after an update that
was committed and one that its objective rolled back, beside a Go service under load. None may fail, and each must give data but those
that tests/rules/agent_no_data.txt names. Usage: dashboards_agent.py PROMETHEUS; MAPSHIFT_BUILD is the build's folder.

Exit status: 0 passed, 1 failed, 77 skipped for want of privilege (with MAPSHIFT_REQUIRE_KERNEL=1 that is a failure)."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from dashboards_live import RULES, get, prometheus, rule_problems, run_queries  # noqa: E402
from flowmeter_lab import HERE_ADDRESS, LINK, PEER, SENDER, THERE_ADDRESS, Agent, private_world  # noqa: E402
from go_service import busy_service, service_path  # noqa: E402

BUILD = pathlib.Path(os.environ.get("MAPSHIFT_BUILD", "build/release")).resolve()
# The objective that flowmeter ships with, asked often, so that two updates take seconds.
ANALYSIS = {"bake": "3s", "interval": "250ms", "objectives": [
    {"name": "drop-ratio", "indicator": "map", "ratio": {"num": "stats.dropped", "den": "stats.seen"}, "max": 0.01, "failureLimit": 2}]}
RANGE = 60  # seconds that the panels show: all of this test
PATIENCE = 15  # seconds
SEEN = [  # what makes an answer one about an agent that updates
    'max_over_time(mapshift_update_phase{phase="baking"}[1m]) > 0',
    'mapshift_updates_total{result="committed"} > 0',
    'mapshift_rollbacks_total{trigger="objective"} > 0',
    "mapshift_go_gc_cycles_total > 0",
    "mapshift_go_block_seconds_count > 0",  # the probes had a window
    "mapshift_go_crosscheck_ratio > 0",
]


@contextlib.contextmanager
def lab(folder):
    """An agent with flowmeter v1 loaded, and frames that enter through its interface."""
    sender = subprocess.Popen([sys.executable, "-c", SENDER, PEER, THERE_ADDRESS, HERE_ADDRESS, "100"])
    try:
        agent = Agent(BUILD, folder, go={"processes": [{"path": str(service_path(BUILD))}], "census_interval": "1s"},
                      changes={"maps": [{"module": "flowmeter", "map": "flows"}]})
        try:
            loaded = agent.cli("load", agent.manifest(1, ANALYSIS), "--set", f"IFACE={LINK}")
            if loaded.returncode != 0:
                raise RuntimeError(loaded.stderr)
            yield agent
        finally:
            agent.stop()
    finally:
        sender.terminate()
        sender.wait()


def update(agent, version, wanted):
    status, record, errors = agent.update(version, ANALYSIS, "--wait")
    state = record.get("state")
    if state != wanted:
        raise RuntimeError(f"the update to v{version} ended as {state} with status {status}, not as {wanted}: {errors}{json.dumps(record)[:2000]}")


def wait_until_scraped(url, query):
    end = time.monotonic() + PATIENCE
    while not get(url, f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")["result"]:
        if time.monotonic() > end:
            raise RuntimeError(f"Prometheus has no data within {PATIENCE} s for {query}")
        time.sleep(0.2)


def read_excuses(file):
    """Name of a query -> later or event; and the lines that are none."""
    lines = [line.strip() for line in file.read_text().splitlines()]
    parts = {line: [part.strip() for part in line.split(" : ", 2)] for line in lines if line and not line.startswith("#")}
    wrong = [line for line, found in parts.items() if len(found) != 3 or found[1] not in ("later", "event")]
    return {found[0]: found[1] for line, found in parts.items() if line not in wrong}, wrong


def check(url, folder):
    known = run_queries("--list").stdout.splitlines()
    excuses, wrong = read_excuses(RULES / "agent_no_data.txt")
    problems = [f"not NAME : later|event : REASON: {line}" for line in wrong]
    problems += [f"excused, but there is no such query: {name}" for name in excuses if name not in known]
    rules = re.findall(r"^expr / .*$", (RULES / "must_have_data.txt").read_text(), re.M)
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join([name for name in known if name not in excuses] + rules))
    done = run_queries("--prometheus", url, "--must-have-data", wanted, "--rate-interval", "4s", "--range", str(RANGE), "--show-empty")
    empty = set(re.findall(r"^empty (.*)$", done.stdout, re.M))
    if done.returncode == 0:  # an ERROR is no data either
        problems += [f"gives data by now, so it needs no excuse: {name}" for name, kind in excuses.items() if kind == "later" and name not in empty]
    problems += rule_problems(url)
    print(done.stdout + done.stderr + "\n".join(problems))
    return 1 if done.returncode or problems else 0


def main():
    private_world()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-dashboards-"))
    try:
        with busy_service(BUILD), lab(folder) as agent:
            target = json.loads((folder / "run" / "agent.json").read_text())["metrics"]
            watch = folder / "prometheus"
            watch.mkdir()
            with prometheus(sys.argv[1], target, watch) as url:
                update(agent, 2, "committed")
                update(agent, 3, "rolled_back")
                for query in SEEN:
                    wait_until_scraped(url, query)
                time.sleep(3)  # rates need scrapes after the end as well
                return check(url, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
