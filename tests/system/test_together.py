# SPDX-License-Identifier: Apache-2.0
"""Hooks that move by one store, and canaries: under load, rolled back from a step, and with the agent killed in one."""

import json
import signal
import time

import test_modules
from lab import SystemTest

SHORT = {"bake": "0s", "interval": "50ms"}


class Meter(SystemTest):
    """One XDP hook, which goes behind a dispatcher for it."""

    def in_step(self, agent, identity, step):
        """The record as soon as the canary is in that step, or has ended."""
        record = agent.follow(identity, ("baking",))
        deadline = time.monotonic() + 30
        while record["state"] == "baking" and record["canary"]["step"] < step:
            self.assertLess(time.monotonic(), deadline, "the canary stays where it is")
            record = agent.update(identity, record["revision"], "5s")
        return record

    def test_a_canary_goes_up_and_the_next_update_moves_by_one_store(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        frames = self.frames(20000)
        manifest = self.meter(2, canary={"steps": [0.05, 0.25, 0.5], "step": "200ms"}, analysis=SHORT)
        plan = agent.json("plan", manifest)[1]
        self.assertEqual((plan["swap"], plan["canary"]["steps"], plan["refusals"]), ("together", [0.05, 0.25, 0.5], []))
        self.assertEqual([(p["swap"], p["order"]) for p in plan["programs"] if p["name"] == "enter"], [("dispatcher", 1)])
        self.assertIn("canary-latest", [w["code"] for w in plan["warnings"]])
        self.assertIn("Canary: 5 %, 25 %, 50 % of events at random", agent.cli("plan", manifest).out)
        done = agent.json("update", manifest, "--wait")
        self.assertEqual(done[0], 0, done[2])
        record = done[1]
        self.assertEqual((record["state"], record["canary"]["share"]), ("committed", 1))
        enter = next(one for one in record["comparison"] if one["program"] == "enter")
        self.assertGreater(enter["from"]["events"], enter["to"]["events"])
        self.assertGreater(enter["to"]["events"], 0)
        self.assertEqual((enter["misses"], enter["to"]["verdicts"].keys()), (0, enter["from"]["verdicts"].keys()))
        done = agent.json("update", self.meter(3, swap="together"), "--wait")
        self.assertEqual((done[0], done[1]["state"], done[1]["swap"]), (0, "committed", "together"), done[2])
        sent = frames.stop()
        self.assert_counted(agent, sent, "buckets")
        self.assertEqual(self.variable(agent, "weighed"), sent)
        self.assertIn("Side by side", agent.cli("explain", record["id"]).out)

    def test_a_rollback_from_a_step(self):
        agent = self.agent()
        self.load(agent, self.meter(1, swap="together"))
        frames = self.frames(20000)
        identity = self.start_update(agent, self.meter(2, canary={"steps": [0.25, 0.5], "step": "1h"}))
        self.in_step(agent, identity, 1)
        time.sleep(0.3)  # both count
        shown = agent.cli("status", "meter").out
        self.assertIn("canary 1 of 2, 25 % of events", shown)
        self.assertEqual(agent.cli("rollback", "meter").status, 0)
        record = agent.follow(identity)
        self.assertEqual(record["state"], "rolled_back")
        time.sleep(0.1)
        sent = frames.stop()
        self.assert_counted(agent, sent)
        self.assertGreater(record["comparison"][0]["to"]["events"], 0)

    def test_a_breach_in_a_step(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        frames = self.frames(20000)
        drops = {"name": "drops", "indicator": "verdict", "program": "enter", "value": "XDP_DROP", "max": 0.5, "minSamples": 5}
        manifest = self.meter(2, canary={"ratio": 0.5, "step": "1h"}, analysis={"bake": "0s", "interval": "50ms", "objectives": [
            {**drops, "inconclusiveLimit": 1000}]})
        status, record, err = agent.json("update", manifest, "--wait")
        self.assertEqual((status, record["state"], record["trigger"]), (3, "rolled_back", "objective"), err)
        self.assertIn("canary at 50 %: drops", record["reason"])
        self.assert_counted(agent, frames.stop())
        self.assertEqual(sorted(pin.name for pin in (agent.bpffs / "mapshift/meter/hooks/enter").iterdir()), ["link"])

    def test_killed_in_a_step(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        frames = self.frames(20000)
        identity = self.start_update(agent, self.meter(2, canary={"steps": [0.25, 0.5], "step": "1h"}))
        self.in_step(agent, identity, 1)
        time.sleep(0.2)
        agent.kill()
        time.sleep(0.2)  # both generations go on, and nobody reconciles them
        agent.start()
        record = agent.update(identity)
        self.assertEqual((record["state"], record["trigger"]), ("rolled_back", "recovery"))
        time.sleep(0.1)
        self.assert_counted(agent, frames.stop())
        self.assertEqual(agent.json("status", "meter")[1]["generation"], 1)
        self.assertEqual(agent.cli("update", self.meter(2, swap="together"), "--wait").status, 0)


class Together(test_modules.Events):
    """Two dispatchers and a native hook."""

    test_three_hooks_updated_and_rolled_back_under_load = None

    def moving(self, version, **more):
        path = self.events(version)
        return self.manifest(path.stem, {**json.loads(path.read_text()), **more})

    def test_three_hooks_by_one_store(self):
        agent = self.agent()
        self.load(agent, self.moving(1))
        self.source.stdin.write("go\n")
        self.source.stdin.flush()
        plan = agent.json("plan", self.moving(2, canary={"ratio": 0.05, "by": "flow"}))[1]
        self.assertEqual(sorted(r["code"] for r in plan["refusals"]), ["no-flow", "no-flow"])
        identity = self.start_update(agent, self.moving(2, swap="together"), "--bake", "60s")
        agent.follow(identity, ("baking",))
        time.sleep(0.2)
        self.assertEqual(agent.cli("rollback", "events").status, 0)
        self.assertEqual(agent.follow(identity)["state"], "rolled_back")
        canary = {"steps": [0.25, 0.75], "step": "200ms"}
        status, record, err = agent.json("update", self.moving(2, canary=canary, analysis=SHORT), "--wait")
        self.assertEqual((status, record["state"]), (0, "committed"), err)
        self.source.send_signal(signal.SIGTERM)
        sent = json.loads(self.source.stdout.read())["sent"]
        got = dict(self.dump(agent, "numbered", "events"))
        for kind in ("traced", "raw", "egress"):
            want = {number: sent // 64 + (number < sent % 64) for number in range(64)}
            self.assertEqual({number: value[kind] for number, value in got.items()}, want, f"{kind}: {sum(v[kind] for v in got.values())} of {sent}")
        self.assertEqual({p["name"]: (p["swap"], p["order"]) for p in record["programs"]},
                         {name: ("dispatcher", 1) for name in ("on_traced", "on_raw", "on_egress")})
        self.assertEqual(agent.cli("unload", "events").status, 0)
