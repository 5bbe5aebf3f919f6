# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong is said once and clearly, with the exit status of the contract, and leaves everything as it was."""

import json
import pathlib
import re
import struct

import bpf
from lab import FIXTURES, SystemTest


class BadInput(SystemTest):
    def setUp(self):
        super().setUp()
        self.served = self.agent()

    def refused(self, command, *says, status=1, never=()):
        """The command fails, says these things in a few lines, and changes nothing. Its text and its document."""
        before = self.state(self.served)
        text = self.served.cli(*command)
        self.assertEqual(text.status, status, text.out + text.err)
        planned = text.out.startswith("Plan")  # a plan is shown also when it would be refused
        self.assertTrue(planned or text.out == "", "a refusal belongs on stderr")
        shown = text.out if planned else text.err
        for word in says:
            self.assertIn(word, shown)
        for word in never:
            self.assertNotIn(word, shown)
        lines = [line for line in shown.splitlines() if line.startswith("  - ")]
        self.assertEqual(len(lines), len(set(lines)), f"one thing wrong, said twice:\n{shown}")
        got, document, _ = self.served.json(*command)
        self.assertEqual(got, status)
        self.assertTrue(document["refusals"] if planned else document["detail"])
        self.assert_unchanged(self.served, before)
        return text.err, document

    def loaded(self):
        self.load(self.served, self.meter(1))
        return self.served

    def each(self, manifest, *says, **more):
        """The same is refused for a first load, and for a plan and an update of a module that runs."""
        self.refused(("load", manifest), *says, **more)
        self.loaded()
        self.refused(("update", manifest, "--wait"), *says, **more)
        return self.refused(("plan", manifest), *says, **more)

    def damaged(self, name, change):
        path = self.folder / name
        path.write_bytes(change((FIXTURES / "system_meter_v2.bpf.o").read_bytes()))
        return str(path)

    def test_a_missing_object(self):
        self.each(self.meter(2, object="/nonexistent/meter.bpf.o"), "/nonexistent/meter.bpf.o", "object")

    def test_a_broken_object(self):
        self.each(self.meter(2, object=self.damaged("cut.bpf.o", lambda data: data[:len(data) // 2])), "cut.bpf.o")

    def test_an_object_that_is_a_text(self):
        self.each(self.meter(2, object=self.damaged("text.bpf.o", lambda data: b"hello " * 50)), "text.bpf.o")

    def test_an_object_that_is_a_folder(self):
        self.each(self.meter(2, object=str(self.folder)), str(self.folder))

    def test_an_object_without_btf(self):
        bare = self.damaged("bare.bpf.o", lambda data: data.replace(b"\0.BTF\0", b"\0.XTF\0").replace(b"\0.BTF.ext\0", b"\0.XTF.ext\0")
                            .replace(b".rel.BTF", b".rel.XTF"))
        self.each(self.meter(2, object=bare), "BTF", "-g")

    def test_a_missing_manifest(self):
        self.refused(("load", self.folder / "none.json"), "none.json")

    def test_a_manifest_that_is_no_json(self):
        self.refused(("load", self.manifest("broken", '{"name": "meter",\n "version" 1}')), "line 2")

    def test_unknown_members_and_wrong_types_all_at_once(self):
        manifest = self.manifest("wrong", """{
  "name": "meter", "version": 2,
  "object": "x.bpf.o",
  "colour": "red",
  "programs": {"enter": {"attach": {"type": "xdp", "interface": "eth0", "mode": "fast"}}},
  "maps": {"cells": {"policy": "copy", "max_entries": "many"}},
  "analysis": {"bake": "soon"}
}""")
        text, document = self.refused(("load", manifest), "version", "colour", "line 4", "mode", "policy", "max_entries", "bake")
        self.assertEqual(len(document["errors"]), 6, json.dumps(document["errors"], indent=1))
        self.assertEqual(len(text.strip().splitlines()), 7, text)

    def test_a_setting_that_is_not_set(self):
        manifest = self.meter(1, params={})
        self.refused(("load", manifest), "$IFACE", "--set")

    def test_a_program_that_the_verifier_refuses(self):
        bad = self.meter(1, rodata={"broken": 1})
        self.refused(("load", bad), "enter", "invalid access to packet", str(self.folder / "state" / "logs"))
        self.loaded()
        bad = self.meter(2, rodata={"broken": 1})
        before = self.state(self.served)
        done = self.served.cli("update", bad, "--wait")
        self.assertEqual(done.status, 1)
        shown = done.out + done.err
        for text in ("failed", "enter", "invalid access to packet"):
            self.assertIn(text, shown)
        log = pathlib.Path(re.search(rf"{self.folder}/state/logs/[^\s,;:)]+", shown).group(0))
        self.assertIn("invalid access to packet", log.read_text())
        self.assert_unchanged(self.served, before)
        self.assertEqual(self.served.json("explain", "u-000001")[1]["state"], "failed")
        self.assertIn("invalid access to packet", self.served.cli("explain", "u-000001").out)

    def test_a_map_that_is_not_there(self):
        self.each(self.meter(2, maps={"sells": {"policy": "sync"}}), "sells")

    def test_a_program_that_is_not_there(self):
        more = {"enter": {"attach": {"type": "xdp", "interface": self.LINK}}, "leave": {"attach": {"type": "xdp", "interface": self.LINK}}}
        self.each(self.meter(2, programs=more), "leave")

    def test_a_variable_that_is_not_there(self):
        self.each(self.meter(2, rodata={"stride": 1}), "stride")

    def test_a_value_that_does_not_fit(self):
        self.each(self.meter(2, rodata={"step": 1 << 40}), "step")

    def test_a_prog_array_slot_beyond_its_end(self):
        self.each(self.meter(2, prog_arrays={"next": {"7": "count"}}), "next", "7")

    def test_a_prog_array_with_a_program_that_is_not_there(self):
        self.each(self.meter(2, prog_arrays={"next": {"0": "count", "1": "nobody"}}), "nobody")

    def test_an_interface_that_does_not_exist(self):
        self.each(self.meter(2, params={"IFACE": "nonexistent0"}), "nonexistent0")

    def test_attach_types_that_are_not_there(self):
        for number, (attach, name) in enumerate((({"type": "uprobe", "path": "/bin/true", "symbol": "main"}, "uprobe"), ({"type": "kprobe", "name": "ms_no_such_function"}, "kprobe"),
                                                 ({"type": "lsm", "name": "ms_no_such_hook"}, "lsm"), ({"type": "telepathy"}, "telepathy"))):
            manifest = self.meter(2, programs={"enter": {"attach": attach}})
            self.refused(("load", manifest), name)
            if number == 0:
                self.loaded()
                self.refused(("update", manifest), name)
                self.served.cli("unload", "meter")

    def test_a_cgroup_that_does_not_exist(self):
        self.refused(("load", self.manifest("events", json.dumps({
            "name": "events", "version": "1.0.0", "object": str(FIXTURES / "system_events_v1.bpf.o"),
            "programs": {"on_egress": {"attach": {"type": "cgroup", "path": "/sys/fs/cgroup/unified/nonexistent", "hook": "skb_egress"}}}}))),
            "/sys/fs/cgroup/unified/nonexistent")

    def test_a_hook_that_another_holds(self):
        self.loaded()
        other = self.meter(1, name="other")
        self.refused(("load", other), self.LINK)

    def test_a_new_map_that_is_too_small(self):
        self.loaded()
        with self.map(self.served, "cells") as cells:
            cells.fill(b"".join(struct.pack("=I", 5000 + i) for i in range(100)), b"".join(struct.pack("=II", 1, 0) for _ in range(100)), 100)
        small = self.meter(2, maps={"cells": {"max_entries": 64}})
        self.refused(("update", small, "--wait"), "cells", "64", "100")
        self.refused(("plan", small), "cells", "64", "100")

    def test_a_lossy_plan(self):
        self.load(self.served, self.meter(2))
        back = self.meter(1, version="1.1.0")
        plan = self.served.json("plan", back)[1]
        self.assertTrue(next(m for m in plan["maps"] if m["name"] == "cells")["lossy"])
        self.refused(("update", back, "--wait"), "cells", "--allow-lossy")
        self.assertEqual(self.served.cli("update", back, "--wait", "--allow-lossy").status, 0)

    def test_a_policy_of_refuse(self):
        self.loaded()
        self.refused(("update", self.meter(2, maps={"cells": {"policy": "refuse"}})), "cells")

    def test_a_reuse_that_is_not_possible(self):
        self.loaded()
        self.refused(("update", self.meter(2, maps={"cells": {"policy": "reuse"}})), "cells", "count")

    def test_all_refusals_at_once(self):
        self.loaded()
        wrong = self.meter(2, rodata={"stride": 1}, maps={"cells": {"policy": "refuse"}, "totals": {"policy": "refuse"}}, params={"IFACE": "nonexistent0"})
        _, document = self.refused(("update", wrong), "stride", "cells", "totals", "nonexistent0")
        self.assertEqual(document["status"], 422)
        plan = self.served.json("plan", wrong)[1]
        self.assertGreaterEqual(len(plan["refusals"]), 4)

    def test_a_second_update(self):
        self.loaded()
        identity = self.start_update(self.served, self.meter(2), "--bake", "60s")
        self.served.follow(identity, ("baking",))
        before = self.state(self.served)[0]
        done = self.served.cli("update", self.meter(2))
        self.assertEqual(done.status, 1)
        self.assertIn(identity, done.err)
        done = self.served.cli("unload", "meter")
        self.assertEqual(done.status, 1)
        self.assertIn(identity, done.err)
        self.assertEqual(bpf.pins(self.served.bpffs), before)

    def test_an_update_of_what_is_not_loaded(self):
        self.refused(("update", self.meter(2), "--wait"), "meter", "mapshift load")
        self.refused(("plan", self.meter(2)), "meter", "mapshift load")

    def test_too_little_memory(self):
        self.loaded()
        self.refused(("update", self.meter(2, maps={"cells": {"max_entries": 1_000_000_000}}), "--wait"), "headroom", "MiB")

    def test_objectives_that_name_nothing(self):
        objective = {"name": "o", "indicator": "map", "ratio": {"num": "totals.nothing", "den": "totals.frames"}, "max": 0.5}
        self.each(self.meter(2, analysis={"objectives": [objective]}), "totals.nothing")
