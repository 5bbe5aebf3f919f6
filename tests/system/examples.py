# SPDX-License-Identifier: Apache-2.0
"""Drives an example module: loads it in a lab of its own, runs it under load, updates it forward and back, and compares what it
counted with what was sent after each step, to the last count."""

import contextlib
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

from lab import BUILD, Agent, run

LINK, PEER = "msmod0", "msmod1"
LOAD_SECONDS = 3600  # no source of load lives longer, whatever happens to this script
PATIENCE = 240  # seconds, for an update to come to its bake or its end
SETTLE_SECONDS = 60  # for what was sent to arrive and for the passes of a bake to move it; ends as soon as all is there


class ExampleError(Exception):
    """Something that ends a run. Its text is for the person who started it."""


class Source:
    """mapshift-load: starts, pauses, says how much it sent. One command at a time, from any thread."""

    def __init__(self, *arguments, threads=2):
        command = [BUILD / "mapshift-load", *arguments, "--threads", threads, "--seconds", LOAD_SECONDS]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        line = self.process.stdout.readline()
        if not line:
            raise ExampleError(f"mapshift-load ended with status {self.process.wait()}")
        self.pid = int(line)

    def command(self, word):
        """What each thread has sent."""
        with self.lock:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise ExampleError("mapshift-load ended")
        report = json.loads(line)
        if report["error"]:
            raise ExampleError(f"mapshift-load: {report['error']}")
        return report["sent"]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Lab:
    """A folder, a veth pair and an agent with a bpffs of its own. The caller has namespaces of its own already."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-example-"))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        run("ip", "link", "add", LINK, "type", "veth", "peer", "name", PEER)
        self.stack.callback(run, "ip", "link", "delete", LINK, check=False)
        for link in (LINK, PEER):
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1")
            run("ip", "link", "set", link, "up")
        # An agent that outlives a killed script would hold all of this.
        limits = {"stall_timeout": "2m", "migration_timeout": "3m", "swap_timeout": "30s"}  # of a machine that has other things to do
        self.agent = Agent(self.folder, 1, {"limits": limits}, ("setpriv", "--pdeathsig", "KILL"))
        self.stack.callback(run, "umount", self.agent.bpffs, check=False)
        self.stack.callback(self.agent.kill)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()


class Example:
    """One module. Subclasses say what loads it and what it must have counted."""

    name = ""
    sets = {}  # parameters of the manifests
    back = {}  # version -> "maps" of its manifest when the next version goes back to it
    versions = (1, 2, 3)
    threads = 2

    def __init__(self, lab, say=lambda text: None):
        self.lab, self.agent, self.say = lab, lab.agent, say
        self.version = 0
        self.baking = False  # two generations are there
        self.source = None
        self.updates = []  # records of all, as the agent gave them

    # What subclasses provide.
    def make_source(self):
        raise NotImplementedError

    def loaded(self):
        """Right after the load, before any event: what user space writes."""

    def before_swap(self):
        """An update is about to be ordered."""

    def before_rollback(self):
        """A rollback is about to be ordered."""

    def check(self, sent):
        """What is not as it should be, now that each thread has sent `sent` events and pauses."""
        raise NotImplementedError

    def end(self):
        """Ends what the example itself started."""

    def rows(self):
        """More lines for the report: (what, figure)."""
        return []

    # What all share.
    def manifest(self, version):
        """Its manifest; one for the way back when a later version runs."""
        path = BUILD / "modules" / self.name / f"{self.name}_v{version}.json"
        if version > self.version:
            return path
        manifest = json.loads(path.read_text())
        manifest["object"] = str(path.parent / manifest["object"])
        manifest["maps"] = self.back.get(version, {})
        changed = self.lab.folder / f"back_to_{version}.json"
        changed.write_text(json.dumps(manifest, indent=2))
        return changed

    def parameters(self):
        return [word for name, value in self.sets.items() for word in ("--set", f"{name}={value}")]

    def must(self, *arguments):
        status, document, errors = self.agent.json(*arguments)
        if status != 0:
            raise ExampleError(f"mapshift {' '.join(map(str, arguments))}: exit status {status}: {errors or document}")
        return document

    def start(self):
        self.agent.start()
        self.source = self.make_source()
        self.lab.stack.callback(self.source.end)
        self.must("load", self.manifest(1), *self.parameters())
        self.version = 1
        self.lab.stack.callback(self.end)
        self.loaded()
        self.say(f"loaded   {self.name} 1.0.0")

    def go(self):
        self.source.command("go")

    def pause(self):
        """Stops the load and waits until what it sent is counted; what is not."""
        sent = self.source.command("pause")
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            problems = self.check(sent)
            if not problems or time.monotonic() > deadline:
                return problems
            time.sleep(0.02)

    def pin(self, name):
        return self.agent.bpffs / "mapshift" / self.name / "maps" / name

    def dump(self, name):
        """[(key, value)] by the names that the map's own BTF gives."""
        entries = json.loads(run("bpftool", "-j", "map", "dump", "pinned", self.pin(name)).stdout)
        return [(e["formatted"].get("key"), e["formatted"].get("value", e["formatted"].get("values"))) for e in entries]

    def per_cpu_sum(self, name):
        """The fields of element 0, added up over CPUs; of arrays element by element."""
        total = {}
        for slot in self.dump(name)[0][1]:
            for field, value in slot["value"].items():
                if isinstance(value, list):
                    total[field] = [a + b for a, b in zip(total.get(field, [0] * len(value)), value)]
                else:
                    total[field] = total.get(field, 0) + value
        return total

    def begin_update(self, version, bake):
        self.before_swap()
        more = ["--allow-lossy"] if version < self.version else []
        return self.must("update", self.manifest(version), *self.parameters(), "--bake", bake, *more)["id"]

    def update(self, version):
        """Updates under load to the end of a short bake. What was not as it should be."""
        record = self.agent.follow(self.begin_update(version, "100ms"), seconds=PATIENCE)
        return self.finished(record, version, "committed")

    def update_and_roll_back(self, version):
        """Updates under load, rolls back in mid-bake. What was wrong while both generations were there, and afterwards."""
        identity = self.begin_update(version, "1h")
        record = self.agent.follow(identity, ("baking",), PATIENCE)
        if record["state"] != "baking":
            return self.finished(record, version, "baking")
        self.baking = True
        problems = [f"in the bake of version {version}: {text}" for text in self.pause()]
        self.go()
        self.before_rollback()
        self.must("rollback", self.name, "--reason", "an example of a rollback")
        record = self.agent.follow(identity, seconds=PATIENCE)
        return problems + self.finished(record, version, "rolled_back")

    def finished(self, record, version, want):
        self.updates.append(record)
        self.baking = False
        if record["state"] == "committed":
            self.version = version
        if record["state"] != want:
            return [f"the update to version {version} ended {record['state']}, not {want}: {record.get('reason')}"]
        lossy = [f"{m['name']} lost something: clamped {m.get('clamped')}" for m in record.get("maps", []) if m.get("clamped")]
        return lossy + [f"{m['name']}: {m['mismatched']} keys differ at the end" for m in record.get("maps", []) if m.get("mismatched")]

    def step(self, version):
        """There and back and there again, under load, compared after each. Ends paused."""
        problems = []
        before = self.version
        for what, act in ((f"rolled back from {version} to {before}", lambda: self.update_and_roll_back(version)),
                          (f"updated from {before} to {version}", lambda: self.update(version))):
            self.go()
            problems += act()
            wrong = self.pause()
            problems += [f"{what}: {text}" for text in wrong]
            record = self.updates[-1]
            self.say(f"{what}: {'WRONG' if wrong or problems else 'exact'}, {sum(self.source.command('count')):,} events so far; "
                     f"both versions ran for {1000 * (record.get('mixed_window_seconds') or 0):.3f} ms")
            if problems:
                break
        return problems

    def chain(self, times):
        """`times` steps, forward to the newest version, back to the first, forward again; ends at the first that is wrong."""
        order = [*self.versions[1:], *reversed(self.versions[:-1])]
        for i in range(times):
            problems = self.step(order[i % len(order)])
            if problems:
                return problems
        return []


def compare(what, want, got):
    """One line on how two dictionaries of counts differ; none when they do not."""
    wrong = {key: (want.get(key, 0), got.get(key, 0)) for key in want.keys() | got.keys() if want.get(key, 0) != got.get(key, 0)}
    if not wrong:
        return []
    return [f"{what}: {len(wrong)} of {len(want)} differ, {sum(want.values()):,} sent, {sum(got.values()):,} counted; "
            f"(sent, counted) of some: {dict(list(wrong.items())[:3])}"]


def share(sent, slots, slot):
    """How many of the numbers below each of `sent` are `slot` modulo `slots`."""
    return sum(number // slots + (slot < number % slots) for number in sent)


def host_order(number, size):
    """A number in network order as a map's BTF shows it, in this host's order."""
    return int.from_bytes(number.to_bytes(size, sys.byteorder), "big")


def checksum(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ipv4_frame(source, destination, proto, sport, dport, payload=18, tcp_flags=0):
    """An Ethernet frame that no host's stack takes: it is addressed to nobody. Addresses are numbers."""
    if proto == 6:
        inner = struct.pack(">HHIIBBHHH", sport, dport, 0, 0, 5 << 4, tcp_flags, 1024, 0, 0)
    else:
        inner = struct.pack(">HHHH", sport, dport, 8 + payload, 0)
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(inner) + payload, 0, 0, 64, proto, 0, source, destination)
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01" + b"\x08\0" + head + inner + bytes(payload)


def write_frames(path, frames):
    path.write_bytes(b"".join(struct.pack("<H", len(frame)) + frame for frame in frames))
    return path


def frame_source(example, frames, *more):
    path = write_frames(example.lab.folder / "frames", frames)
    return Source("frames", "--interface", PEER, "--file", path, *more, threads=example.threads)
