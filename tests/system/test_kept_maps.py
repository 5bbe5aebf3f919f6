# SPDX-License-Identifier: Apache-2.0
"""Processes that hold the descriptor of a map whose update was committed: "keep_old"."""

import pathlib
import signal
import struct
import subprocess
import sys
import time

from lab import HERE, SystemTest

# A client: opens the pin, then writes what it is told to, line by line, and answers when it is done.
CLIENT = """
import struct, sys
sys.path.insert(0, sys.argv[2])
import bpf
with bpf.Map(sys.argv[1]) as held:
    print(held.id, flush=True)
    for line in sys.stdin:
        key, mark = map(int, line.split())
        held.update(struct.pack("=I", key), struct.pack("=II", mark, mark))
        print("written", flush=True)
"""


class Client:
    def __init__(self, test, pin):
        self.process = subprocess.Popen([sys.executable, "-B", "-c", CLIENT, pin, HERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        self.id = int(self.process.stdout.readline())

    def write(self, key, mark):
        self.process.stdin.write(f"{key} {mark}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "written\n"

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class KeptMaps(SystemTest):
    KEY = 1 << 20  # not one that frames are counted in

    def updated(self, lease="10m"):
        """An agent whose module was updated while a client held the map of the first generation."""
        agent = self.agent()
        self.load(agent, self.meter(1))
        client = Client(self, agent.bpffs / "mapshift/meter/maps/cells")
        done = agent.cli("update", self.meter(2, maps={"cells": {"keep_old": lease}}), "--wait")
        self.assertEqual(done.status, 0, done.err)
        return agent, client

    def kept(self, agent):
        return next(m for m in agent.json("status", "meter")[1]["maps"] if m["name"] == "cells").get("kept")

    def wait_for(self, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), deadline, "it did not happen")
            time.sleep(0.05)
        return found

    def arrived(self, agent, key, count):
        with self.map(agent, "cells") as cells:
            value = cells.lookup(struct.pack("=I", key))
        return value is not None and any(struct.unpack_from("=I", value, at)[0] == count for at in range(0, len(value), 4))

    def aside(self, agent):
        return agent.bpffs / "mapshift/meter/kept/cells"

    def test_what_a_client_writes_arrives_until_it_has_gone(self):
        agent, client = self.updated()
        kept = self.wait_for(lambda: (k := self.kept(agent)) and k["holders"] and k)
        self.assertEqual((kept["id"], kept["holders"][0]["pid"]), (client.id, client.process.pid))
        self.assertIn(str(client.process.pid), agent.cli("status", "meter").out)
        client.write(self.KEY, 12345)
        self.wait_for(lambda: self.arrived(agent, self.KEY, 12345))
        self.assertEqual(list(agent.metrics()["mapshift_kept_map_holders"].values()), [1.0])
        client.write(self.KEY + 1, 54321)
        client.end()
        self.wait_for(lambda: not self.aside(agent).exists())
        self.assertTrue(self.arrived(agent, self.KEY + 1, 54321), "its last write")
        self.wait_for(lambda: self.kept(agent) is None)

    def test_an_agent_that_dies_goes_on_and_the_next_update_ends_it(self):
        agent, client = self.updated()
        agent.kill()
        client.write(self.KEY, 777)
        agent.start()
        self.wait_for(lambda: self.arrived(agent, self.KEY, 777))
        self.assertIsNotNone(self.kept(agent))
        client.write(self.KEY + 1, 778)
        self.wait_for(lambda: self.kept(agent)["holders"])
        plan = agent.json("plan", self.meter(3))[1]
        self.assertTrue(any(w["code"] == "kept-map-ends" and str(client.process.pid) in w["message"] for w in plan["warnings"]), plan["warnings"])
        done = agent.cli("update", self.meter(3), "--wait")
        self.assertEqual(done.status, 0, done.err)
        with self.map(agent, "buckets") as buckets:
            self.assertIsNotNone(buckets.lookup(struct.pack("=I", self.KEY + 1)), "written a moment before the update")
        self.assertFalse(self.aside(agent).exists())

    def test_a_lease_ends(self):
        agent, client = self.updated("1s")
        self.wait_for(lambda: not self.aside(agent).exists())
        self.assertIsNone(client.process.poll())

    def test_unloading_takes_it_along(self):
        agent, _ = self.updated()
        self.assertTrue(self.aside(agent).exists())
        self.assertEqual(agent.cli("unload", "meter").status, 0)
        self.assertFalse(pathlib.Path(agent.bpffs / "mapshift/meter").exists())
