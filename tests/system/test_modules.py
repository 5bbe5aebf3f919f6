# SPDX-License-Identifier: Apache-2.0
"""Modules of all kinds updated under load, with every event accounted for."""

import json
import os
import pathlib
import platform
import signal
import struct
import subprocess
import sys
import tempfile
import time

from lab import FIXTURES, HERE, SystemTest

GETSID = {"x86_64": 124, "aarch64": 156}[platform.machine()]
FIRST_ARGUMENT = {"x86_64": 112, "aarch64": 0}[platform.machine()]  # in struct pt_regs
CGROUPS = pathlib.Path("/sys/fs/cgroup/unified")


class Chain(SystemTest):
    """Updates and rollbacks one after the other while frames flow."""

    def test_update_rollback_update_under_load(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        frames = self.frames()
        identity = self.start_update(agent, self.meter(2), "--bake", "60s")
        agent.follow(identity, ("baking",))
        time.sleep(0.3)  # new writes on the new side
        self.assertEqual(agent.cli("rollback", "meter").status, 0)
        time.sleep(0.2)  # and on the old one
        self.assertEqual(agent.cli("update", self.meter(2), "--bake", "300ms", "--wait").status, 0)
        identity = self.start_update(agent, self.meter(3), "--bake", "60s")
        agent.follow(identity, ("baking",))
        time.sleep(0.3)
        self.assertEqual(agent.cli("rollback", "meter").status, 0)
        sent = frames.stop()
        self.assert_counted(agent, sent)
        self.assertEqual(self.variable(agent, "weighed"), sent)
        self.assertEqual(sum(slot["value"]["frames"] for slot in self.dump(agent, "totals")[0][1]), sent)
        self.assertEqual([u["state"] for u in agent.json("history", "meter")[1]["updates"]], ["rolled_back", "committed", "rolled_back"])

    def test_everything_changes_at_once(self):
        """Two updates in a row: wider counts, more entries, a renamed map, new variables, other constants, prog arrays."""
        agent = self.agent()
        self.load(agent, self.meter(1))
        with self.map(agent, "data") as data:  # what user space set is state, too
            data.update(bytes(4), struct.pack("=I", 99).ljust(data.value_size, b"\0"))
        frames = self.frames()
        time.sleep(0.2)
        self.assertEqual(agent.cli("update", self.meter(2), "--wait").status, 0)
        self.assertGreater(self.variable(agent, "weighed"), 0)
        done = agent.cli("update", self.meter(3, rodata={"step": 3}), "--wait")
        self.assertEqual(done.status, 0, done.err)
        time.sleep(0.1)
        sent = frames.stop()
        self.assert_counted(agent, sent, "buckets")
        cells = dict(self.dump(agent, "buckets"))
        self.assertTrue(all(cell["mark"] == 7 for key, cell in cells.items() if key < 1024), "the default of the new field")
        self.assertEqual(max(cell["last"] for cell in cells.values()), sent - 1)
        self.assertEqual(sum(slot["value"]["frames"] for slot in self.dump(agent, "totals")[0][1]), sent)
        with self.map(agent, "buckets") as buckets:
            self.assertEqual(buckets.max_entries, 8192)
        self.assertFalse((agent.bpffs / "mapshift" / "meter" / "maps" / "cells").exists())
        new = self.variable(agent, "since_v3")
        self.assertGreater(new, 0)
        self.assertEqual(self.variable(agent, "weighed"), (sent - new) + 3 * new, "each generation added its own constant")
        with self.map(agent, "data") as data:
            self.assertEqual(struct.unpack_from("=I", data.lookup(bytes(4)))[0], 99)
        update = agent.json("explain", "u-000002")[1]
        self.assertEqual(next(m["from"] for m in update["maps"] if m["name"] == "buckets"), "cells")

    def test_an_undeclared_rename_is_not_guessed(self):
        agent = self.agent()
        self.load(agent, self.meter(2))
        plan = agent.json("plan", self.meter(3, maps={}))[1]
        buckets = next(m for m in plan["maps"] if m["name"] == "buckets")
        self.assertNotEqual(buckets.get("from"), "cells")
        self.assertTrue(any("cells" in json.dumps(item) for item in plan["warnings"] + plan["refusals"]), plan["warnings"])

    def test_max_entries_of_the_manifest(self):
        agent = self.agent()
        self.load(agent, self.meter(1, maps={"cells": {"max_entries": 20000}}))
        with self.map(agent, "cells") as cells:
            self.assertEqual(cells.max_entries, 20000)
        self.assertEqual(agent.cli("update", self.meter(2, maps={"cells": {"max_entries": 30000}}), "--wait").status, 0)
        with self.map(agent, "cells") as cells:
            self.assertEqual(cells.max_entries, 30000)

    def test_many_keys_arrive_whole(self):
        agent = self.agent()
        count = 100_000
        self.load(agent, self.meter(1, maps={"cells": {"max_entries": count + 2000}}))
        self.fill(agent, count)
        frames = self.frames()
        identity = self.start_update(agent, self.meter(2, maps={"cells": {"max_entries": count + 2000}}), "--bake", "60s")
        agent.follow(identity, ("baking",))
        sent = frames.stop()
        self.assertEqual(agent.cli("commit", "meter").status, 0)
        self.assert_counted(agent, sent)
        self.check_filled(agent, count)
        update = agent.json("explain", "u-000001")[1]
        cells = next(m for m in update["maps"] if m["name"] == "cells")
        self.assertGreaterEqual(cells["keys"], count)
        self.assertEqual(cells["mismatched"], 0)

    def fill(self, agent, count):
        with self.map(agent, "cells") as cells:
            cells.fill(b"".join(struct.pack("=I", 1 << 20 | i) for i in range(count)), b"".join(struct.pack("=II", i + 1, i) for i in range(count)), count)

    def check_filled(self, agent, count):
        with self.map(agent, "cells") as cells:
            for i in range(0, count, 97):
                self.assertEqual(struct.unpack("=IIQ", cells.lookup(struct.pack("=I", 1 << 20 | i))), (i, 7, i + 1))


class Events(SystemTest):
    """Dispatchers and a cgroup's hook in one module."""

    def setUp(self):
        super().setUp()
        if not (CGROUPS / "cgroup.procs").exists():
            self.skipTest(f"no cgroup2 hierarchy at {CGROUPS}")
        self.cgroup = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-system-", dir=CGROUPS))
        self.addCleanup(self.cgroup.rmdir)
        self.source = subprocess.Popen([sys.executable, "-B", HERE / "events.py", self.cgroup], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.pid = int(self.source.stdout.readline())

    def end(self):
        self.source.kill()
        self.source.wait()
        self.source.stdin.close()
        self.source.stdout.close()

    def events(self, version, **programs):
        return self.manifest(f"events_v{version}", json.dumps({
            "name": "events", "version": f"{version}.0.0", "object": str(FIXTURES / f"system_events_v{version}.bpf.o"),
            "programs": {"on_egress": {"attach": {"type": "cgroup", "path": str(self.cgroup), "hook": "skb_egress"}}, **programs},
            "rodata": {"traced_pid": self.pid, "raw_syscall": GETSID, "raw_argument": FIRST_ARGUMENT}, "analysis": {"bake": "300ms"}}))

    def attached(self, agent):
        return {p["name"]: p["attach"] for p in agent.json("status", "events")[1]["programs"]}

    def test_a_program_that_is_left_out_comes_and_goes(self):
        agent = self.agent()
        self.load(agent, self.events(1, on_raw={"load": False}))
        self.assertEqual(self.attached(agent), {"on_traced": "tracepoint syscalls/sys_enter_getpgid", "on_egress": f"skb_egress of {self.cgroup}"})
        done = agent.cli("update", self.events(2), "--wait")
        self.assertEqual(done.status, 0, done.err)
        self.assertEqual(self.attached(agent)["on_raw"], "raw tracepoint sys_enter")
        plan = agent.json("plan", self.events(2, on_raw={"load": False}))[1]
        self.assertEqual({p["name"]: p["swap"] for p in plan["programs"]}["on_raw"], "detach")
        done = agent.cli("update", self.events(2, on_raw={"load": False}), "--wait")
        self.assertEqual(done.status, 0, done.err)
        self.assertNotIn("on_raw", self.attached(agent))

    def test_three_hooks_updated_and_rolled_back_under_load(self):
        agent = self.agent()
        self.load(agent, self.events(1))
        self.source.stdin.write("go\n")
        self.source.stdin.flush()
        time.sleep(0.2)
        identity = self.start_update(agent, self.events(2), "--bake", "60s")
        agent.follow(identity, ("baking",))
        time.sleep(0.2)
        self.assertEqual(agent.cli("rollback", "events").status, 0)
        done = agent.cli("update", self.events(2), "--wait")
        self.assertEqual(done.status, 0, done.err)
        self.source.send_signal(signal.SIGTERM)
        sent = json.loads(self.source.stdout.read())["sent"]
        self.assertGreater(sent, 1000)
        got = dict(self.dump(agent, "numbered", "events"))
        for kind in ("traced", "raw", "egress"):
            want = {number: sent // 64 + (number < sent % 64) for number in range(64)}
            self.assertEqual({number: value[kind] for number, value in got.items()}, want, f"{kind}: {sum(v[kind] for v in got.values())} of {sent}")
        update = agent.json("explain", "u-000002")[1]
        swaps = {p["name"]: p["swap"] for p in update["programs"]}
        self.assertEqual(swaps, {"on_traced": "dispatcher", "on_raw": "dispatcher", "on_egress": "native"})
        self.assertEqual(update["interruption_seconds"], 0)
        self.assertGreater(update["mixed_window_seconds"], 0)
        self.assertEqual(sorted(p["order"] for p in update["programs"])[0] >= 1, True)
        self.assertEqual(agent.cli("unload", "events").status, 0)
        self.assertFalse(os.listdir(agent.bpffs / "mapshift"))
