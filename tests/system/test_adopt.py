# SPDX-License-Identifier: Apache-2.0
"""Programs that somebody else loaded and attached become a module, and are updated like any other."""

import contextlib
import os
import pathlib
import socket
import struct
import tempfile
import time

import bpf
from lab import FIXTURES, SystemTest, run

RAW_TRACEPOINT_OPEN, LINK_CREATE, LINK_UPDATE, XDP, TCX_INGRESS = 17, 28, 29, 37, 46


@contextlib.contextmanager
def bpffs():
    """A bpf file system of the caller's own while it lasts."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-foreign-"))
    run("mount", "-t", "bpf", "bpf", folder)
    try:
        yield folder
    finally:
        run("umount", folder)
        os.rmdir(folder)


class Foreign:
    """What another loader did: the meter's first version at an interface, its tail call filled, held by descriptors only."""

    def __init__(self, test, version=1):
        with bpffs() as folder:
            run("bpftool", "prog", "loadall", FIXTURES / f"system_meter_v{version}.bpf.o", folder / "progs", "pinmaps", folder / "maps")
            program, tail = bpf.open_pin(folder / "progs" / "enter"), bpf.open_pin(folder / "progs" / "count")
            with bpf.Map(folder / "maps" / "next") as slots:
                slots.update(bytes(4), struct.pack("=I", tail))
            index = socket.if_nametoindex(test.LINK)
            self.link, _ = bpf._bpf(LINK_CREATE, struct.pack("=IIII", program, index, XDP, 0))
            self.slots = bpf.open_pin(folder / "maps" / "next")  # empties itself with its last reference
            os.close(program)
            os.close(tail)
        _, self.id, self.program = struct.unpack_from("=3I", bpf._info(self.link))
        test.addCleanup(self.close)

    def close(self):
        """The loader ends."""
        for fd in (self.link, self.slots):
            if fd >= 0:
                os.close(fd)
        self.link = self.slots = -1


class Adoption(SystemTest):
    def test_adopted_updated_rolled_back_updated_and_every_frame_counted(self):
        agent = self.agent()
        foreign = Foreign(self)
        frames = self.frames()
        time.sleep(0.1)
        done = agent.cli("adopt", "meter", "--link", foreign.id, "--program", foreign.program)
        self.assertEqual(done.status, 0, done.err)
        foreign.close()  # the pins hold it from now on
        module = agent.json("status", "meter")[1]
        self.assertEqual(module["generation"], 1)
        self.assertEqual({m["name"] for m in module["maps"]} & {"cells", "totals", "next", "bss"}, {"cells", "totals", "next", "bss"})
        self.assertEqual({p["name"] for p in module["programs"]}, {"enter", "count"})
        identity = self.start_update(agent, self.meter(2), "--bake", "60s")
        record = agent.follow(identity, ("baking",))
        self.assertEqual(record["state"], "baking", record["reason"])
        time.sleep(0.2)
        self.assertEqual(agent.cli("rollback", "meter").status, 0)
        done = agent.cli("update", self.meter(2), "--bake", "200ms", "--wait")
        self.assertEqual(done.status, 0, done.err)
        sent = frames.stop()
        self.assert_counted(agent, sent)
        self.assertEqual(self.variable(agent, "weighed"), sent)
        self.assertEqual(agent.cli("unload", "meter").status, 0)
        self.assertFalse(os.listdir(agent.bpffs / "mapshift"))

    def test_adoption_outlives_the_agent(self):
        agent = self.agent()
        foreign = Foreign(self)
        self.assertEqual(agent.cli("adopt", "meter", "--link", foreign.id).status, 0)
        foreign.close()
        frames = self.frames()
        agent.kill()
        agent.start()
        self.assertEqual(agent.json("status", "meter")[1]["version"], "adopted")
        self.assertEqual(agent.cli("update", self.meter(2), "--wait").status, 0)
        sent = frames.stop()
        self.assert_counted(agent, sent)

    def test_with_a_manifest_names_and_merges_come_from_its_object(self):
        agent = self.agent()
        foreign = Foreign(self)
        done = agent.cli("adopt", "meter", "--link", foreign.id, "--manifest", self.meter(1))
        self.assertEqual(done.status, 0, done.err)
        foreign.close()
        self.assertEqual(agent.json("status", "meter")[1]["version"], "1.0.0")
        frames = self.frames()
        self.assertEqual(agent.cli("update", self.meter(2), "--wait").status, 0)
        sent = frames.stop()
        self.assert_counted(agent, sent)

    def test_refusals_say_why_and_change_nothing(self):
        agent = self.agent()
        foreign = Foreign(self)
        before = self.state(agent)

        def refused(*arguments):
            done = agent.cli("adopt", *arguments)
            self.assertEqual(done.status, 1, done.out)
            return done.err
        self.assertIn("no link 4000000000", refused("meter", "--link", "4000000000"))
        self.assertIn("runs program", refused("meter", "--link", foreign.id, "--program", foreign.program + 1000000))
        self.assertIn("the manifest is of a module", refused("other", "--link", foreign.id, "--manifest", self.meter(1)))
        self.assertIn("the running map is another one", refused("meter", "--link", foreign.id, "--manifest", self.meter(2)))
        self.assert_unchanged(agent, before)
        self.assertEqual(agent.cli("adopt", "meter", "--link", foreign.id).status, 0)
        self.assertIn("there is a module", refused("meter", "--link", foreign.id))
        self.assertIn('belongs to the module "meter"', refused("second", "--link", foreign.id))

    def test_a_tcx_link_is_taken_over(self):
        agent = self.agent()
        with bpffs() as folder:
            run("bpftool", "prog", "loadall", FIXTURES / "system_places_v1.bpf.o", folder / "progs", "type", "tcx/ingress")
            program = bpf.open_pin(folder / "progs" / "on_frame")
            link, _ = bpf._bpf(LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(self.LINK), TCX_INGRESS, 0))
            os.close(program)
        done = agent.cli("adopt", "places", "--link", struct.unpack_from("=2I", bpf._info(link))[1])
        os.close(link)
        self.assertEqual(done.status, 0, done.err)
        self.assertEqual({p["name"] for p in agent.json("status", "places")[1]["programs"]}, {"on_frame"})
        self.assertEqual(agent.cli("unload", "places").status, 0)

    def test_a_tracing_link_is_refused_by_what_it_is(self):
        agent = self.agent()
        with bpffs() as folder:
            run("bpftool", "prog", "loadall", FIXTURES / "system_events_v1.bpf.o", folder / "p")
            program = bpf.open_pin(folder / "p" / "on_raw")
            name = bpf.ctypes.create_string_buffer(b"sys_enter")
            link, _ = bpf._bpf(RAW_TRACEPOINT_OPEN, struct.pack("=QI", bpf._address(name), program))
            identity = struct.unpack_from("=2I", bpf._info(link))[1]
            done = agent.cli("adopt", "events", "--link", identity)
            self.assertEqual(done.status, 1)
            self.assertIn("does not replace the program of a tracing link", done.err)
            os.close(link)
            os.close(program)

    def test_somebody_else_updates_the_adopted_link(self):
        """Compare-and-swap: the update fails, names the program that holds the hook, and leaves it there."""
        agent = self.agent()
        foreign = Foreign(self)
        self.assertEqual(agent.cli("adopt", "meter", "--link", foreign.id).status, 0)
        with bpffs() as folder:
            run("bpftool", "prog", "loadall", FIXTURES / "system_meter_v2.bpf.o", folder / "p")
            other = bpf.open_pin(folder / "p" / "enter")
            bpf._bpf(LINK_UPDATE, struct.pack("=III", foreign.link, other, 0))
            done = agent.cli("update", self.meter(2), "--wait")
            self.assertEqual(done.status, 1, done.out)
            held = struct.unpack_from("=3I", bpf._info(foreign.link))[2]
            self.assertIn(f"program {held} (enter)", done.out + done.err)
            os.close(other)
