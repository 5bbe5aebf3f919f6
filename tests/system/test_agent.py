# SPDX-License-Identifier: Apache-2.0
"""The agent as a process: its files, its signals, its configuration, and what it says when it cannot start."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import bpf
from lab import BUILD, SystemTest, run


class Process(SystemTest):
    def refused(self, agent, *says, status=1):
        """An agent that did not start: its exit status, and what it said."""
        got = agent.process.wait(timeout=15)
        self.assertEqual(got, status, agent.log())
        for text in says:
            self.assertIn(text, agent.log())

    def test_its_files(self):
        agent = self.agent()
        self.assertEqual(agent.address["pid"], agent.process.pid)
        for listener in ("metrics", "api"):
            self.assertRegex(agent.address[listener], r"^127\.0\.0\.1:[1-9]\d*$")
        tokens = set()
        for name in ("token", "rollback-token"):
            self.assertEqual((agent.run_dir / name).stat().st_mode & 0o777, 0o600)
            tokens.add(agent.token(name))
        self.assertEqual(len(tokens), 2)
        self.assertTrue(all(len(token) >= 32 for token in tokens))
        agent.stop()
        self.assertFalse((agent.run_dir / "agent.json").exists())
        agent.start()
        self.assertEqual({agent.token("token"), agent.token("rollback-token")}, tokens)

    def test_sigterm_leaves_the_module_running(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        frames = self.frames()
        pins = bpf.pins(agent.bpffs)
        status, seconds = agent.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 5)
        time.sleep(0.3)
        self.assertEqual(bpf.pins(agent.bpffs), pins)
        sent = frames.stop()
        self.assertGreater(sent, 0)
        self.assert_counted(agent, sent)
        agent.start()
        self.assertEqual(bpf.pins(agent.bpffs), pins)
        self.assertEqual(agent.json("status", "meter")[1]["generation"], 1)

    def test_sigterm_in_mid_bake_goes_on_after_the_restart(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        identity = self.start_update(agent, self.meter(2), "--bake", "2s")
        agent.follow(identity, ("baking",))
        frames = self.frames()
        status, seconds = agent.stop()
        self.assertEqual((status, seconds < 5), (0, True))
        agent.start()
        self.assertEqual(agent.follow(identity)["state"], "committed")
        sent = frames.stop()
        self.assert_counted(agent, sent)

    def test_sigterm_with_a_waiting_client(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        identity = self.start_update(agent, self.meter(2), "--bake", "60s")
        agent.follow(identity, ("baking",))
        waiting = subprocess.Popen([BUILD / "mapshift", "--run-dir", agent.run_dir, "--output", "json", "update", self.meter(2), "--wait"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        poll = subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-H", f"Authorization: Bearer {agent.token()}",
                                 f"http://{agent.address['api']}/api/v1/updates/{identity}?since=100000&wait=30s"])
        time.sleep(0.2)
        status, seconds = agent.stop()
        self.assertEqual((status, seconds < 5), (0, True))
        waiting.wait(timeout=10)
        poll.wait(timeout=10)

    def test_reload_is_all_or_nothing(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        agent.config["limits"] = {"memory_headroom": 10}
        agent.write_config()
        agent.process.send_signal(signal.SIGHUP)
        self.eventually(lambda: "configuration reloaded" in agent.log())
        self.assertEqual(agent.metrics()["mapshift_config_last_reload_successful"][""], 1)
        large = self.meter(2, maps={"cells": {"max_entries": 50_000_000}})
        self.assertEqual(agent.cli("update", large).status, 1)  # the new limit counts

        agent.config["limits"] = {"memory_headroom": 0.2, "colour": 1}
        agent.write_config()
        agent.process.send_signal(signal.SIGHUP)
        self.eventually(lambda: agent.metrics()["mapshift_config_last_reload_successful"][""] == 0)
        self.assertIn("colour", agent.log())
        self.assertEqual(agent.http("POST", "/-/reload").status, 422)
        self.assertEqual(agent.cli("plan", large).status, 1)  # the last good one still does

        agent.config["limits"] = {"memory_headroom": 0.2}
        agent.config["state_dir"] = str(self.folder / "elsewhere")
        agent.write_config()
        answer = agent.http("POST", "/-/reload")
        self.assertEqual(answer.status, 422)
        self.assertEqual([e["where"] for e in answer.json["errors"]], ["state_dir"])

        agent.config["state_dir"] = str(self.folder / "state")
        agent.write_config()
        (agent.run_dir / "token").write_text("another-token\n")
        old = agent.http("GET", "/api/v1/modules", token="another-token")
        self.assertEqual(old.status, 401)
        agent.process.send_signal(signal.SIGHUP)
        self.eventually(lambda: agent.metrics()["mapshift_config_last_reload_successful"][""] == 1)
        self.assertEqual(agent.cli("update", self.meter(2), "--wait").status, 0)

    def eventually(self, condition, seconds=5):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "did not come true")
            time.sleep(0.02)

    def test_check_and_usage(self):
        agent = self.agent()
        agent.stop()
        daemon = BUILD / "mapshiftd"
        self.assertEqual(run(daemon, "--config", agent.config_file, "--check").returncode, 0)
        empty = self.manifest("empty", "{}")
        self.assertEqual(run(daemon, "--config", empty, "--check").returncode, 0)
        bad = self.manifest("bad", '{\n "go": {"enabled": "yes"},\n "colour": 1\n}')
        done = run(daemon, "--config", bad, "--check", check=False)
        self.assertEqual(done.returncode, 1)
        for text in ("go.enabled", "line 2", "colour", "line 3"):
            self.assertIn(text, done.stderr)
        self.assertEqual(run(daemon, "--config", self.folder / "none", check=False).returncode, 1)
        for arguments in ((), ("--nonsense",), ("--config",)):
            self.assertEqual(run(daemon, *arguments, check=False).returncode, 2, arguments)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for listener in ("metrics", "api"):
                agent = self.agent(ready=False, **{listener: {"listen": f"127.0.0.1:{port}"}})
                self.refused(agent, f"127.0.0.1:{port}", "in use")

    def test_unwritable_state_folder(self):
        (self.folder / "file").write_text("")
        for folder in (str(self.folder / "file"), str(self.folder / "file" / "below"), "/proc/mapshift"):
            agent = self.agent(ready=False, state_dir=folder)
            self.refused(agent, folder, "state_dir")

    def test_run_folder_that_is_a_file(self):
        (self.folder / "file").write_text("")
        self.refused(self.agent(ready=False, run_dir=str(self.folder / "file")), str(self.folder / "file"))

    def test_state_folder_in_use(self):
        agent = self.agent()
        second = self.agent(ready=False, run_dir=str(self.folder / "run2"))
        self.refused(second, "another agent uses it")
        self.assertEqual(agent.cli("status").status, 0)

    def test_corrupted_database_leaves_the_module_running(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        pins = bpf.pins(agent.bpffs)
        agent.stop()
        database = self.folder / "state" / "mapshift.db"
        for name in ("mapshift.db-wal", "mapshift.db-shm"):
            (self.folder / "state" / name).unlink(missing_ok=True)
        kept = database.read_bytes()
        for damage in (b"this is no database, but a text of some length " * 100, kept[:512] + os.urandom(len(kept) - 512)):
            database.write_bytes(damage)
            agent.start(ready=False)
            self.refused(agent, "mapshift.db", "damaged", "move")
        frames = self.frames()
        time.sleep(0.2)
        sent = frames.stop()
        self.assertEqual(bpf.pins(agent.bpffs), pins)
        self.assert_counted(agent, sent)
        database.write_bytes(kept)
        agent.start()
        self.assertEqual(agent.cli("update", self.meter(2), "--wait").status, 0)
        self.assert_counted(agent, sent)

    def test_bpffs(self):
        agent = self.agent()  # there was none: it mounted one
        self.assertTrue(pathlib.Path(agent.bpffs).is_mount())
        (self.folder / "file").write_text("")
        agent.stop()
        bad = self.agent(ready=False, bpffs=str(self.folder / "file"), state_dir=str(self.folder / "state2"))
        self.refused(bad, str(self.folder / "file"))

    def test_a_host_that_was_restarted(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        agent.stop()
        run("umount", agent.bpffs)
        agent.start()
        self.assertIn("maps are empty", agent.log())
        frames = self.frames()
        time.sleep(0.2)
        self.assert_counted(agent, frames.stop())
        self.assertEqual(agent.cli("update", self.meter(2), "--wait").status, 0)
