#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objectives about Go processes, on a real agent beside a Go service under load: what is measured, what rolls back, and that a
process that is not there holds the update rather than letting it pass."""

import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from flowmeter_lab import LINK, Agent, private_world  # noqa: E402
from go_service import busy_service, service_path  # noqa: E402

BUILD = pathlib.Path(os.environ.get("MAPSHIFT_BUILD", "build/release")).resolve()
PATIENCE = 20  # seconds


def objective(name, value, process="go-serv*", **more):
    return {"name": name, "indicator": "go", "process": process, "value": value, "inconclusiveLimit": 1000, **more}


def analysis(*objectives, bake="2s"):
    return {"bake": bake, "interval": "250ms", "objectives": list(objectives)}


class GoObjectives(unittest.TestCase):
    """In the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-go-objectives-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.enterClassContext(busy_service(BUILD))
        cls.agent = Agent(BUILD, cls.folder, go={"overhead_budget": 0.05, "processes": [{"path": str(service_path(BUILD))}]})
        cls.addClassCleanup(cls.agent.stop)
        loaded = cls.agent.cli("load", cls.agent.manifest(1, analysis()), "--set", f"IFACE={LINK}")
        if loaded.returncode != 0:
            raise RuntimeError(loaded.stderr)
        cls.wait_for(lambda: any(one["state"] == "captured" for one in cls.processes()))

    @classmethod
    def processes(cls):
        return json.loads(cls.agent.cli("go").stdout)["processes"]

    @classmethod
    def wait_for(cls, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError((cls.folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def plan(self, one):
        """Refusals by code, and the codes of warnings. That the objects of rolled-back updates are quarantined is another matter."""
        planned = json.loads(self.agent.cli("plan", self.agent.manifest(3, analysis(one)), "--set", f"IFACE={LINK}").stdout)
        refusals = {refusal["code"]: refusal["message"] for refusal in planned["refusals"]}
        refusals.pop("quarantined", None)
        return refusals, [warning["code"] for warning in planned["warnings"]]

    def show(self, identity):
        record = json.loads(self.agent.cli("explain", identity).stdout or "{}")
        return record.get("update", record)

    def test_1_figures_are_measured_and_pass(self):
        objectives = [objective("latency", "sched_p99", max=10, minSamples=5), objective("goroutines", "goroutines", min=5, max=1e6),
                      objective("waits", "block_p99", reason="IO wait", max=1000, interval="1s"),
                      objective("latency-before", "sched_p99", maxIncrease="1000000%")]
        status, record, errors = self.agent.update(2, analysis(*objectives), "--wait")
        self.assertEqual((status, record.get("state")), (0, "committed"), errors + record.get("reason", ""))
        passed = {one["objective"] for one in record["measurements"] if one["outcome"] == "pass"}
        self.assertEqual(passed, {one["name"] for one in objectives})
        self.assertEqual(set(record["baselines"]), {"latency-before"})
        measured = [one["value"] for one in record["measurements"] if one["objective"] == "goroutines"]
        self.assertGreater(min(measured), 100, "the service has 100 goroutines that sleep")

    def test_2_a_breach_rolls_back(self):
        status, record, errors = self.agent.update(3, analysis(objective("latency", "sched_p99", max=1e-9), bake="30s"), "--wait")
        self.assertEqual((status, record.get("state"), record.get("trigger")), (3, "rolled_back", "objective"), errors)
        self.assertIn("latency: ", record["reason"])

    def test_3_a_process_that_is_not_there_is_no_data_and_holds(self):
        absent = objective("absent", "stw_p99", process="nobody", max=1)
        refusals, warnings = self.plan(absent)
        self.assertEqual(refusals, {})
        self.assertIn("no-data-yet", warnings)
        status, record, errors = self.agent.update(3, analysis(absent, bake="500ms"))
        self.assertEqual(status, 0, errors)
        self.wait_for(lambda: "held" in self.show(record["id"])["reason"])
        self.assertEqual({one["outcome"] for one in self.show(record["id"])["measurements"]}, {"inconclusive"})
        self.agent.cli("rollback", "flowmeter", "--reason", "enough")
        self.wait_for(lambda: self.show(record["id"])["state"] == "rolled_back")

    def test_4_without_a_capture_the_plan_refuses(self):
        file = self.folder / "mapshiftd.json"
        config = json.loads(file.read_text())
        file.write_text(json.dumps({**config, "go": {"enabled": False}}))
        self.agent.process.send_signal(1)  # SIGHUP
        self.wait_for(lambda: not json.loads(self.agent.cli("go").stdout)["enabled"])
        refusals, _ = self.plan(objective("latency", "sched_p99", max=1))
        self.assertEqual(list(refusals), ["go-unavailable"])
        self.assertIn("go.enabled", refusals["go-unavailable"])
        file.write_text(json.dumps(config))
        self.agent.process.send_signal(1)
        self.wait_for(lambda: any(one["state"] == "captured" for one in self.processes()))


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    private_world()
    program = unittest.main(argv=["go_objectives_test", "-v", *sys.argv[1:]], exit=False)
    sys.exit(0 if program.result.wasSuccessful() and program.result.testsRun else 1)
