# SPDX-License-Identifier: Apache-2.0
"""A map of the new generation that is built of two maps of the old one, under load, forward and back."""

import struct
import time

from lab import FIXTURES, SystemTest

WAYS = {"up": "both_up", "down": "tally_down", "with": "loads", "with_down": "load_down"}


class TwoMaps(SystemTest):
    KEY = struct.pack("=I", 1 << 20)  # not one that frames are counted in

    def pair(self, number, transform=None):
        manifest = {
            "name": "pair", "version": f"{number}.0.0", "object": str(FIXTURES / f"system_pair_v{number}.bpf.o"),
            "programs": {"count": {"attach": {"type": "xdp", "interface": self.LINK}}},
            "analysis": {"bake": "0s", "interval": "100ms"},
        }
        if number == 2:
            manifest["maps"] = {"cells": {"from": "tallies", "transform": transform or WAYS}}
        return self.manifest(f"pair_v{number}", manifest)

    def begun(self):
        """An agent whose module counts in two maps, and where a process wrote into both."""
        agent = self.agent()
        self.load(agent, self.pair(1))
        with self.map(agent, "tallies", "pair") as tallies, self.map(agent, "loads", "pair") as loads:
            tallies.update(self.KEY, struct.pack("=Q", 5))
            loads.update(self.KEY, struct.pack("=QII", 50, 7, 0))
        return agent, self.frames()

    def assert_exact(self, agent, sent, number):
        frames = {cell: sent // 1024 + (cell < sent % 1024) for cell in range(min(sent, 1024))}

        def of(name, field):
            return {key: value[field] for key, value in self.dump(agent, name, "pair") if key < 1024}
        self.assertEqual(of(*(("tallies", "frames") if number == 1 else ("cells", "count"))), frames)
        self.assertEqual(of("loads" if number == 1 else "cells", "weight"), {cell: count * (cell % 7 + 1) for cell, count in frames.items()})

    def test_both_reach_the_new_map(self):
        agent, frames = self.begun()
        plan = agent.json("plan", self.pair(2))[1]
        cells = next(m for m in plan["maps"] if m["name"] == "cells")
        self.assertEqual((cells["policy"], cells["lossy"], plan["refusals"]), ("sync", False, []), plan)
        self.assertIn("each value is built of tallies and of what loads has under the same key", cells["notes"])
        self.assertIn("goes back to loads by load_down()", agent.cli("plan", self.pair(2)).out)
        done = agent.cli("update", self.pair(2), "--wait")
        self.assertEqual(done.status, 0, done.err)
        self.assert_exact(agent, frames.stop(), 2)
        with self.map(agent, "cells", "pair") as all_cells:
            self.assertEqual(struct.unpack_from("=QQI", all_cells.lookup(self.KEY)), (50, 5, 7))
        self.assertFalse((agent.bpffs / "mapshift" / "pair" / "maps" / "loads").exists())

    def test_a_rollback_brings_back_both(self):
        agent, frames = self.begun()
        identity = self.start_update(agent, self.pair(2), "--bake", "60s")
        agent.follow(identity, ("baking",))
        with self.map(agent, "cells", "pair") as cells:
            cells.update(self.KEY, struct.pack("=QQII", 60, 6, 8, 0))
        time.sleep(0.2)  # frames on the new side
        self.assertEqual(agent.cli("rollback", "pair").status, 0)
        self.assert_exact(agent, frames.stop(), 1)
        with self.map(agent, "tallies", "pair") as tallies, self.map(agent, "loads", "pair") as loads:
            self.assertEqual(struct.unpack("=Q", tallies.lookup(self.KEY)), (6,))
            self.assertEqual(struct.unpack_from("=QI", loads.lookup(self.KEY)), (60, 8))

    def test_what_cannot_be_is_refused(self):
        agent = self.agent()
        self.load(agent, self.pair(1))
        plan = agent.json("plan", self.pair(2, {**WAYS, "with": "load"}))[1]
        self.assertIn('there is no map "load" in the old generation: did you mean "loads"?', str(plan["refusals"]))
        before = self.state(agent)
        done = agent.cli("update", self.pair(2, {"up": "both_unasked", "with": "loads"}), "--allow-lossy", "--wait")
        self.assertNotEqual(done.status, 0)
        self.assertIn("invalid mem access", done.err + done.out)  # the verifier's words: `beside` may be null
        self.assert_unchanged(agent, before)
