#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objectives that ask a real Prometheus, which scrapes the real agent: refused while it is down or the query is wrong, measured
during the bake, and never a promotion by accident. In namespaces of its own, so that every port is free."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from flowmeter_lab import LINK, SKIPPED, Agent, private_world  # noqa: E402

BUILD = pathlib.Path(os.environ.get("MAPSHIFT_BUILD", "build/release")).resolve()
PORT = 19090
URL = f"http://127.0.0.1:{PORT}"


class Prometheus:
    def __init__(self, folder, target):
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                  "scrape_configs": [{"job_name": "mapshift", "static_configs": [{"targets": [target]}]}]}
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self.log = open(folder / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{PORT}"], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not self.scraped():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("prometheus did not start: " + (folder / "prometheus.log").read_text()[-2000:])
            time.sleep(0.1)

    @staticmethod
    def scraped():
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"{URL}/api/v1/query?query=mapshift_update_phase", timeout=2) as answer:
                return bool(json.load(answer)["data"]["result"])
        return False

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(20)
        self.log.close()


def objective(query, **more):
    return {"name": "asked", "indicator": "promql", "query": query, "max": 1, **more}


def analysis(*objectives, bake="1s"):
    return {"bake": bake, "interval": "100ms", "objectives": list(objectives)}


class Promql(unittest.TestCase):
    """In the order of their names: the last one commits."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-promql-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.agent = Agent(BUILD, cls.folder, prometheus={"url": URL})
        cls.addClassCleanup(cls.agent.stop)
        loaded = cls.agent.cli("load", cls.agent.manifest(1, analysis()), "--set", f"IFACE={LINK}")
        if loaded.returncode != 0:
            raise RuntimeError(loaded.stderr)
        cls.prometheus = None

    def ask(self, *arguments):
        done = self.agent.cli(*arguments)
        return done.returncode, json.loads(done.stdout or "{}")

    def follow(self, identity, wanted, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _, record = self.ask("explain", identity)
            record = record.get("update", record)
            if wanted(record):
                return record
            time.sleep(0.1)
        self.fail(f"waited in vain; the update is {record['state']}: {record['measurements'][-3:]}")

    def assert_refused(self, query, code, words, **more):
        status, document, errors = self.agent.update(2, analysis(objective(query, **more)), "--wait")
        self.assertEqual(status, 1, errors)
        text = json.dumps(document) + errors
        self.assertIn(words, text)
        status, planned = self.ask("plan", self.agent.manifest(2, analysis(objective(query, **more))), "--set", f"IFACE={LINK}")
        self.assertIn(code, [one["code"] for one in planned["refusals"]])
        self.assertIn("analysis.objectives.asked", [one["where"] for one in planned["refusals"]])
        self.assertEqual(self.ask("status", "flowmeter")[1]["generation"], 1)

    def test_1_nobody_there(self):
        began = time.monotonic()
        self.assert_refused("up", "prometheus-unavailable", URL)
        self.assertLess(time.monotonic() - began, 10)

    def test_2_wrong_queries(self):
        type(self).prometheus = Prometheus(self.folder, json.loads((self.folder / "run/agent.json").read_text())["metrics"])
        self.addClassCleanup(self.prometheus.stop)
        self.assert_refused("sum(", "bad-query", "parse error")
        self.assert_refused("mapshift_program_runs_total", "bad-query", "2 series where one is expected")
        self.assert_refused("up[5m]", "bad-query", "not one number")

    def test_3_no_data_is_never_a_pass(self):
        for query, message in (("no_such_metric", "no data"), ("vector(0) / vector(0)", "not a number")):
            status, record, errors = self.agent.update(2, analysis(objective(query)), "--bake", "500ms")
            self.assertEqual(status, 0, errors)
            if query == "no_such_metric":
                self.assertIn("no-data-yet", [one["code"] for one in record["warnings"]])
            time.sleep(2)
            record = self.follow(record["id"], lambda one: one["state"] == "baking" and one["measurements"])
            self.assertEqual({one["outcome"] for one in record["measurements"]}, {"inconclusive"})
            self.assertIn(message, record["measurements"][-1]["message"])
            self.ask("rollback", "flowmeter")
            self.follow(record["id"], lambda one: one["state"] == "rolled_back")

    def test_4_no_data_may_roll_back(self):
        status, record, errors = self.agent.update(2, analysis(objective("no_such_metric", onNoData="rollback", inconclusiveLimit=2), bake="60s"), "--wait")
        self.assertEqual((status, record["state"], record["trigger"]), (3, "rolled_back", "objective"), errors)
        self.assertEqual(len(record["measurements"]), 3)

    def test_5_a_limit_is_broken_by_what_was_scraped(self):
        query = 'max(mapshift_update_phase{module="flowmeter",phase="baking"})'
        status, record, errors = self.agent.update(2, analysis(objective(query, max=0), bake="60s"), "--wait")
        self.assertEqual((status, record["state"], record["trigger"]), (3, "rolled_back", "objective"), errors)
        self.assertIn("asked: 1 is above the limit 0", record["reason"])
        failed = [one for one in record["measurements"] if one["outcome"] == "fail"]
        self.assertEqual([(one["value"], one["limit"]) for one in failed], [(1, 0)])

    def test_6_a_prometheus_that_hangs_holds_up_nobody(self):
        slow = analysis(objective("vector(0)"), {"name": "softirq", "indicator": "host", "value": "softirq_share", "max": 0.99}, bake="1s")
        status, record, errors = self.agent.update(2, slow)
        self.assertEqual(status, 0, errors)
        self.prometheus.process.send_signal(signal.SIGSTOP)
        record = self.follow(record["id"], lambda one: any(m["outcome"] == "error" for m in one["measurements"]))
        self.assertIn("no answer within", [m for m in record["measurements"] if m["outcome"] == "error"][0]["message"])
        self.assertEqual(record["state"], "baking")
        began = time.monotonic()
        self.ask("rollback", "flowmeter")
        record = self.follow(record["id"], lambda one: one["state"] == "rolled_back")
        self.assertLess(record["rollback_seconds"], 1)
        self.assertLess(time.monotonic() - began, 5)
        self.assertGreater(sum(m["objective"] == "softirq" for m in record["measurements"]), 5)
        self.prometheus.process.send_signal(signal.SIGCONT)

    def test_7_what_holds_is_committed(self):
        status, record, errors = self.agent.update(2, analysis(objective("max(up)"), objective("vector(1)", name="other", interval="50ms")), "--wait")
        self.assertEqual((status, record["state"]), (0, "committed"), errors)
        self.assertEqual({one["outcome"] for one in record["measurements"]}, {"pass"})
        self.assertGreater(sum(one["objective"] == "other" for one in record["measurements"]), 8)

    def test_8_a_prometheus_that_died_does_not_promote(self):
        self.prometheus.stop()
        self.assert_refused_now()

    def assert_refused_now(self):
        status, document, errors = self.agent.update(3, analysis(objective("max(up)")), "--wait")
        self.assertEqual(status, 1)
        self.assertIn("Prometheus at " + URL, json.dumps(document) + errors)


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    private_world()
    if shutil.which("prometheus") is None:
        print("SKIPPED: prometheus is not installed")
        sys.exit(1 if os.environ.get("MAPSHIFT_REQUIRE_KERNEL") == "1" else SKIPPED)
    program = unittest.main(argv=["promql_test", "-v", *sys.argv[1:]], exit=False)
    sys.exit(0 if program.result.wasSuccessful() and program.result.testsRun else 1)
