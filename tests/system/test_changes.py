# SPDX-License-Identifier: Apache-2.0
"""Changes of maps as clients see them: streams, resumption, hot updates, rings, and what must not leave."""

import json
import os
import subprocess
import time
import zlib

from guard_lab import ChangesTest, u32
from lab import BUILD
from watching import Watcher

SECRET = 0x5EC0DE11  # in keys and values that must not leave


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
            events = [watcher.next()]  # before the write, which the resync would stand for otherwise
            self.assertEqual(events[0].kind, "resync")
            self.write(agent, 2)
            while events[-1].kind == "resync":  # a second one tells of the restart, unless the first was late enough to do so
                events.append(watcher.next())
        self.assertLessEqual(len(events), 3, events)
        self.assertEqual((events[-1].kind, events[-1].data["key_hash"]), ("change", zlib.crc32(u32(2))))
        self.assertGreater(events[-1].id, before)

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
        seen = [json.loads(process.stdout.readline())]
        self.assertEqual(seen[0]["event"], "resync")  # it is connected again; a write before this would be covered by it
        self.write(agent, 2)
        seen.append(json.loads(process.stdout.readline()))
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

    def test_a_plan_says_how_changes_will_be_followed(self):
        agent = self.guard("seen", "policy")
        maps = {one["name"]: one.get("changes", "") for one in agent.json("plan", self.policy(2, ringbufs={"reports": {}}))[1]["maps"]}
        self.assertTrue(maps["seen"].startswith("instrumented: "), maps)
        self.assertTrue(maps["policy"].startswith("syscall"), maps)
        self.assertTrue(maps["reports"].startswith("ring: "), maps)
        self.assertEqual(maps["allowed"], "")
        self.assertIn("changes: instrumented", agent.cli("plan", self.policy(2)).out)

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

    DECLARED = {"reports": {"record": "struct event", "values": True}}

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
        first = events[0].id
        self.assertEqual([event.id for event in events], list(range(first, first + sent)))
        self.assertEqual(sorted(event.data["record"]["number"] for event in events), list(range(sent)))
        self.assertEqual(watcher.rest(0.3), [])
        self.assertEqual(sum(agent.metrics()["mapshift_ring_records_total"].values()), sent)
        self.assertEqual(self.entry(agent, "reports")["source"], "ring")
        status, document, _ = agent.json("changes", "guard/reports", "--since", first + sent - 2)
        self.assertEqual((status, [one["seq"] for one in document["events"]]), (0, [first + sent - 1]))
        self.assertEqual(agent.json("changes", "guard/reports", "--since", 1)[1]["events"][0]["reason"], "since-too-old")
        self.assertEqual(agent.cli("unload", "guard").status, 0)
        self.assertEqual(watcher.next().data["reason"], "unwatched")
        self.assertNotIn("mapshift_ring_records_total", agent.metrics())

    def test_what_is_in_records_leaves_only_where_the_declaration_says_so(self):
        agent = self.agent()
        self.load(agent, self.policy(1, ringbufs={"reports": {"record": "struct event"}}))
        watcher = self.watch(agent, "reports")
        frames = self.frames(500)
        time.sleep(0.1)
        sent = frames.stop()
        events = watcher.take(sent)
        self.assertEqual({tuple(event.data) for event in events}, {("seq", "timestamp_ns", "source")})
        self.assertEqual(self.entry(agent, "reports")["seen"], sent)
        self.assertNotIn("record", agent.cli("changes", "guard/reports", "--since", events[0].id).out)

    def test_a_declaration_must_fit_the_object(self):
        agent = self.agent()
        for rings in ({"reports": {"record": "struct nothing"}}, {"nothing": {}}, {"policy": {}}, {"ms_changes": {}},
                      {"reports": {"values": True}}):
            manifest = self.policy(1, ringbufs=rings)
            done = agent.cli("load", manifest)
            self.assertEqual(done.status, 1, rings)
            self.assertIn("ringbufs." + next(iter(rings)), done.err)
            self.assertEqual(agent.cli("check", "module", manifest).status, 1)
        self.assertEqual(agent.cli("load", self.policy(1, ringbufs={"reports": {"record": "rm -rf"}})).status, 1)


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
