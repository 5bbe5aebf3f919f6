#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objectives of every indicator that needs no neighbour, on a real agent under traffic: what is refused in the plan, what is
measured, what rolls back, and what a restart of the agent keeps."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from flowmeter_lab import HERE_ADDRESS, LINK, PEER, SENDER, THERE_ADDRESS, Agent, private_world  # noqa: E402

BUILD = pathlib.Path(os.environ.get("MAPSHIFT_BUILD", "build/release")).resolve()
RATIO = {"num": "stats.dropped", "den": "stats.seen"}
COMMON = [  # of the agent's configuration
    {"name": "softirq", "indicator": "host", "value": "softirq_share", "max": 0.99},
    {"name": "foreign-map", "indicator": "map", "counter": "cells.lost", "max": 1},
    {"name": "foreign-program", "indicator": "program", "program": "on_exec", "value": "runs_rate", "max": 1},
]


def objective(name, indicator, **more):
    return {"name": name, "indicator": indicator, "inconclusiveLimit": 1000, **more}


def analysis(*objectives, bake="1500ms", **more):
    return {"bake": bake, "interval": "50ms", "objectives": list(objectives), **more}


class Analysis(unittest.TestCase):
    """In the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-analysis-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.agent = Agent(BUILD, cls.folder, objectives=COMMON)
        cls.addClassCleanup(cls.agent.stop)
        sender = subprocess.Popen([sys.executable, "-c", SENDER, PEER, THERE_ADDRESS, HERE_ADDRESS, "240"])
        cls.addClassCleanup(sender.wait)
        cls.addClassCleanup(sender.terminate)
        loaded = cls.agent.cli("load", cls.agent.manifest(1, analysis()), "--set", f"IFACE={LINK}")
        if loaded.returncode != 0:
            raise RuntimeError(loaded.stderr)

    def plan(self, *objectives, version=2, **more):
        done = self.agent.cli("plan", self.agent.manifest(version, analysis(*objectives, **more)), "--set", f"IFACE={LINK}")
        return json.loads(done.stdout or "{}")

    def show(self, identity):
        record = json.loads(self.agent.cli("explain", identity).stdout or "{}")
        return record.get("update", record)

    def test_1_the_plan_says_what_cannot_be_judged(self):
        cases = {
            "unserved-indicator": objective("o", "verdict", program="count_packets", value="drop", max=0.1),
            "unknown-counter": objective("o", "map", counter="nothing.here", max=1),
            "unknown-program": objective("o", "program", program="nobody", value="runs_rate", max=1),
            "impossible-limit": objective("o", "map", counter="stats.dropped", max=-1),
            "no-interface": objective("o", "host", value="drops_rate", interface="nosuch0", max=1),
            "alerts-unavailable": objective("o", "alert"),
        }
        for code, one in cases.items():
            planned = self.plan(one)
            self.assertEqual([(refusal["code"], refusal["where"]) for refusal in planned["refusals"]], [(code, "analysis.objectives.o")], planned["refusals"])
            status, _, _ = self.agent.update(2, analysis(one), "--wait")
            self.assertEqual(status, 1, code)

    def test_2_the_plan_warns_of_what_judges_little(self):
        planned = self.plan(objective("idle", "host", value="cpu_share", max=1), objective("late", "map", ratio=RATIO, max=1, initialDelay="1h"))
        self.assertEqual(planned["refusals"], [])
        codes = sorted(warning["code"] for warning in planned["warnings"])
        self.assertEqual([code for code in codes if code in ("toothless-limit", "bake-too-short", "objective-skipped")],
                         ["bake-too-short", "objective-skipped", "objective-skipped", "toothless-limit"])

    def test_3_every_indicator_measures(self):
        objectives = [
            objective("drop-ratio", "map", ratio=RATIO, max=0.001, minSamples=20),
            objective("burn", "map", ratio=RATIO, burnRate={"objective": 0.999, "factor": 14.4, "long": "1h", "short": "300ms"}, minSamples=20),
            objective("run-time", "program", program="count_packets", value="run_time_avg", maxIncrease="100000%"),
            objective("runs", "program", program="count_packets", value="runs_rate", min=1, interval="10ms", failureLimit=1000),
            objective("drops", "host", value="drops_rate", interface=LINK, max=1e9),
            objective("conflicts", "migration", value="conflicts", max=1e9),
            objective("stall", "migration", value="stall", map="flows", max=5),
            objective("unsynced", "migration", value="unsynced", max=0),
            objective("mismatches", "migration", value="mismatches", max=1e9),
        ]
        status, record, errors = self.agent.update(2, analysis(*objectives), "--wait")
        self.assertEqual((status, record.get("state")), (0, "committed"), errors + record.get("reason", ""))
        passed = {one["objective"] for one in record["measurements"] if one["outcome"] == "pass"}
        self.assertEqual(passed, {one["name"] for one in objectives} | {"softirq"})
        self.assertEqual(set(record["baselines"]), {"run-time"})
        runs = sum(one["objective"] == "runs" for one in record["measurements"])
        self.assertGreater(runs, 20, "an interval of 10 ms is kept as far as the machine allows")

    def test_4_a_budget_that_burns_rolls_back(self):
        burn = objective("burn", "map", ratio=RATIO, burnRate={"objective": 0.999, "factor": 14.4, "long": "1h", "short": "500ms"}, minSamples=100)
        status, record, errors = self.agent.update(3, analysis(burn, bake="30s"), "--wait")
        self.assertEqual((status, record.get("state"), record.get("trigger")), (3, "rolled_back", "objective"), errors)
        self.assertIn("burn: the error budget burns", record["reason"])
        failed = [one for one in record["measurements"] if one["outcome"] == "fail"]
        self.assertEqual(failed[0]["limit"], 14.4)
        self.assertGreater(failed[0]["value"], 20)
        self.assertGreater(record["rollback_seconds"], 0)
        stored = self.show(record["id"])
        self.assertEqual(stored["measurements"], record["measurements"], "every measurement is stored, the failing one, too")
        self.assertEqual(stored["rollback_seconds"], record["rollback_seconds"])

    def test_5_what_was_measured_before_the_swap_outlives_the_agent(self):
        relative = objective("run-time", "program", program="count_packets", value="run_time_avg", maxIncrease="100000%")
        status, record, errors = self.agent.update(3, analysis(relative, bake="60s"))
        self.assertEqual(status, 0, errors)
        end = time.monotonic() + 20
        while not any(one["outcome"] == "pass" and one["objective"] == "run-time" for one in self.show(record["id"])["measurements"]):
            self.assertLess(time.monotonic(), end, "nothing was measured")
            time.sleep(0.1)
        baselines = self.show(record["id"])["baselines"]
        self.agent.kill()
        self.agent.start()
        end = time.monotonic() + 20
        seen = len(self.show(record["id"])["measurements"])
        while True:
            now = self.show(record["id"])
            fresh = [one for one in now["measurements"][seen:] if one["objective"] == "run-time"]
            if fresh:
                break
            self.assertLess(time.monotonic(), end, "nothing was measured after the restart")
            time.sleep(0.1)
        self.assertEqual(now["baselines"], baselines)
        self.assertEqual({one["outcome"] for one in fresh}, {"pass"})
        self.agent.cli("rollback", "flowmeter", "--reason", "enough")


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    private_world()
    program = unittest.main(argv=["analysis_test", "-v", *sys.argv[1:]], exit=False)
    sys.exit(0 if program.result.wasSuccessful() and program.result.testsRun else 1)
