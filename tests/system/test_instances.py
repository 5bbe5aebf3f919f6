# SPDX-License-Identifier: Apache-2.0
"""One module at both ends of a pair of interfaces: each instance counts its own frames, all of them in one sum, and they move as a set."""

import os
import time

from guard_lab import ChangesTest
from lab import Frames, SystemTest

RATE = 10000


class Opposite:
    """The other direction: into the end that frames come from otherwise."""

    def __init__(self, test):
        self.PEER, self.addCleanup, self.assertEqual = test.LINK, test.addCleanup, test.assertEqual


class Instances(SystemTest):
    def two(self, number, names=("a", "b"), **more):
        places = dict(zip(names, (self.LINK, self.PEER)))
        maps = {"cells": {"per_instance": True}} if number < 3 else {"buckets": {"from": "cells", "per_instance": True}}
        return self.meter(number, maps=maps, params={}, instances=[{"name": name, "IFACE": place} for name, place in places.items()], **more)

    def both(self):
        return Frames(self, RATE), Frames(Opposite(self), RATE)

    def assert_all_counted(self, agent, senders, cells="cells", names=("a", "b")):
        sent = [sender.stop() for sender in senders]
        for name, count in zip(names, sent):
            self.assert_counted(agent, count, f"{cells}@{name}" if name else cells)
        self.assertEqual(self.variable(agent, "weighed"), sum(sent))

    def test_updated_rolled_back_and_updated_and_every_frame_counted(self):
        agent = self.agent()
        self.load(agent, self.two(1))
        module = agent.json("status", "meter")[1]
        self.assertEqual({p["name"] for p in module["programs"] if p["attach"]}, {"enter@a", "enter@b"})
        self.assertLessEqual({"cells@a", "cells@b", "next@a", "next@b", "totals", "bss"}, {m["name"] for m in module["maps"]})
        senders = self.both()
        plan = agent.json("plan", self.two(2))[1]
        self.assertEqual(plan["refusals"], [])
        self.assertEqual([(m["name"], m["policy"]) for m in plan["maps"] if m["name"].startswith("cells")], [("cells@a", "sync"), ("cells@b", "sync")])
        identity = self.start_update(agent, self.two(2), "--bake", "60s")
        self.assertEqual(agent.follow(identity, ("baking",))["state"], "baking")
        time.sleep(0.2)
        self.assertEqual(agent.cli("rollback", "meter").status, 0)
        self.assertEqual(agent.follow(identity)["state"], "rolled_back")
        for number in (2, 3):
            done = agent.cli("update", self.two(number), "--wait")
            self.assertEqual(done.status, 0, done.err)
        self.assert_all_counted(agent, senders, "buckets")
        self.assertEqual(agent.cli("unload", "meter").status, 0)
        self.assertFalse(os.listdir(agent.bpffs / "mapshift"))

    def test_moved_by_one_store_and_judged_over_all_of_them(self):
        agent = self.agent()
        self.load(agent, self.two(1))
        senders = self.both()
        analysis = {"bake": "500ms", "interval": "50ms", "objectives": [
            {"name": "frames", "indicator": "map", "counter": "totals.frames", "max": 1e12},
            {"name": "runs", "indicator": "program", "program": "enter", "value": "run_time_avg", "max": 1},
            {"name": "runs-of-b", "indicator": "program", "program": "enter@b", "value": "run_time_avg", "maxIncrease": "100000%"}]}
        done = agent.json("update", self.two(2, swap="together", analysis=analysis), "--wait")
        self.assertEqual((done[0], done[1].get("state"), done[1].get("swap")), (0, "committed", "together"), done[2])
        self.assert_all_counted(agent, senders)

    def test_an_agent_that_died_leaves_both_and_the_next_one_takes_them_up(self):
        agent = self.agent()
        self.load(agent, self.two(1))
        senders = self.both()
        identity = self.start_update(agent, self.two(2), "--bake", "60s")
        self.assertEqual(agent.follow(identity, ("baking",))["state"], "baking")
        agent.kill()
        agent.start()
        self.assertEqual(agent.update(identity)["state"], "baking")
        self.assertEqual(agent.cli("commit", "meter").status, 0)
        self.assertEqual(agent.follow(identity)["state"], "committed")
        self.assert_all_counted(agent, senders)

    def test_a_module_grows_by_an_instance_and_shrinks_again(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        senders = [Frames(self, RATE)]
        done = agent.json("update", self.two(2, names=("", "b")), "--wait")
        self.assertEqual((done[0], done[1].get("state")), (0, "committed"), done[2])
        self.assertIn(("enter@b", "attach"), [(p["name"], p["swap"]) for p in done[1]["programs"]])
        self.assertEqual([m["policy"] for m in done[1]["maps"] if m["name"] == "cells@b"], ["reset"])
        senders.append(Frames(Opposite(self), RATE))
        time.sleep(0.2)
        done = agent.json("update", self.two(3, names=("", "b")), "--wait")
        self.assertEqual((done[0], done[1].get("state")), (0, "committed"), done[2])
        self.assert_all_counted(agent, senders, "buckets", names=("", "b"))
        done = agent.json("update", self.meter(3, version="3.1.0"), "--wait")
        self.assertEqual((done[0], done[1].get("state")), (0, "committed"), done[2])
        self.assertIn("enter@b", [p["name"] for p in done[1]["programs"] if p["swap"] == "detach"])
        self.assertEqual(os.listdir(agent.bpffs / "mapshift" / "meter" / "hooks"), ["enter"])
        self.assertFalse([name for name in os.listdir(agent.bpffs / "mapshift" / "meter" / "maps") if "@" in name])

    def test_what_cannot_be_is_refused(self):
        agent = self.agent()
        self.load(agent, self.two(1))
        before = self.state(agent)
        done = agent.cli("update", self.meter(2, maps={}))
        self.assertEqual(done.status, 1)
        self.assertIn("would take the place of enter@a", done.err)
        done = agent.cli("update", self.meter(2, params={}, instances=[{"IFACE": self.LINK}, {"IFACE": self.LINK}]))
        self.assertEqual(done.status, 1)
        self.assertIn("attach enter to the same place", done.err)
        self.assert_unchanged(agent, before)


class Logged(ChangesTest):
    """Each instance's own map has a change stream of its own."""

    def logging(self, number):
        return self.policy(number, params={}, maps={"seen": {"per_instance": True}},
                           instances=[{"name": "a", "IFACE": self.LINK}, {"name": "b", "IFACE": self.PEER}])

    def test_changes_are_told_apart(self):
        agent = self.agent(changes={"maps": [{"module": "guard", "map": name} for name in ("seen@a", "seen@b", "seen")]})
        self.load(agent, self.logging(1))
        for name in ("seen@a", "seen@b"):
            self.assertIn("instrumented", self.entry(agent, name)["source"])
        refused = self.watch(agent, "seen")
        self.assertEqual(refused.status, 404)
        self.assertIn("seen@a, seen@b", refused.body["detail"])
        self.assertIn("instrumented", next(m["changes"] for m in agent.json("plan", self.logging(2))[1]["maps"] if m["name"] == "seen@b"))
        a, b = self.watch(agent, "seen@a"), self.watch(agent, "seen@b")
        versions = [int(watcher.headers["etag"].strip('"')) for watcher in (a, b)]
        senders = Frames(self, 2000), Frames(Opposite(self), 1000)
        done = agent.cli("update", self.logging(2), "--wait")
        self.assertEqual(done.status, 0, done.err)
        for watcher, version, sender in zip((a, b), versions, senders):
            sent, events = sender.stop(), []
            while len(events) < sent and (event := watcher.next()) is not None:
                if event.kind == "change":
                    events.append(event)
            self.assertEqual([event.id for event in events], list(range(version + 1, version + sent + 1)))
        agent.kill()
        agent.start()
        self.assertIn("instrumented", self.entry(agent, "seen@b")["source"])
        status, document, _ = agent.json("changes", "guard/seen@b")
        self.assertEqual(status, 0, document)
