# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the agent at random moments of every phase. The next start must end the update, one way or the other, with
every frame counted and nothing left over. MAPSHIFT_SEED repeats the moments of a run as far as a scheduler allows."""

import os
import random
import sqlite3
import struct
import subprocess
import time

import bpf
from lab import BUILD, FINAL, SystemTest

KEYS = 60_000
SEED = int(os.environ.get("MAPSHIFT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


class Kill(SystemTest):
    # The state to wait for, how long to go on at most before the kill in seconds, and what ends the bake.
    MOMENTS = {
        "planning": ("planning", 0.05, None),
        "loading": ("loading", 0.02, None),
        "syncing": ("syncing", 1.0, None),
        "swapping": ("swapping", 0.05, None),
        "settling": ("swapping", 0.3, None),
        "baking": ("baking", 1.0, None),
        "rolling_back": ("baking", 0.2, "rollback"),
        "committing": ("baking", 0.2, "commit"),
    }

    def setUp(self):
        super().setUp()
        self.random = random.Random(f"{SEED} {self.id()}")

    def large(self, number, **more):
        return self.meter(number, maps={"cells": {"max_entries": KEYS + 2000}}, **more)

    def stored(self):
        """What the store held when the agent died: the states of its updates."""
        with sqlite3.connect(f"file:{self.folder}/state/mapshift.db?mode=ro", uri=True) as database:
            return [row[0] for row in database.execute("SELECT state FROM updates ORDER BY id")]

    def kill_at(self, phase):
        state, span, order = self.MOMENTS[phase]
        agent = self.agent()
        self.load(agent, self.large(1))
        with self.map(agent, "cells") as cells:
            cells.fill(b"".join(struct.pack("=I", 1 << 20 | i) for i in range(KEYS)), b"".join(struct.pack("=II", i + 1, i) for i in range(KEYS)), KEYS)
        frames = self.frames(rate=20000)
        identity = self.start_update(agent, self.large(2), "--bake", "60s")
        states = ("planning", "loading", "syncing", "swapping", "baking")
        seen = agent.follow(identity, states[states.index(state):])["state"]  # a short phase may be over already
        if order:
            ordering = subprocess.Popen([BUILD / "mapshift", "--run-dir", agent.run_dir, order, "meter"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(ordering.wait)
        delay = self.random.uniform(0, span)
        time.sleep(delay)
        agent.kill()
        if order:
            ordering.kill()
        was = self.stored()
        time.sleep(0.2)  # nobody is there; the hooks go on
        print(f"seed {SEED}: {phase}: killed {delay * 1000:.0f} ms after it was seen {seen}, stored as {was[-1]}", flush=True)
        agent.start()
        self.check_recovered(agent, identity, frames)

    def check_recovered(self, agent, identity, frames):
        record = agent.update(identity)
        if record["state"] == "baking":  # nobody had decided its end, or the agent would not be ready
            self.assertEqual(agent.cli("commit", "meter").status, 0)
            record = agent.update(identity)
        self.assertIn(record["state"], ("committed", "rolled_back", "aborted"), record)
        self.assertTrue(record["state"] == "committed" or record["reason"], "it does not say why it was undone")
        generation = 2 if record["state"] == "committed" else 1
        module = agent.json("status", "meter")[1]
        self.assertEqual((module["generation"], module["running_update"]), (generation, None))
        folder = agent.bpffs / "mapshift" / "meter"
        self.assertEqual(sorted(os.listdir(folder / "gen")), [str(generation)])
        self.assertEqual(os.listdir(folder / "sync") if (folder / "sync").exists() else [], [])
        pins = bpf.pins(agent.bpffs)
        self.assertEqual(pins["meter/maps/cells"], pins[f"meter/gen/{generation}/maps/cells"])
        again = agent.cli("update", self.large(2, version="2.1.0"), "--wait")
        self.assertEqual(again.status, 0, again.out + again.err)
        sent = frames.stop()
        self.assert_counted(agent, sent)
        self.check_keys(agent)
        self.assertEqual(self.variable(agent, "weighed"), sent)
        self.assertTrue(all(u["state"] in FINAL for u in agent.json("history")[1]["updates"]))

    def check_keys(self, agent):
        with self.map(agent, "cells") as cells:
            for i in range(0, KEYS, 59):
                self.assertEqual(struct.unpack("=IIQ", cells.lookup(struct.pack("=I", 1 << 20 | i))), (i, 7, i + 1))

    def test_twice_in_a_row(self):
        """The recovery dies, too."""
        agent = self.agent()
        self.load(agent, self.large(1))
        with self.map(agent, "cells") as cells:
            cells.fill(b"".join(struct.pack("=I", 1 << 20 | i) for i in range(KEYS)), b"".join(struct.pack("=II", i + 1, i) for i in range(KEYS)), KEYS)
        frames = self.frames(rate=20000)
        identity = self.start_update(agent, self.large(2), "--bake", "60s")
        agent.follow(identity, ("swapping",))
        agent.kill()
        for _ in range(3):
            agent.start(ready=False)
            time.sleep(self.random.uniform(0.1, 1.0))
            agent.kill()
        agent.start()
        print(f"seed {SEED}: killed in three recoveries, now {agent.update(identity)['state']}", flush=True)
        self.check_recovered(agent, identity, frames)

    def test_an_end_that_was_decided(self):
        """Killed between the intent and the state that follows it: nobody may find the update baking, nor commit it."""
        agent = self.agent()
        self.load(agent, self.large(1))
        identity = self.start_update(agent, self.large(2), "--bake", "60s")
        agent.follow(identity, ("baking",))
        deadline = time.monotonic() + 30
        while self.stored()[-1] != "baking" and time.monotonic() < deadline:  # it is shown before it is stored
            time.sleep(0.001)
        agent.kill()
        self.assertEqual(self.stored()[-1], "baking")
        with sqlite3.connect(f"{self.folder}/state/mapshift.db") as database:
            database.execute("UPDATE updates SET intent = 'rollback' WHERE state = 'baking'")
        agent.start()
        record = agent.update(identity)
        self.assertEqual(record["state"], "rolled_back", record)
        self.assertIn("began to roll back", record["reason"])

    def test_in_mid_load(self):
        for _ in range(3):
            agent = self.agent()
            loading = subprocess.Popen([BUILD / "mapshift", "--run-dir", agent.run_dir, "load", self.large(1)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.random.uniform(0, 0.15))
            agent.kill()
            loading.wait()
            agent.start()
            status, modules, _ = agent.json("status")
            self.assertEqual(status, 0)
            if not modules["modules"]:
                self.assertEqual([pin for pin in bpf.pins(agent.bpffs) if pin.startswith("meter/")], [])
                self.load(agent, self.meter(1))
            self.assertEqual(agent.cli("unload", "meter").status, 0)
            agent.stop()


for _phase in Kill.MOMENTS:
    setattr(Kill, f"test_{_phase}", lambda self, phase=_phase: self.kill_at(phase))
