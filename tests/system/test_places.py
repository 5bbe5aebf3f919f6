# SPDX-License-Identifier: Apache-2.0
"""Instances at tcx hooks and cgroups: what each counts is whole wherever the agent dies and whatever becomes of one of them."""

import json
import pathlib
import random
import signal
import os
import subprocess
import sys
import tempfile
import time

import bpf
from lab import FIXTURES, HERE, Frames, SystemTest, run

CGROUPS = pathlib.Path("/sys/fs/cgroup/unified")
RATE = 5000
SEED = int(os.environ.get("MAPSHIFT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


class Into:
    """Where frames enter that the instance is to see."""

    def __init__(self, test, name):
        self.PEER = {"a": test.PEER, "b": test.LINK, "c": "mslab3"}[name]
        self.addCleanup, self.assertEqual = test.addCleanup, test.assertEqual


class Datagrams:
    """A process in a cgroup that sends numbered datagrams to itself."""

    def __init__(self, test, cgroup):
        self.process = subprocess.Popen([sys.executable, "-B", HERE / "events.py", cgroup], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        self.process.stdout.readline()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        sent = json.loads(self.process.stdout.read())["sent"]
        self.process.wait(timeout=10)
        return sent


class PlacesTest(SystemTest):
    """Two instances, each with an interface and a cgroup of its own."""

    def setUp(self):
        super().setUp()
        if not (CGROUPS / "cgroup.procs").exists():
            self.skipTest(f"no cgroup2 hierarchy at {CGROUPS}")
        self.random = random.Random(f"{SEED} {self.id()}")
        self.places = {"a": (self.LINK, self.cgroup()), "b": (self.PEER, self.cgroup())}

    def cgroup(self):
        path = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-system-", dir=CGROUPS))
        self.addCleanup(lambda: path.exists() and path.rmdir())
        return path

    def module(self, number, names="ab", version=None, **more):
        instances = [{"name": name, "IFACE": self.places[name][0], "CGROUP": str(self.places[name][1])} for name in names]
        return self.manifest(f"places_v{number}", {
            "name": "places", "version": version or f"{number}.0.0", "object": str(FIXTURES / f"system_places_v{number}.bpf.o"),
            "programs": {"on_frame": {"attach": {"type": "tcx", "interface": "$IFACE", "direction": "ingress"}},
                         "on_datagram": {"attach": {"type": "cgroup", "path": "$CGROUP", "hook": "skb_egress"}}},
            "maps": {"marks": {"per_instance": True}}, "analysis": {"bake": "0s", "interval": "50ms"}, "instances": instances, **more})

    def begin(self, names="ab"):
        """What makes events at each instance."""
        return {name: (Frames(Into(self, name), RATE), Datagrams(self, self.places[name][1])) for name in names}

    def read(self, agent, name, field, module="places"):
        return {key: value[field] for key, value in self.dump(agent, name, module)}

    def check(self, agent, sources):
        for misses in (agent.bpffs / "mapshift/places/hooks").glob("*/misses"):
            with bpf.Map(misses) as counted:
                self.assertEqual(counted.lookup(bytes(4)), bytes(8), misses)
        total = odd = 0
        for name, (frames, datagrams) in sources.items():
            for field, sent in (("frames", frames.stop()), ("datagrams", datagrams.stop())):
                total, odd = total + sent, odd + sent // 2
                want = {number: sent // 1024 + (number < sent % 1024) for number in range(1024)}
                self.assertEqual(self.read(agent, f"marks@{name}", field), want, f"{field} of {name}")
        self.assertEqual(self.dump(agent, "sums", "places")[0][1]["seen"], total)
        self.assertEqual(self.dump(agent, "sums", "places")[0][1]["odd"], odd)
        self.assertEqual(self.variable(agent, "all", module="places"), total)

    def one_generation(self, agent):
        """The generation that every hook runs."""
        pins = bpf.pins(agent.bpffs)
        gens = set()
        for hook in sorted((agent.bpffs / "mapshift/places/hooks").iterdir()):
            if (hook / "stub").exists():
                continue  # a dispatcher, whose misses tell
            program = ("prog", bpf.run_by(hook / "link"))
            gens |= {path.split("/")[2] for path, what in pins.items() if what == program and path.startswith("places/gen/")}
        return gens


class Places(PlacesTest):
    def test_there_and_back_and_there(self):
        agent = self.agent()
        self.load(agent, self.module(1))
        sources = self.begin()
        identity = self.start_update(agent, self.module(2), "--bake", "60s")
        self.assertEqual(agent.follow(identity, ("baking",))["state"], "baking")
        self.assertEqual(self.one_generation(agent), {"2"})
        time.sleep(0.2)
        self.assertEqual(agent.cli("rollback", "places").status, 0)
        self.assertEqual(agent.follow(identity)["state"], "rolled_back")
        self.assertEqual(self.one_generation(agent), {"1"})
        done = agent.json("update", self.module(2, swap="together"), "--wait")
        self.assertEqual((done[0], done[1].get("state")), (0, "committed"), done)
        self.check(agent, sources)
        self.assertEqual(agent.cli("unload", "places").status, 0)
        self.assertFalse(os.listdir(agent.bpffs / "mapshift"))

    def kill_in(self, state, span, **more):
        agent = self.agent()
        self.load(agent, self.module(1, **more))
        sources = self.begin()
        identity = self.start_update(agent, self.module(2, **more), "--bake", "60s")
        seen = agent.follow(identity, (state, "baking"))["state"]
        delay = self.random.uniform(0, span)
        time.sleep(delay)
        agent.kill()
        time.sleep(0.1)
        agent.start()
        record = agent.update(identity)
        print(f"seed {SEED}: killed {delay * 1000:.0f} ms after {seen}, now {record['state']}", flush=True)
        if record["state"] == "baking":
            self.assertEqual(agent.cli("commit", "places").status, 0)
            record = agent.follow(identity)
        self.assertIn(record["state"], ("committed", "rolled_back", "aborted"), record)
        self.assertEqual(self.one_generation(agent), set() if "swap" in more else {"2" if record["state"] == "committed" else "1"})
        again = agent.cli("update", self.module(2, version="2.1.0", **more), "--wait")
        self.assertEqual(again.status, 0, again.out + again.err)
        self.check(agent, sources)

    def test_killed_in_mid_swap(self):
        self.kill_in("swapping", 0.04)

    def test_killed_in_mid_swap_together(self):
        self.kill_in("swapping", 0.04, swap="together")

    def test_a_canary_judged_over_all_and_one_by_one(self):
        agent = self.agent()
        maps = {"marks": {"per_instance": True}, "sums": {"per_instance": True}}
        self.load(agent, self.module(1, maps=maps))
        sources = self.begin()
        objectives = [
            {"name": "of-a", "indicator": "map", "counter": "sums@a.seen", "max": 1e12},
            {"name": "odd", "indicator": "map", "ratio": {"num": "sums.odd", "den": "sums.seen"}, "max": 2},
            {"name": "time", "indicator": "program", "program": "on_datagram", "value": "run_time_avg", "maxIncrease": "100000%"},
            {"name": "taken", "indicator": "verdict", "program": "on_frame@b", "value": "TC_ACT_OK", "max": 0.5}]
        more = {"maps": maps, "canary": {"steps": [0.25, 0.5], "step": "200ms"},
                "analysis": {"bake": "200ms", "interval": "50ms", "objectives": objectives}}
        status, record, err = agent.json("update", self.module(2, **more), "--wait")
        self.assertEqual((status, record.get("state")), (0, "committed"), err)
        self.assertEqual({one["program"] for one in record["comparison"]}, {"on_frame@a", "on_frame@b", "on_datagram@a", "on_datagram@b"})
        self.assertTrue(any(one["to"]["events"] > 0 for one in record["comparison"]), record["comparison"])
        judged = {m["objective"] for m in record["measurements"] if m["outcome"] == "pass"}
        self.assertEqual(judged, {"of-a", "odd", "time", "taken"})
        total = 0
        for name, senders in sources.items():
            sent = sum(sender.stop() for sender in senders)
            self.assertEqual(self.dump(agent, f"sums@{name}", "places")[0][1]["seen"], sent)
            total += sent
        self.assertEqual(self.variable(agent, "all", module="places"), total)
        wrong = [{"name": "who", "indicator": "map", "counter": "sums@z.seen", "max": 1}, {"name": "shared", "indicator": "map", "counter": "all@a", "max": 1}]
        plan = agent.json("plan", self.module(2, version="3.0.0", maps=maps, analysis={"objectives": wrong}))[1]
        self.assertEqual([r["code"] for r in plan["refusals"]], ["unknown-counter", "unknown-counter"])
        self.assertIn("the module's are a, b", plan["refusals"][0]["message"])


class Vanishing(PlacesTest):
    """A third place that goes away."""

    SPARE, OTHER = "mslab2", "mslab3"

    def setUp(self):
        super().setUp()
        self.add_spare()
        self.places["c"] = (self.SPARE, self.cgroup())
        self.addCleanup(run, "ip", "link", "delete", self.SPARE, check=False)

    def add_spare(self):
        run("ip", "link", "add", self.SPARE, "type", "veth", "peer", "name", self.OTHER)
        for link in (self.SPARE, self.OTHER):
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1")
            run("ip", "link", "set", link, "up")

    def vanish(self):
        run("ip", "link", "delete", self.SPARE)
        self.places["c"][1].rmdir()

    def put_back(self):
        self.add_spare()
        self.places["c"][1].mkdir()

    def baking(self, **more):
        agent = self.agent()
        self.load(agent, self.module(1, "abc", **more))
        sources = self.begin()
        identity = self.start_update(agent, self.module(2, "abc", **more), "--bake", "60s")
        self.assertEqual(agent.follow(identity, ("baking",))["state"], "baking")
        self.vanish()
        time.sleep(0.1)
        return agent, sources, identity

    def test_in_the_bake_then_rolled_back(self):
        for more in ({}, {"swap": "together"}):
            with self.subTest(**more):
                agent, sources, identity = self.baking(**more)
                self.assertEqual(agent.cli("rollback", "places").status, 0)
                record = agent.follow(identity)
                self.assertEqual(record["state"], "rolled_back", record)
                self.assertEqual({(w["code"], w["where"]) for w in record["warnings"]},
                                 {("place-gone", "programs.on_frame@c"), ("place-gone", "programs.on_datagram@c")})
                self.check(agent, sources)
                self.assertEqual(agent.cli("unload", "places").status, 0)
                agent.stop()
                self.put_back()

    def test_in_the_bake_then_committed_and_left_out(self):
        agent, sources, identity = self.baking()
        self.assertEqual(agent.cli("commit", "places").status, 0)
        self.assertEqual(agent.follow(identity)["state"], "committed")
        refused = agent.cli("update", self.module(2, "abc", version="2.1.0"))
        self.assertEqual(refused.status, 1)
        self.assertIn(self.SPARE, refused.err)
        done = agent.json("update", self.module(2, "ab", version="2.2.0"), "--wait")
        self.assertEqual((done[0], done[1].get("state")), (0, "committed"), done)
        self.check(agent, sources)

    def test_before_an_update_and_back_by_then(self):
        for more in ({}, {"swap": "together"}):
            with self.subTest(**more):
                agent = self.agent()
                self.load(agent, self.module(1, "abc", **more))
                sources = self.begin()
                self.vanish()
                self.assertIn(f"tcx ingress on {self.SPARE}, which is gone", agent.cli("status", "places").out)
                self.put_back()
                status, record, err = agent.json("update", self.module(2, "abc", **more), "--wait")
                self.assertEqual((status, record.get("state")), (0, "committed"), err)
                self.assertEqual({p["name"] for p in record["programs"] if p["swap"] == "attach"}, {"on_frame@c", "on_datagram@c"})
                self.assertEqual({w["where"] for w in record["warnings"] if w["code"] == "attached-anew"}, {"programs.on_frame@c", "programs.on_datagram@c"})
                self.check(agent, {**sources, **self.begin("c")})
                self.assertEqual(agent.cli("unload", "places").status, 0)
                agent.stop()


class Foreign(PlacesTest):
    """Somebody else changes what one instance's hook runs."""

    def take(self, agent):
        """Puts a program of nobody's module at on_frame@b."""
        run("bpftool", "prog", "loadall", FIXTURES / "system_places_v1.bpf.o", agent.bpffs / "foreign", check=False)
        self.assertTrue((agent.bpffs / "foreign/on_frame").exists())
        bpf.set_program(agent.bpffs / "mapshift/places/hooks/on_frame@b/link", agent.bpffs / "foreign/on_frame")

    def end_foreign(self, agent):
        for pin in (agent.bpffs / "foreign").iterdir():
            pin.unlink()
        agent.stop()

    def runs(self, agent):
        return {hook.parent.name: bpf.run_by(hook) for hook in (agent.bpffs / "mapshift/places/hooks").glob("*/link")}

    def test_before_the_swap(self):
        for more in ({}, {"swap": "together"}):
            with self.subTest(**more):
                agent = self.agent()
                self.load(agent, self.module(1))
                self.take(agent)
                before = self.runs(agent)
                status, record, _ = agent.json("update", self.module(2, **more), "--wait")
                self.assertEqual((status, record["state"]), (1, "failed"), record["reason"])
                self.assertIn("somebody else changed it", record["reason"])
                if not more:
                    self.assertEqual([(w["code"], w["where"]) for w in record["warnings"]], [("hook-taken", "programs.on_frame@b")])
                self.assertEqual(self.runs(agent), before)
                self.assertEqual(agent.cli("unload", "places").status, 0)
                self.end_foreign(agent)

    def rolls_back_the_others(self, **more):
        agent = self.agent()
        self.load(agent, self.module(1))
        before = self.runs(agent)
        identity = self.start_update(agent, self.module(2, **more), "--bake", "60s")
        agent.follow(identity, ("baking",))
        self.take(agent)
        agent.cli("rollback", "places")
        record = agent.follow(identity)
        self.assertEqual(record["state"], "stuck", record["reason"])
        self.assertRegex(record["reason"], "neither|somebody else changed it")
        now = self.runs(agent)
        self.assertEqual({name for name in now if now[name] != before[name]}, {"on_frame@b"}, "the others are back")
        self.end_foreign(agent)

    def test_in_the_bake(self):
        self.rolls_back_the_others()

    def test_in_the_bake_together(self):
        self.rolls_back_the_others(swap="together")

    def test_in_a_canary(self):
        """Half of the events would stay with the new generation if the other hooks did not go back."""
        self.rolls_back_the_others(canary={"ratio": 0.5, "step": "1h"})
