# SPDX-License-Identifier: Apache-2.0
"""A module of probes of a running program, updated and rolled back while they are hit: every hit counted once."""

import json
import struct
import subprocess
import time

from lab import BUILD, FIXTURES, SystemTest

PROGRAM = BUILD / "system_traced_program"


class Traced(SystemTest):
    def traced(self, number, attach=None):
        """The manifest, with some programs attached elsewhere."""
        at = {"path": str(PROGRAM)}
        return self.manifest(f"traced{number}", json.dumps({
            "name": "traced", "version": f"{number}.0.0", "object": str(FIXTURES / f"system_traced_v{number}.bpf.o"),
            "programs": {"on_call": {"attach": {"type": "uprobe", "symbol": "traced_work", **at}},
                         "on_return": {"attach": {"type": "uretprobe", "symbol": "traced_work", **at}},
                         "on_static": {"attach": {"type": "usdt", "provider": "traced", "name": "work", **at}}, **(attach or {})}}))

    def program(self):
        process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def sleepy(self, number, **more):
        return self.manifest(f"sleepy{number}", json.dumps({
            "name": "sleepy", "version": f"{number}.0.0", "object": str(FIXTURES / f"system_sleepy_v{number}.bpf.o"),
            "programs": {"on_call": {"attach": {"type": "uprobe", "path": str(PROGRAM), "symbol": "traced_work"}, **more}}}))

    def counts(self, agent, form, module="traced"):
        """What each field adds up to, over all keys."""
        with self.map(agent, "numbered", module) as numbered:
            values = [numbered.lookup(struct.pack("=I", key)) for key in range(64)]
        return [sum(column) for column in zip(*(struct.unpack_from(form, value) for value in values if value))]

    def test_updates_and_a_rollback_under_load(self):
        agent = self.agent()
        done = agent.cli("load", self.traced(1))
        self.assertEqual(done.status, 0, done.err)
        process = self.program()
        plan = agent.json("plan", self.traced(2))[1]
        self.assertEqual({p["name"]: p["swap"] for p in plan["programs"]}, dict.fromkeys(("on_call", "on_return", "on_static"), "dispatcher"))
        self.assertEqual({m["name"]: m["policy"] for m in plan["maps"]}["__bpf_usdt_specs"], "reuse")
        identity = agent.json("update", self.traced(2), "--bake", "60s")[1]["id"]
        agent.follow(identity, ("baking",))
        time.sleep(0.2)
        self.assertEqual(agent.cli("rollback", "traced").status, 0)
        done = agent.cli("update", self.traced(2), "--bake", "100ms", "--wait")
        self.assertEqual(done.status, 0, done.err)
        time.sleep(0.1)
        calls = int(process.communicate("")[0])
        self.assertGreater(calls, 1000)
        self.assertEqual(self.counts(agent, "=QQQ"), [calls] * 3)
        agent.cli("unload", "traced")

    def test_a_program_that_may_sleep_is_exchanged_by_an_overlap(self):
        agent = self.agent(limits={"swap_timeout": "30s"})
        done = agent.cli("load", self.sleepy(1))
        self.assertEqual(done.status, 1)
        self.assertIn("ms_my_turn(on_call)", done.err)
        self.assertEqual(agent.cli("load", self.sleepy(1, overlap=True)).status, 0)
        process = self.program()
        identity = self.start_update(agent, self.sleepy(2, overlap=True), "--bake", "60s")
        record = agent.follow(identity, ("baking",))
        self.assertEqual(record["state"], "baking", record["reason"])
        self.assertEqual(record["programs"][0]["swap"], "overlap")
        self.assertGreater(record["programs"][0]["overlap_seconds"], 0)
        self.assertEqual({m["name"]: m["policy"] for m in record["maps"] if m["name"].startswith("ms_")}, {"ms_gate_on_call": "reuse", "ms_turn_on_call": "reuse"})
        time.sleep(0.1)
        self.assertEqual(agent.cli("rollback", "sleepy").status, 0)
        done = agent.cli("update", self.sleepy(2, overlap=True), "--bake", "100ms", "--wait")
        self.assertEqual(done.status, 0, done.err)
        calls = int(process.communicate("")[0])
        self.assertGreater(calls, 1000)
        self.assertEqual(self.counts(agent, "=QQ", "sleepy")[1], calls)
        agent.cli("unload", "sleepy")

    def test_probes_that_cannot_be_are_refused(self):
        agent = self.agent()
        for program, attach, says in (
                ("on_call", {"type": "uprobe", "path": str(PROGRAM), "symbol": "nobody"}, "nobody"),
                ("on_call", {"type": "uprobe", "path": "/nonexistent/app", "symbol": "main"}, "/nonexistent/app"),
                ("on_static", {"type": "usdt", "path": str(PROGRAM), "provider": "traced", "name": "rest"}, "traced:rest"),
                ("on_call", {"type": "kprobe", "name": "ms_no_such_function"}, "kprobe"),
                ("on_call", {"type": "perf_event", "event": "cpu-clock", "frequency": 99}, "perf_event")):
            manifest = self.traced(1, {program: {"attach": attach}})
            done = agent.cli("load", manifest)
            self.assertEqual(done.status, 1, attach)
            self.assertIn(says, done.err)
