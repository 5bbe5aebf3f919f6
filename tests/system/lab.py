# SPDX-License-Identifier: Apache-2.0
"""One agent with folders, a bpffs, an interface and ports of its own, and what a user does with it."""

import collections
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import bpf

BUILD = pathlib.Path(os.environ.get("MAPSHIFT_BUILD", "build/release")).resolve()
FIXTURES = BUILD / "tests" / "system"
HERE = pathlib.Path(__file__).resolve().parent
NAMES = {"enter", "count", "cells", "buckets", "totals", "next", "on_traced", "on_raw", "on_egress", "numbered", "admit", "policy",
         "reports", "seen", "allowed", "allowed_now", "on_frame", "on_datagram", "marks", "sums",
         "tallies", "loads", "on_receive", "counts", "truth", "peers", "steady"}  # of the fixtures, and of nothing that the agent itself loads
FINAL = ("committed", "rolled_back", "failed", "aborted", "stuck")

Done = collections.namedtuple("Done", "status out err")


def run(*command, check=True):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
    return done


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Agent:
    def __init__(self, folder, number, config, prefix=()):
        self.folder = pathlib.Path(folder)
        self.prefix = prefix  # what the agent is started through
        self.run_dir = self.folder / "run"
        self.bpffs = self.folder / "bpffs"
        self.config = {
            "state_dir": str(self.folder / "state"), "run_dir": str(self.run_dir), "bpffs": str(self.bpffs),
            "metrics": {"listen": "127.0.0.1:0"}, "module_dirs": [], "go": {"enabled": False},
            "api": {"listen": "127.0.0.1:0", "token_file": str(self.run_dir / "token"),
                    "rollback_token_file": str(self.run_dir / "rollback-token")},
            **config,
        }
        self.config_file = self.folder / f"mapshiftd-{number}.json"
        self.log_file = self.folder / f"mapshiftd-{number}.log"
        self.process = None
        self.address = {}
        self.write_config()

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config, indent=2))

    def start(self, ready=True):
        if ready:
            (self.run_dir / "agent.json").unlink(missing_ok=True)  # of a former one that was killed
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([*self.prefix, BUILD / "mapshiftd", "--config", self.config_file], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            try:
                self.address = json.loads((self.run_dir / "agent.json").read_text())
                if self.http("GET", "/-/ready", listener="metrics").status == 200:
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.01)
        raise AssertionError(f"the agent did not become ready:\n{self.log()[-3000:]}")

    def stop(self, sign=signal.SIGTERM, timeout=10):
        """Its exit status, and how long it took."""
        began = time.monotonic()
        if self.process and self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(timeout=timeout) if self.process else None
        return status, time.monotonic() - began

    def kill(self):
        self.stop(signal.SIGKILL)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def token(self, name="token"):
        return (self.run_dir / name).read_text().strip()

    def http(self, method, path, body=None, headers=None, listener="api", token=True, timeout=40):
        connection = http.client.HTTPConnection(self.address[listener], timeout=timeout)
        sent = dict(headers or {})
        if listener == "api" and token:
            sent.setdefault("Authorization", f"Bearer {self.token() if token is True else token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body=body, headers=sent)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def cli(self, *arguments, timeout=120):
        where = () if "--run-dir" in arguments else ("--run-dir", self.run_dir)
        command = list(map(str, [BUILD / "mapshift", *where, *arguments]))
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments):
        """The command's exit status and its document; anything but one document on stdout is an error."""
        done = self.cli("--output", "json", *arguments)
        return done.status, json.loads(done.out), done.err

    def metrics(self):
        """name -> {labels as in the text: value}"""
        out = collections.defaultdict(dict)
        for line in self.http("GET", "/metrics", listener="metrics").text.splitlines():
            if line.startswith("#"):
                continue
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            out[name][labels.rstrip("}")] = float(value)
        return out

    def update(self, identity, since=0, wait="0s"):
        return self.http("GET", f"/api/v1/updates/{identity}?since={since}&wait={wait}").json

    def follow(self, identity, states=FINAL, seconds=30):
        """The update's record as soon as it is in one of `states`, or has ended."""
        deadline = time.monotonic() + seconds
        record = self.update(identity)
        while record["state"] not in states and record["state"] not in FINAL:
            if time.monotonic() > deadline:
                raise AssertionError(f"update {identity} stays {record['state']}")
            record = self.update(identity, record["revision"], "5s")
        return record


class SystemTest(unittest.TestCase):
    """A folder, and a veth pair whose end `LINK` modules attach to; frames enter through `PEER`. All gone afterwards."""

    LINK, PEER = "mslab0", "mslab1"
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-system-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.at_start = bpf.ids()
        self.addCleanup(self._check_nothing_left)
        run("ip", "link", "add", self.LINK, "type", "veth", "peer", "name", self.PEER)
        self.addCleanup(run, "ip", "link", "delete", self.LINK, check=False)
        for link in (self.LINK, self.PEER):
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1")
            run("ip", "link", "set", link, "up")
        self.agents = []
        self.addCleanup(self._end_agents)

    def _end_agents(self):
        for agent in self.agents:
            agent.kill()
            if self._failed():
                print(f"\n{self.id()}: the agent's log ends with\n{agent.log()[-4000:]}", file=sys.stderr)
            run("umount", agent.bpffs, check=False)

    def _failed(self):
        result = self._outcome.result
        return any(test is self for test, _ in result.failures + result.errors)

    def _check_nothing_left(self):
        rest = bpf.left_over(self.at_start, NAMES)
        self.assertEqual(rest, set(), "left in the kernel after the agent's end and its bpffs' end")

    def agent(self, ready=True, prefix=(), **config):
        agent = Agent(self.folder, len(self.agents) + 1, config, prefix)
        self.agents.append(agent)
        return agent.start(ready)

    def meter(self, number, **more):
        """The manifest of the module `meter`, of version 1, 2 or 3, with some members replaced, written to a file."""
        manifest = {
            "name": "meter", "version": f"{number}.0.0", "object": str(FIXTURES / f"system_meter_v{number}.bpf.o"),
            "programs": {"enter": {"attach": {"type": "xdp", "interface": "$IFACE", "mode": "auto"}}},
            "prog_arrays": {"next": {"0": "count"}},
            "analysis": {"bake": "0s", "interval": "100ms"},
            "params": {"IFACE": self.LINK},
        }
        if number == 3:
            manifest["maps"] = {"buckets": {"from": "cells"}}
        manifest.update(more)
        return self.manifest(f"meter_v{number}", manifest)

    def manifest(self, name, manifest):
        path = self.folder / f"{name}.json"
        path.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest, indent=2))
        return path

    def load(self, agent, manifest, *more):
        done = agent.cli("load", manifest, *more)
        self.assertEqual(done.status, 0, done.err)

    def start_update(self, agent, manifest, *more):
        """The id of an update that was started."""
        status, record, err = agent.json("update", manifest, *more)
        self.assertEqual(status, 0, err)
        return record["id"]

    def state(self, agent):
        """All that an operation which was refused must leave as it was: each pin with what it is, and what the agent holds."""
        return bpf.pins(agent.bpffs), bpf.held_by(agent.process.pid), bpf.ids()

    def assert_unchanged(self, agent, before):
        pins, held, ids = before
        self.assertEqual(bpf.pins(agent.bpffs), pins)
        self.assertEqual(bpf.held_by(agent.process.pid), held)
        self.assertEqual(bpf.left_over(ids, NAMES), set(), "appeared in the kernel")
        kept = {kind for kind in pins.values() if kind[0] in ("prog", "map")}
        self.assertEqual(kept - bpf.ids(), set(), "vanished from the kernel")

    def map(self, agent, name, module="meter"):
        return bpf.Map(agent.bpffs / "mapshift" / module / "maps" / name)

    def dump(self, agent, name, module="meter"):
        """[(key, value)] by the names that the map's own BTF gives."""
        pin = agent.bpffs / "mapshift" / module / "maps" / name
        entries = json.loads(run("bpftool", "-j", "map", "dump", "pinned", pin).stdout)
        return [(e["formatted"].get("key"), e["formatted"].get("value", e["formatted"].get("values"))) for e in entries]

    def variable(self, agent, name, section="bss", module="meter"):
        for item in self.dump(agent, section, module)[0][1][f".{section}"]:
            if name in item:
                return item[name]
        raise AssertionError(f"no variable {name} in {section}")

    def frames(self, rate=50000):
        return Frames(self, rate)

    def counted(self, agent, name="cells"):
        """Number of the cell -> how often counted, of the cells that frames are counted in."""
        return {key: value["count"] for key, value in self.dump(agent, name) if key < 1024}

    def assert_counted(self, agent, sent, name="cells"):
        want = {cell: sent // 1024 + (cell < sent % 1024) for cell in range(min(sent, 1024))}
        got = self.counted(agent, name)
        wrong = {cell: (want.get(cell), got.get(cell)) for cell in want | got if want.get(cell) != got.get(cell)}
        self.assertEqual(len(wrong), 0, f"{len(wrong)} cells differ of {sent} frames sent, counted {sum(got.values())}; (sent, counted): "
                                        f"{dict(list(wrong.items())[:5])}")


class Frames:
    """A sender of numbered frames. `sent` grows with each stop()."""

    def __init__(self, test, rate):
        self.test, self.sent = test, 0
        self.process = subprocess.Popen([sys.executable, "-B", HERE / "frames.py", test.PEER, str(rate)], stdout=subprocess.PIPE, text=True)
        test.addCleanup(self._end)
        self.process.stdout.readline()

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """How many frames were delivered."""
        self.process.send_signal(signal.SIGTERM)
        report = json.loads(self.process.stdout.read())
        self.process.wait(timeout=10)
        time.sleep(0.1)  # the last frames are on their way through the other end's queue
        dropped = json.loads(run("ip", "-s", "-j", "link", "show", self.test.PEER).stdout)[0]["stats64"]["tx"]["dropped"]
        self.test.assertEqual(dropped, report["refused"], "the device dropped frames without telling the sender")
        return report["sent"]
