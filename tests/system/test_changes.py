# SPDX-License-Identifier: Apache-2.0
"""Changes of maps as clients see them: streams, resumption, replacement, and clients that stall."""

import json
import os
import pathlib
import struct
import subprocess
import time
import zlib

from lab import BUILD, FIXTURES, SystemTest
from watching import Watcher

SECRET = 0x5EC0DE11  # in keys and values that must not leave


def u32(*numbers):
    return struct.pack(f"={len(numbers)}I", *numbers)


class ChangesTest(SystemTest):
    def policy(self, number, **more):
        manifest = {"name": "guard", "version": f"{number}.0.0", "object": str(FIXTURES / f"system_policy_v{number}.bpf.o"),
                    "programs": {"admit": {"attach": {"type": "xdp", "interface": "$IFACE", "mode": "auto"}}},
                    "analysis": {"bake": "0s", "interval": "100ms"}, "params": {"IFACE": self.LINK}, **more}
        return self.manifest(f"guard_v{number}", manifest)

    def guard(self, *maps, **more):
        """An agent with the module `guard`, whose maps are watched as given: a name, or a whole entry."""
        entries = [{"module": "guard", "map": entry} if isinstance(entry, str) else {"module": "guard", **entry} for entry in maps]
        agent = self.agent(changes={"maps": entries, **more})
        self.load(agent, self.policy(1))
        return agent

    def write(self, agent, *keys, name="policy", value=1):
        with self.map(agent, name, "guard") as rules:
            for key in keys:
                rules.update(u32(key), u32(*[value] * (rules.value_size // 4)))

    def watch(self, agent, name="policy", **more):
        watcher = Watcher(agent, "guard", name, **more)
        self.addCleanup(watcher.close)
        return watcher

    def entry(self, agent, name):
        for one in agent.json("status", "guard")[1]["maps"]:
            if one["name"] == name:
                return one["changes"]
        raise AssertionError(f"status has no map {name}")


class Streams(ChangesTest):
    def test_each_change_is_told_once_and_in_order(self):
        agent = self.guard("policy")
        watcher = self.watch(agent)
        self.assertEqual((watcher.status, watcher.headers["content-type"]), (200, "text/event-stream"))
        version = int(watcher.headers["etag"].strip('"'))
        self.write(agent, *range(100))
        self.write(agent, 5)
        events = watcher.take(101)
        self.assertEqual([event.kind for event in events], ["change"] * 101)
        self.assertEqual([event.id for event in events], list(range(version + 1, version + 102)))
        for key, event in zip([*range(100), 5], events):
            self.assertEqual(event.data["key_hash"], zlib.crc32(u32(key)))
            self.assertEqual(event.data["pid"], os.getpid())
            self.assertEqual(event.data["seq"], event.id)
            self.assertEqual(set(event.data), {"seq", "timestamp_ns", "pid", "op", "key_hash", "source"})
        self.assertEqual({event.data["source"] for event in events}, {"syscall"})
        self.assertLess(abs(events[-1].data["timestamp_ns"] - time.clock_gettime_ns(time.CLOCK_MONOTONIC)), 5e9)
        status = self.entry(agent, "policy")
        self.assertEqual((status["source"], status["version"], status["seen"], status["lost"]), ("syscall", version + 101, 101, 0))
        self.assertIn("fexit", status["reason"])
        self.assertIn("policy", agent.cli("status", "guard").out.split("CHANGES")[1])
        metrics = agent.metrics()
        counted = {labels: value for labels, value in metrics["mapshift_map_changes_total"].items() if 'source="syscall"' in labels}
        self.assertEqual(sum(counted.values()), 101)
        self.assertEqual(sum(metrics["mapshift_map_changes_lost_total"].values()), 0)
        self.assertEqual(metrics["mapshift_map_change_latency_seconds_count"]['source="syscall"'], 101)

    def test_a_program_that_logs_is_followed_without_loss(self):
        agent = self.guard("seen")
        self.assertIn("instrumented", self.entry(agent, "seen")["source"])
        watcher = self.watch(agent, "seen")
        version = int(watcher.headers["etag"].strip('"'))
        frames = self.frames(5000)
        time.sleep(0.5)
        sent = frames.stop()
        events = watcher.take(sent)
        self.assertEqual([event.id for event in events], list(range(version + 1, version + sent + 1)))
        self.assertEqual({event.data["source"] for event in events}, {"instrumented"})

    def test_a_client_goes_on_where_it_was(self):
        agent = self.guard("policy")
        first = self.watch(agent)
        self.write(agent, 1, 2, 3)
        events = first.take(3)
        first.close()
        self.write(agent, 4, 5)
        for again in (self.watch(agent, last=events[1].id), self.watch(agent, since=events[1].id),
                      self.watch(agent, since=1, last=events[1].id)):
            self.assertEqual([event.id for event in again.take(3)], [events[1].id + i for i in (1, 2, 3)])
        status, document, _ = agent.json("changes", "guard/policy", "--since", events[0].id)
        self.assertEqual(status, 0)
        self.assertEqual([one["seq"] for one in document["events"]], [events[0].id + i for i in (1, 2, 3, 4)])

    def test_a_place_that_is_not_known_is_answered_by_a_resync(self):
        agent = self.guard("policy")
        self.write(agent, 1)
        version = agent.http("GET", "/api/v1/maps/guard/policy").json["version"]
        for since in (version + 1000, 1, 0, 2**63):
            with self.watch(agent, since=since) as watcher:
                event = watcher.next()
                self.assertEqual(event.kind, "resync", since)
                self.assertTrue(event.data["reason"].startswith("since-"), event)
                self.assertGreaterEqual(event.data["version"], version)
                self.write(agent, 2)
                self.assertEqual(watcher.next().kind, "change")
        for since in ("x", "-1", "1.5", "99999999999999999999"):
            self.assertEqual(self.watch(agent, since=since).status, 400, since)

    def test_what_cannot_be_watched_says_why(self):
        agent = self.guard("policy")
        refused = self.watch(agent, "seen")
        self.assertEqual(refused.status, 409)
        self.assertIn("changes.maps", refused.body["detail"])
        self.assertEqual(self.watch(agent, "nothing").status, 404)
        with Watcher(agent, "nobody", "policy") as nobody:
            self.assertEqual(nobody.status, 404)
        self.assertEqual(agent.http("GET", "/api/v1/changes?module=guard&map=policy", token="wrong").status, 401)
        self.assertEqual(agent.http("POST", "/api/v1/changes?module=guard&map=policy").status, 405)
        done = agent.cli("changes", "guard/seen")
        self.assertEqual(done.status, 1)
        self.assertIn("changes.maps", done.err)

    def test_the_configuration_says_what_is_watched_at_any_time(self):
        agent = self.guard("policy")
        watcher = self.watch(agent)
        agent.config["changes"]["maps"] = [{"module": "guard", "map": "seen"}]
        agent.write_config()
        self.assertEqual(agent.http("POST", "/-/reload").status, 200)
        self.assertEqual(watcher.next().data["reason"], "unwatched")
        with self.assertRaises(EOFError):
            watcher.next()
        self.assertEqual(self.watch(agent).status, 409)
        self.assertEqual(self.watch(agent, "seen").status, 200)
        self.assertNotIn('map="policy"', str(agent.metrics()["mapshift_map_changes_total"]))

    def test_a_module_that_goes_ends_its_streams(self):
        agent = self.guard("policy")
        watcher = self.watch(agent)
        self.write(agent, 1)
        self.assertEqual(watcher.next().kind, "change")
        self.assertEqual(agent.cli("unload", "guard").status, 0)
        last = watcher.next()
        self.assertEqual((last.kind, last.data["reason"]), ("resync", "unwatched"))
        with self.assertRaises(EOFError):
            watcher.next()
        self.assertEqual(self.watch(agent).status, 404)
        self.load(agent, self.policy(1))
        again = self.watch(agent, last=last.id)
        self.write(agent, 2)
        self.assertIsNotNone(again.next())

    def test_the_numbers_outlive_the_agent(self):
        agent = self.guard("policy")
        with self.watch(agent) as watcher:
            self.write(agent, 1)
            before = watcher.next().id
        agent.kill()
        agent.start()
        with self.watch(agent, last=before) as watcher:
            self.write(agent, 2)
            events = watcher.take(2, 3)
            self.assertGreater(events[-1].id, before)
        self.assertEqual(events[-1].kind, "change")

    def test_the_command_line_follows_through_a_restart(self):
        agent = self.guard("policy")
        command = [str(BUILD / "mapshift"), "--run-dir", str(agent.run_dir), "--output", "json", "changes", "guard/policy", "--follow"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 5
        while agent.metrics()["mapshift_map_change_subscribers"][""] < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.write(agent, 1)
        first = json.loads(process.stdout.readline())
        self.assertEqual((first["event"], first["key_hash"]), ("change", zlib.crc32(u32(1))))
        self.assertEqual(agent.stop()[0], 0)
        agent.start()
        deadline = time.monotonic() + 5
        while agent.metrics()["mapshift_map_change_subscribers"].get("", 0) < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.write(agent, 2)
        seen = [json.loads(process.stdout.readline())]
        while seen[-1]["event"] == "resync":
            seen.append(json.loads(process.stdout.readline()))
        self.assertEqual(seen[-1]["key_hash"], zlib.crc32(u32(2)))


class Updates(ChangesTest):
    def test_a_stream_goes_on_through_update_and_rollback(self):
        agent = self.guard({"map": "policy", "values": True})
        watcher = self.watch(agent)
        self.write(agent, *range(50))
        self.assertEqual(len(watcher.take(50)), 50)
        identity = self.start_update(agent, self.policy(2), "--bake", "30s")
        agent.follow(identity, ("baking",))
        replaced = watcher.next()
        self.assertEqual((replaced.kind, replaced.data["reason"]), ("resync", "map-replaced"))
        contents = agent.http("GET", "/api/v1/maps/guard/policy").json
        self.assertEqual({entry["value"] for entry in contents["entries"]}, {u32(1, 3).hex()})
        self.write(agent, 1000, value=9)
        event = watcher.next()
        while event.kind == "resync":
            event = watcher.next()
        self.assertEqual((event.data["key"], event.data["value"]), (u32(1000).hex(), u32(9, 9).hex()))
        self.assertGreater(event.id, replaced.id)
        self.assertEqual(agent.cli("rollback", "guard").status, 0)
        agent.follow(identity)
        self.write(agent, 1001, value=8)
        rest = watcher.rest(2)
        self.assertIn("map-replaced", [one.data.get("reason") for one in rest])
        self.assertEqual(rest[-1].data["value"], u32(8).hex())
        self.assertEqual([one.id for one in rest], sorted(one.id for one in rest))

    def test_a_map_that_is_kept_is_told_nothing_of_an_update(self):
        agent = self.guard("policy")
        watcher = self.watch(agent)
        self.write(agent, 1)
        first = watcher.next()
        self.assertEqual(agent.cli("update", self.policy(1, version="1.0.1"), "--wait").status, 0)
        self.write(agent, 2)
        self.assertEqual([(one.kind, one.id) for one in watcher.take(1)], [("change", first.id + 1)])

    def test_a_logging_program_that_is_replaced_goes_on_logging(self):
        agent = self.guard("seen")
        watcher = self.watch(agent, "seen")
        frames = self.frames(2000)
        time.sleep(0.2)
        self.assertEqual(agent.cli("update", self.policy(2), "--wait").status, 0)
        time.sleep(0.3)
        frames.stop()
        events = watcher.rest(1)
        kinds = [event.data.get("reason", event.kind) for event in events]
        self.assertEqual([kind for kind in kinds if kind != "change"], ["map-replaced"])
        self.assertEqual(kinds[-1], "change")
        self.assertIn("instrumented", self.entry(agent, "seen")["source"])
        self.assertEqual(sum(agent.metrics()["mapshift_map_changes_lost_total"].values()), 0)
        self.assertNotIn("ms_change", str(agent.json("status", "guard")[1]))


class Rings(ChangesTest):
    """The module's own ring buffer, declared in its manifest."""

    DECLARED = {"reports": {"record": "struct event"}}

    def test_records_are_decoded_and_neither_lost_nor_repeated_by_an_update(self):
        agent = self.agent()
        self.load(agent, self.policy(1, ringbufs=self.DECLARED))
        watcher = self.watch(agent, "reports")
        frames = self.frames(2000)
        time.sleep(0.2)
        self.assertEqual(agent.cli("update", self.policy(2, ringbufs=self.DECLARED), "--wait").status, 0)
        time.sleep(0.2)
        sent = frames.stop()
        events = watcher.take(sent)
        self.assertEqual([event.kind for event in events], ["record"] * sent)
        self.assertEqual([event.id for event in events], list(range(1, sent + 1)))
        self.assertEqual(sorted(event.data["record"]["number"] for event in events), list(range(sent)))
        self.assertEqual(watcher.rest(0.3), [])
        self.assertEqual(sum(agent.metrics()["mapshift_ring_records_total"].values()), sent)
        self.assertEqual(self.entry(agent, "reports")["source"], "ring")
        status, document, _ = agent.json("changes", "guard/reports", "--since", sent - 1)
        self.assertEqual((status, [one["seq"] for one in document["events"]]), (0, [sent]))
        self.assertEqual(agent.cli("unload", "guard").status, 0)
        self.assertEqual(watcher.next().data["reason"], "unwatched")
        self.assertNotIn("mapshift_ring_records_total", agent.metrics())

    def test_a_declaration_must_fit_the_object(self):
        agent = self.agent()
        for rings in ({"reports": {"record": "struct nothing"}}, {"nothing": {}}, {"policy": {}}, {"ms_changes": {}}):
            manifest = self.policy(1, ringbufs=rings)
            done = agent.cli("load", manifest)
            self.assertEqual(done.status, 1, rings)
            self.assertIn("ringbufs." + next(iter(rings)), done.err)
            self.assertEqual(agent.cli("check", "module", manifest).status, 1)
        self.assertEqual(agent.cli("load", self.policy(1, ringbufs={"reports": {"record": "rm -rf"}})).status, 1)


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


class Privacy(ChangesTest):
    def everything(self, agent, *watchers):
        """All that an outsider can get to see of the agent, in one text."""
        out = [agent.log(), json.dumps(agent.json("status", "guard")[1]), agent.http("GET", "/metrics", listener="metrics").text,
               agent.http("GET", "/api/v1/maps/guard/policy").text, agent.cli("changes", "guard/policy", "--since", "0").out,
               json.dumps(agent.json("changes", "guard/policy", "--since", "0")[1])]
        for watcher in watchers:
            out += [json.dumps(event.data) for event in watcher.rest(0.5)]
        return "\n".join(out)

    def test_neither_keys_nor_values_leave_by_default(self):
        agent = self.guard("policy")
        watcher = self.watch(agent)
        self.write(agent, SECRET, value=SECRET)
        text = self.everything(agent, watcher)
        self.assertIn("key_hash", text)
        for form in (u32(SECRET).hex(), u32(SECRET)[::-1].hex(), str(SECRET), hex(SECRET)):
            self.assertNotIn(form, text)
        self.assertNotIn("entries", agent.http("GET", "/api/v1/maps/guard/policy").json)

    def test_keys_leave_without_values(self):
        agent = self.guard({"map": "policy", "keys": True})
        watcher = self.watch(agent)
        self.write(agent, 7, value=SECRET)
        text = self.everything(agent, watcher)
        self.assertIn('"key": "07000000"', text)
        self.assertNotIn(u32(SECRET).hex(), text)
        self.assertEqual(agent.http("GET", "/api/v1/maps/guard/policy").json["entries"], [{"key": "07000000"}])

    def test_taking_the_permission_back_holds_at_once(self):
        agent = self.guard({"map": "policy", "values": True})
        agent.config["changes"]["maps"][0]["values"] = False
        agent.write_config()
        self.assertEqual(agent.http("POST", "/-/reload").status, 200)
        watcher = self.watch(agent)
        self.write(agent, SECRET, value=SECRET)
        self.assertNotIn(u32(SECRET).hex(), self.everything(agent, watcher))


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
        self.assertEqual(rest[-1].data["key_hash"], zlib.crc32(u32(3999)))
