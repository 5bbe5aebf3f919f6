# SPDX-License-Identifier: Apache-2.0
"""Every command of the command line, as text and as JSON, with its exit status."""

import json
import re
import signal
import subprocess
import time

import bpf
from lab import BUILD, SystemTest, run

DONE, FAILED, USAGE, ROLLED_BACK, UNREACHABLE = range(5)


class Commands(SystemTest):
    def expect(self, agent, status, *arguments, says=()):
        done = agent.cli(*arguments)
        self.assertEqual(done.status, status, f"{arguments}: {done.out}{done.err}")
        for text in says:
            self.assertIn(text, done.out + done.err, arguments)
        return done

    def document(self, agent, status, *arguments):
        got, document, err = agent.json(*arguments)
        self.assertEqual(got, status, f"{arguments}: {err}")
        return document

    def test_the_life_of_a_module_as_text(self):
        agent = self.agent()
        self.expect(agent, DONE, "status")
        self.expect(agent, DONE, "load", self.meter(1), "--set", f"IFACE={self.LINK}", says=["meter", "1.0.0"])
        self.expect(agent, FAILED, "load", self.meter(1), says=["loaded already", "mapshift update"])
        self.expect(agent, DONE, "status", says=["meter", "1.0.0"])
        self.expect(agent, DONE, "status", "meter", says=["cells", "enter", f"xdp on {self.LINK}"])
        self.expect(agent, DONE, "plan", self.meter(2), says=["cells", "count", "widened u32 to u64", "sync"])
        self.expect(agent, DONE, "update", self.meter(2), "--bake", "0s", "--wait", "--if-generation", "1", says=["committed"])
        self.expect(agent, DONE, "history", says=["u-000001", "committed", "meter"])
        self.expect(agent, DONE, "history", "meter", says=["u-000001"])
        self.expect(agent, DONE, "explain", "u-000001", says=["1.0.0", "2.0.0", "cells", "widened u32 to u64", "syncing"])
        self.expect(agent, DONE, "unload", "meter", says=["unloaded"])
        self.expect(agent, FAILED, "status", "meter", says=["not loaded"])
        self.expect(agent, FAILED, "unload", "meter", says=["not loaded"])

    def test_entries_are_those_of_the_moment(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        for number in range(1, 4):
            with self.map(agent, "cells") as cells:
                cells.update(number.to_bytes(4, "little"), bytes(8))
            status = self.document(agent, DONE, "status", "meter")
            self.assertEqual([m["entries"] for m in status["maps"] if m["name"] == "cells"], [number])
            counted = agent.metrics()["mapshift_map_entries"]
            self.assertEqual([value for labels, value in counted.items() if 'map="cells"' in labels], [number])

    def check_maps_shown(self, agent, *there):
        folder = agent.bpffs / "mapshift" / "meter" / "maps"
        shown = {m["pin"]: m["id"] for m in self.document(agent, DONE, "status", "meter")["maps"]}
        pinned = {}
        for pin in folder.iterdir():
            with bpf.Map(pin) as one:
                pinned[str(pin)] = one.id
        self.assertEqual(shown, pinned)
        told = {re.search('map="([^"]*)"', labels)[1] for labels in agent.metrics()["mapshift_map_memory_bytes"]}
        self.assertEqual(told, {pin.name for pin in folder.iterdir()})
        self.assertEqual({"cells", "buckets"} & told, set(there))

    def test_the_maps_are_those_that_run(self):
        agent = self.agent()
        self.load(agent, self.meter(2))
        self.check_maps_shown(agent, "cells")
        for end, stays in (("rollback", "cells"), ("commit", "buckets")):
            agent.follow(self.start_update(agent, self.meter(3), "--bake", "60s"), ("baking",))
            self.check_maps_shown(agent, "buckets")
            self.expect(agent, DONE, end, "meter")
            self.check_maps_shown(agent, stays)

    def test_the_life_of_a_module_as_json(self):
        agent = self.agent()
        self.assertEqual(self.document(agent, DONE, "status"), {"modules": []})
        module = self.document(agent, DONE, "load", self.meter(1))
        self.assertEqual((module["name"], module["generation"], module["version"], module["running_update"]), ("meter", 1, "1.0.0", None))
        self.assertTrue(module["digest"])
        self.assertEqual({p["name"] for p in module["programs"]}, {"enter", "count"})
        self.assertTrue({"cells", "totals", "next"} <= {m["name"] for m in module["maps"]})
        plan = self.document(agent, DONE, "plan", self.meter(2))
        self.assertEqual((plan["state"], plan["refusals"]), ("planned", []))
        self.check_cells(next(m for m in plan["maps"] if m["name"] == "cells"))
        update = self.document(agent, DONE, "update", self.meter(2), "--bake", "0s", "--wait")
        self.check_update(update)
        self.assertEqual(self.document(agent, DONE, "history", "meter"), {"updates": [self.document(agent, DONE, "explain", update["id"])]})
        self.assertEqual(self.document(agent, DONE, "history", "other"), {"updates": []})
        self.assertEqual(self.document(agent, DONE, "status", "meter")["generation"], 2)
        self.assertEqual(len(self.document(agent, DONE, "status")["modules"]), 1)
        self.document(agent, DONE, "unload", "meter")
        self.assertEqual(self.document(agent, DONE, "status"), {"modules": []})
        problem = self.document(agent, FAILED, "status", "meter")
        self.assertEqual(problem["status"], 404)

    def check_cells(self, cells):
        self.assertEqual((cells["policy"], cells["lossy"]), ("sync", False))
        fields = {f["name"]: f for f in cells["fields"]}
        self.assertEqual((fields["count"]["merge"], fields["count"]["origin"], fields["count"]["exact"]), ("sum", "declared", True))
        self.assertEqual(fields["count"]["change"], "widened u32 to u64")
        self.assertIn("7", fields["mark"]["change"])

    def check_update(self, update):
        self.assertEqual((update["state"], update["module"], update["trigger"]), ("committed", "meter", "cli"))
        self.assertEqual((update["from"], update["to"]), ({"generation": 1, "version": "1.0.0"}, {"generation": 2, "version": "2.0.0"}))
        self.assertEqual([p["phase"] for p in update["phases"]], ["planning", "loading", "syncing", "swapping", "baking"])
        for member in ("id", "reason", "created_at", "updated_at", "revision", "maps", "programs", "measurements"):
            self.assertIn(member, update)
        for stamp in ("created_at", "updated_at"):
            self.assertRegex(update[stamp], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(update["interruption_seconds"], 0)
        self.assertGreaterEqual(update["mixed_window_seconds"], 0)
        program = next(p for p in update["programs"] if p["name"] == "enter")
        self.assertEqual((program["type"], program["swap"]), ("xdp", "native"))
        cells = next(m for m in update["maps"] if m["name"] == "cells")
        for member in ("policy", "reason", "lossy", "passes", "keys", "added", "changed", "deleted", "conflicts", "progress", "mismatched", "fields"):
            self.assertIn(member, cells)
        self.assertEqual((cells["progress"], cells["mismatched"]), (1.0, 0))

    def test_ends_ordered_by_an_operator(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        for order, status, state, generation in (("rollback", DONE, "rolled_back", 1), ("abort", DONE, "rolled_back", 1), ("commit", DONE, "committed", 2)):
            self.expect(agent, FAILED, order, "meter", says=["no update", "meter"])
            identity = self.start_update(agent, self.meter(2), "--bake", "60s")
            agent.follow(identity, ("baking",))
            record = self.document(agent, status, order, "meter", "--reason", f"because of {order}")
            self.assertEqual(record["state"], state)
            self.assertIn(f"because of {order}", self.expect(agent, DONE, "explain", identity).out)
            self.assertEqual(self.document(agent, DONE, "status", "meter")["generation"], generation)

    def test_a_rollback_is_exit_status_3(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        bad = self.meter(2, analysis={"bake": "30s", "interval": "50ms", "objectives": [
            {"name": "never", "indicator": "map", "ratio": {"num": "totals.frames", "den": "totals.frames"}, "max": 0.5, "failureLimit": 1}]})
        frames = self.frames()
        done = self.expect(agent, ROLLED_BACK, "update", bad, "--wait", says=["rolled_back", "never: 1 is above the limit 0.5"])
        sent = frames.stop()
        record = self.document(agent, DONE, "explain", "u-000001")
        self.assertEqual((record["state"], record["trigger"]), ("rolled_back", "objective"))
        self.assertTrue([m for m in record["measurements"] if m["objective"] == "never" and m["outcome"] == "fail" and m["limit"] == 0.5])
        self.expect(agent, DONE, "explain", "u-000001", says=["never", "0.5", "fail", "rolled_back"])
        self.assert_counted(agent, sent)
        self.assertNotIn("\x1b", done.out + done.err)

    def test_a_bar_on_a_terminal(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        command = f"{BUILD}/mapshift --run-dir {agent.run_dir} update {self.meter(2)} --bake 300ms --wait"
        shown = run("script", "-qec", command, "/dev/null").stdout
        self.assertIn("\x1b[K", shown)
        self.assertIn("%", shown)
        self.assertIn("committed", shown)

    def test_a_manifest_by_its_name(self):
        self.meter(1)
        agent = self.agent(module_dirs=[str(self.folder / "none"), str(self.folder)])
        self.expect(agent, FAILED, "load", "meter", says=["there is no meter.json", str(self.folder)])
        self.load(agent, "meter_v1")
        self.expect(agent, DONE, "plan", "meter_v1")
        self.assertEqual(agent.cli("unload", "meter").status, 0)

    def test_if_generation(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        self.expect(agent, FAILED, "update", self.meter(2), "--if-generation", "2", says=["generation 1"])
        self.expect(agent, USAGE, "update", self.meter(2), "--if-generation", "many")
        self.expect(agent, DONE, "update", self.meter(2), "--if-generation", "1", "--wait")

    def test_usage(self):
        agent = self.agent()
        for arguments in ((), ("frobnicate",), ("load",), ("load", "a", "b"), ("--output", "xml", "status"), ("update", self.meter(2), "--bake", "soon"),
                          ("load", self.meter(1), "--set", "IFACE"), ("load", self.meter(1), "--set", "A=1", "--set", "A=2"), ("check",),
                          ("completion", "tcsh"), ("explain",), ("rollback",)):
            done = self.expect(agent, USAGE, *arguments)
            self.assertTrue(done.err.strip(), arguments)
            self.assertEqual(done.out, "", arguments)
        self.expect(agent, DONE, "--help", says=["load", "Exit status"])
        self.expect(agent, DONE, "update", "--help", says=["--allow-lossy", "--bake"])
        self.expect(agent, DONE, "--version", says=["mapshift "])

    def test_usage_errors_are_one_json_document_too(self):
        agent = self.agent()
        done = agent.cli("--output", "json", "frobnicate")
        self.assertEqual(done.status, USAGE)
        self.assertTrue(done.out == "" or json.loads(done.out))

    def test_agent_not_reachable(self):
        agent = self.agent()
        for arguments in (("--agent", "127.0.0.1:1", "status"), ("--run-dir", self.folder / "nowhere", "status")):
            self.expect(agent, UNREACHABLE, *arguments)
            self.assertTrue(self.document(agent, UNREACHABLE, *arguments)["detail"])
        agent.stop()
        self.expect(agent, UNREACHABLE, "status")
        self.expect(agent, UNREACHABLE, "update", self.meter(2), "--wait")

    def test_agent_named_by_address_and_token(self):
        agent = self.agent()
        away = ("--run-dir", "/nonexistent", "--agent", agent.address["api"])
        self.expect(agent, DONE, *away, "--token-file", agent.run_dir / "token", "status")
        self.expect(agent, FAILED, *away, "status", says=["token"])
        self.expect(agent, FAILED, *away, "--token-file", agent.run_dir / "rollback-token", "status")

    def test_check(self):
        agent = self.agent()
        agent.stop()
        self.expect(agent, DONE, "check", "config", agent.config_file, says=["valid"])
        self.expect(agent, DONE, "check", "module", self.meter(1), says=["meter 1.0.0"])
        self.assertTrue(self.document(agent, DONE, "check", "module", self.meter(1))["valid"])
        bad = self.manifest("bad", '{\n  "state_dir": "/tmp",\n  "colour": "red",\n  "limits": {"swap_timeout": 5}\n}')
        self.expect(agent, FAILED, "check", "config", bad, says=["colour", "line 3", "swap_timeout", "line 4"])
        self.assertEqual(len(self.document(agent, FAILED, "check", "config", bad)["errors"]), 2)
        self.expect(agent, FAILED, "check", "config", self.folder / "missing.json", says=["missing.json"])
        self.expect(agent, FAILED, "check", "module", self.meter(1, object="nothing.bpf.o"), says=["nothing.bpf.o"])

    def test_completion(self):
        agent = self.agent()
        script = self.expect(agent, DONE, "completion", "bash").out
        path = self.folder / "completion.sh"
        path.write_text(script)
        ask = f'source {path}; COMP_WORDS=(mapshift ro); COMP_CWORD=1; $(complete -p mapshift | sed "s/.*-F \\([^ ]*\\).*/\\1/") mapshift ro mapshift; echo "${{COMPREPLY[@]}}"'
        self.assertEqual(run("bash", "-c", ask).stdout.split(), ["rollback"])

    def test_interrupting_the_wait_leaves_the_update(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        waiting = subprocess.Popen([BUILD / "mapshift", "--run-dir", agent.run_dir, "update", self.meter(2), "--bake", "1s", "--wait"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.4)
        waiting.send_signal(signal.SIGINT)
        self.assertNotEqual(waiting.wait(timeout=5), 0)
        self.assertEqual(agent.follow("u-000001")["state"], "committed")
