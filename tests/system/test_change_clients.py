# SPDX-License-Identifier: Apache-2.0
"""Clients of change streams: a copy that is kept in step, replacement of a whole map, and those that read slowly or not at all."""

import json
import pathlib
import subprocess
import time
import zlib

from guard_lab import ChangesTest, u32
from lab import BUILD


class Cache(ChangesTest):
    """A Go program that keeps a copy of a map, and writes the map meanwhile."""

    BOUND = 1000  # milliseconds

    def test_a_copy_is_never_older_than_the_bound_through_updates(self):
        program = BUILD / "go" / "bin" / "go-cachesync"
        if not program.exists():
            self.skipTest("no Go toolchain")
        agent = self.guard({"map": "policy", "values": True, "mode": "hybrid", "silence": "200ms"})
        pin = agent.bpffs / "mapshift" / "guard" / "maps" / "policy"
        process = subprocess.Popen([program, "-agent", agent.address["api"], "-token", agent.run_dir / "token", "-module", "guard",
                                    "-map", "policy", "-pin", pin, "-bound", f"{self.BOUND}ms", "-for", "6s"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stderr.readline(), "writing\n")
        time.sleep(0.5)
        self.assertEqual(agent.cli("update", self.policy(2), "--bake", "1s", "--wait").status, 0)
        identity = self.start_update(agent, self.policy(2, version="2.0.1"), "--bake", "30s")
        agent.follow(identity, ("baking",))
        self.assertEqual(agent.cli("rollback", "guard").status, 0)
        out, err = process.communicate(timeout=30)
        report = json.loads(out)
        print(f"copy through an update and a rollback: {report}")
        self.assertEqual((process.returncode, report["late"], err), (0, 0, ""))
        self.assertGreater(report["writes"], 500)
        self.assertGreater(report["changes"], report["writes"] / 2)
        self.assertGreaterEqual(report["resyncs"], 1)
        self.assertLess(report["worst_ms"], self.BOUND)


class Replacement(ChangesTest):
    PATH = "/api/v1/maps/guard/allowed"

    def put(self, agent, entries, version, path=PATH):
        body = {"entries": [{"key": u32(key).hex(), "value": u32(value).hex()} for key, value in entries.items()]}
        return agent.http("PUT", path, body, {"If-Match": f'"{version}"', "Content-Type": "application/json"})

    def test_contents_are_replaced_when_the_version_still_holds(self):
        agent = self.guard({"map": "allowed", "values": True}, {"map": "policy", "values": True})
        before = agent.http("GET", self.PATH).json
        self.assertEqual(before["entries"], [])
        watcher = self.watch(agent, "allowed", since=before["version"])
        done = self.put(agent, {1: 10, 2: 20}, before["version"])
        self.assertEqual(done.status, 200, done.text)
        now = agent.http("GET", self.PATH)
        self.assertEqual(now.headers["ETag"], done.headers["ETag"])
        self.assertEqual(sorted(entry["key"] for entry in now.json["entries"]), [u32(1).hex(), u32(2).hex()])
        self.assertGreater(now.json["version"], before["version"])
        self.assertIsNotNone(watcher.next())
        self.assertEqual(self.put(agent, {3: 30}, before["version"]).status, 412)
        self.assertEqual(len(agent.http("GET", self.PATH).json["entries"]), 2)
        self.assertEqual(self.put(agent, {}, now.json["version"]).status, 200)
        self.assertEqual(agent.http("GET", self.PATH).json["entries"], [])

    def test_what_cannot_be_replaced_is_left_alone(self):
        agent = self.guard({"map": "allowed", "values": True}, {"map": "policy", "values": True})
        version = agent.http("GET", self.PATH).json["version"]
        self.assertEqual(agent.http("PUT", self.PATH, {"entries": []}).status, 428)
        self.assertEqual(agent.http("PUT", self.PATH, {"entries": []}, {"If-Match": "*"}).status, 400)
        wrong = agent.http("PUT", self.PATH, {"entries": [{"key": "00", "value": "0000"}, {"key": "00000000", "value": "00000000"},
                                                         {"key": "00000000", "value": "00000000"}]}, {"If-Match": f'"{version}"'})
        self.assertEqual((wrong.status, len(wrong.json["errors"])), (422, 3), wrong.text)
        self.assertEqual(self.put(agent, {key: 1 for key in range(1025)}, version).status, 422)
        large = agent.http("PUT", self.PATH, " " * (1 << 20) + "{}", {"If-Match": f'"{version}"'})
        self.assertEqual(large.status, 413)
        self.write(agent, 1)
        plain = "/api/v1/maps/guard/policy"
        refused = self.put(agent, {1: 1}, agent.http("GET", plain).json["version"], plain)
        self.assertEqual(refused.status, 422, refused.text)
        self.assertIn("array of maps", refused.json["detail"])
        self.assertEqual(agent.http("GET", self.PATH).json["version"], version)


class Crowd(ChangesTest):
    """Subscribers that read nothing, read slowly, or are gone."""

    def resident(self, agent):
        for line in pathlib.Path(f"/proc/{agent.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
        raise AssertionError("no VmRSS")

    def test_two_hundred_silent_subscribers_hold_nobody_up(self):
        agent = self.guard("policy")
        at_start = self.resident(agent)
        reader = self.watch(agent)
        crowd = [self.watch(agent, read=False, receive_buffer=4096) for _ in range(200)]
        deadline = time.monotonic() + 10
        while agent.metrics()["mapshift_map_change_subscribers"][""] < 201 and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        self.assertEqual(agent.http("GET", "/api/v1/modules").status, 200)
        self.assertLess(time.monotonic() - began, 1)
        for vanishing in crowd[:50]:
            vanishing.close()
        began = time.monotonic()
        self.write(agent, *range(4000))
        events = reader.take(4000, 20)
        self.assertEqual(len(events), 4000)
        self.assertEqual([event.id for event in events], list(range(events[0].id, events[0].id + 4000)))
        print(f"4000 changes to one reader beside 200 silent ones: {time.monotonic() - began:.2f} s; "
              f"resident {at_start} MiB, with the crowd {self.resident(agent)} MiB")
        self.assertLess(self.resident(agent) - at_start, 64)
        status, seconds = agent.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 5)

    def test_places_are_bounded_and_come_free_again(self):
        agent = self.guard("policy")
        crowd = []
        refused = None
        for _ in range(300):
            watcher = self.watch(agent)
            if watcher.status != 200:
                refused = watcher
                break
            crowd.append(watcher)
        self.assertIsNotNone(refused, "300 streams were served")
        self.assertEqual(refused.status, 503)
        self.assertIn("retry-after", refused.headers)
        self.assertGreaterEqual(len(crowd), 200)
        self.assertEqual(agent.http("GET", "/api/v1/modules").status, 200)
        for watcher in crowd:
            watcher.close()
        deadline = time.monotonic() + 15
        while self.watch(agent).status != 200:
            self.assertLess(time.monotonic(), deadline, "the places of clients that went stay taken")
            time.sleep(0.2)

    def test_a_slow_reader_is_told_what_it_missed(self):
        agent = self.guard("policy", history=64)
        slow = self.watch(agent, receive_buffer=4096)
        self.write(agent, *range(4000))
        rest = slow.rest(3)
        lost = sum(event.data["lost"] for event in rest if event.kind == "resync")
        self.assertEqual(sum(event.kind == "change" for event in rest) + lost, 4000)
        if rest[-1].kind == "change":  # else it was overtaken at the very end, and was told so
            self.assertEqual(rest[-1].data["key_hash"], zlib.crc32(u32(3999)))
