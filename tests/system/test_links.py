# SPDX-License-Identifier: Apache-2.0
"""Hooks whose sockets stay with the generation that they began with: verdicts on sockets in a map, and a congestion control."""

import socket
import struct
import time
import unittest

from lab import BUILD, SystemTest, run


class Links(SystemTest):
    def module(self, number, fixture, programs, **more):
        return self.manifest(f"{fixture}_v{number}", {
            "name": "links", "version": f"{number}.0.0", "object": str(BUILD / "fixtures" / f"links_{fixture}_v{number}.bpf.o"),
            "programs": programs, "analysis": {"bake": "0s"}, **more})

    def sockets(self, number):
        return self.module(number, "sockets", {"on_receive": {"attach": {"type": "sockmap", "map": "peers", "hook": "verdict"}}},
                           maps={"counts": {"keep_old": "10m"}} if number == 2 else {})

    def congestion(self, number):
        return self.module(number, "congestion", {})

    def needs(self, agent, kind):
        served = next(fact for fact in agent.json("check", "host")[1]["attach_types"] if fact["name"] == kind)
        if not served["served"]:
            raise unittest.SkipTest(served["reason"])

    def connect(self, congestion=None):
        """Client and server, connected."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.socket()
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset: nobody waits
            if congestion:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            self.addCleanup(server.close)
            server.settimeout(30)
            return client, server

    def put(self, agent, server, place):
        with self.map(agent, "peers", "links") as peers:
            peers.update(struct.pack("=I", place), struct.pack("=I", server.fileno()))

    def talk(self, connection):
        connection[0].sendall(b"x")
        self.assertEqual(connection[1].recv(1), b"x")

    def counted(self, agent):
        """As the second layout has it."""
        with self.map(agent, "counts", "links") as counts:
            return struct.unpack("=QQ", counts.lookup(struct.pack("=I", 0)))[1]

    def wait_for(self, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), deadline, "it did not happen")
            time.sleep(0.05)
        return found

    def kept(self, agent):
        return next(m for m in agent.json("status", "links")[1]["maps"] if m["name"] == "counts").get("kept")

    def test_a_kept_map_waits_for_the_sockets(self):
        agent = self.agent()
        self.needs(agent, "sockmap")
        self.load(agent, self.sockets(1))
        old = self.connect()
        self.put(agent, old[1], 0)
        self.talk(old)
        plan = agent.json("plan", self.sockets(2))[1]
        self.assertIn("sockets-stay", [warning["code"] for warning in plan["warnings"]])
        done = agent.cli("update", self.sockets(2), "--wait")
        self.assertEqual(done.status, 0, done.err)
        fresh = self.connect()
        self.put(agent, fresh[1], 1)
        self.talk(fresh)
        self.talk(old)
        self.wait_for(lambda: self.counted(agent) == 3)
        holders = self.wait_for(lambda: (kept := self.kept(agent)) and kept["holders"])
        self.assertEqual((holders[0]["pid"], holders[0]["comm"].split()[-1]), (0, "(on_receive)"))
        self.assertIn("sockets run these programs on", agent.cli("status", "links").out)
        self.talk(old)
        for end in old:
            end.close()
        self.wait_for(lambda: self.kept(agent) is None)
        self.assertEqual(self.counted(agent), 4, "its last message")

    def test_a_congestion_control_is_exchanged_under_open_connections(self):
        agent = self.agent()
        self.needs(agent, "struct_ops")
        self.load(agent, self.congestion(1))
        old = self.connect("ms_steady")
        status = agent.json("status", "links")[1]
        self.assertIn("steady", [program["name"] for program in status["programs"]])
        update = self.start_update(agent, self.congestion(2), "--bake", "1h")
        agent.follow(update, ("baking",))
        fresh = self.connect("ms_steady")
        self.talk(old)
        self.talk(fresh)
        self.assertEqual(agent.cli("commit", "links").status, 0)
        self.assertEqual(agent.follow(update)["state"], "committed")
        self.assertEqual(self.counted(agent), 2)
        self.talk(old)
        self.assertEqual(agent.cli("unload", "links").status, 0)
        with self.assertRaises(OSError):
            self.connect("ms_steady")

    def test_a_dead_agent_leaves_the_hook_as_it_is(self):
        agent = self.agent()
        self.needs(agent, "sockmap")
        self.load(agent, self.sockets(1))
        update = self.start_update(agent, self.sockets(2), "--bake", "1h")
        agent.follow(update, ("baking",))
        agent.kill()
        late = self.connect()
        self.put(agent, late[1], 0)
        self.talk(late)
        agent.start()
        agent.follow(update, ("baking",))
        self.assertEqual(agent.cli("rollback", "links").status, 0)
        self.assertEqual(agent.follow(update)["state"], "rolled_back")
        entries = self.dump(agent, "counts", "links")
        self.assertEqual(entries[0][1]["events"], 1, "what it counted while no agent ran")
        self.assertEqual(run("cat", agent.bpffs / "mapshift/links/hooks/list_tasks/link").stdout, "\1\0\0\0")
