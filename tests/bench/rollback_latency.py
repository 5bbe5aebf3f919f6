#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long an update that breaks a limit stays: from the first failing measurement to the old generation at every hook.

Drives a real agent in namespaces of its own. Under traffic flowmeter is updated, again and again, from version 2 to version 3, whose
defect drops packets; the objective allows no failure and is measured every 50 ms. The end is what the kernel says of the
links, watched twice a millisecond from outside; the begin is the time of the failing measurement in the update's record,
whole milliseconds rounded down, so that a figure may be up to 1 ms too large and never too small.

Exit status: 0 the 99th percentile is below the target, 1 it is not or something failed, 77 no privilege."""

import argparse
import ctypes
import datetime
import json
import os
import pathlib
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

LINK, PEER = "msbench0", "msbench1"
HERE_ADDRESS, THERE_ADDRESS = "198.18.78.1", "198.18.78.2"  # a range reserved for measurements, never routed
TARGET = 0.100  # seconds, 99th percentile
CLONE_NEWNS, CLONE_NEWNET, MS_REC, MS_PRIVATE = 0x00020000, 0x40000000, 0x4000, 1 << 18
BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD = 7, 15
NR_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)


def run(*command, check=True, timeout=60):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
    return done


def bpf(command, attribute):
    buffer = ctypes.create_string_buffer(attribute.ljust(128, b"\0"), 128)
    result = libc.syscall(NR_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Hook:
    """A pinned link, and the id of the program that it runs."""

    def __init__(self, pin):
        self.path = ctypes.create_string_buffer(str(pin).encode())
        self.fd = bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(self.path), 0, 0))
        self.info = ctypes.create_string_buffer(256)
        self.ask = struct.pack("=IIQ", self.fd, 256, ctypes.addressof(self.info))

    def program(self):
        bpf(BPF_OBJ_GET_INFO_BY_FD, self.ask)
        return struct.unpack_from("=III", self.info.raw)[2]

    def close(self):
        os.close(self.fd)


class Watch(threading.Thread):
    """Notes when the hooks left the programs that they ran at first, and when the last of them was back."""

    def __init__(self, hooks):
        super().__init__(daemon=True)
        self.hooks, self.first = hooks, [hook.program() for hook in hooks]
        self.left = self.back = None
        self.end = False
        self.start()

    def run(self):
        while not self.end:
            now = [hook.program() for hook in self.hooks]
            if now != self.first:
                self.left, self.back = self.left or time.time(), None
            elif self.left and not self.back:
                self.back = time.time()
            time.sleep(0.0005)


def private_world():
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        print("SKIPPED: needs root and namespaces of its own")
        sys.exit(77)
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "mounts cannot be made private")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", LINK, "type", "veth", "peer", "name", PEER)
    for link in (LINK, PEER):
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1")
        run("ip", "link", "set", link, "up")


SENDER = """
import socket, struct, sys, time
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((sys.argv[1], 0))
source, target = socket.inet_aton(sys.argv[2]), socket.inet_aton(sys.argv[3])
def frame(port):
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 60, 0, 0, 64, 17, 0, source, target)
    return b"\\x02" * 6 + b"\\x04" * 6 + b"\\x08\\x00" + ip + struct.pack("!HHHH", port, 9, 40, 0) + b"\\0" * 32
frames = [frame(1024 + n) for n in range(200)]
end = time.monotonic() + float(sys.argv[4])
while time.monotonic() < end:
    for one in frames:
        raw.send(one)
    time.sleep(0.02)
"""


class Agent:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        (folder / "bpffs").mkdir()
        if libc.mount(b"bpf", str(folder / "bpffs").encode(), b"bpf", 0, None) != 0:
            raise OSError(ctypes.get_errno(), "cannot mount a bpffs")
        config = folder / "mapshiftd.json"
        config.write_text(json.dumps({"state_dir": str(folder / "state"), "run_dir": str(folder / "run"), "bpffs": str(folder / "bpffs"),
                                      "metrics": {"listen": "127.0.0.1:0"}, "api": {"listen": "127.0.0.1:0"}, "module_dirs": []}))
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen([build / "mapshiftd", "--config", config], stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (self.cli("status").returncode == 0 and b"ready" in (folder / "log").read_bytes()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the agent did not start: " + (folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        self.quarantine = ["--force-quarantined"] if "--force-quarantined" in run(build / "mapshift", "update", "--help").stdout else []

    def cli(self, *arguments):
        return run(self.build / "mapshift", "--run-dir", self.folder / "run", "--output", "json", *arguments, check=False, timeout=120)

    def manifest(self, version):
        path = self.folder / f"v{version}.json"
        shipped = self.build / "modules" / "flowmeter"
        manifest = json.loads((shipped / f"flowmeter_v{version}.json").read_text())
        manifest["object"] = str(shipped / manifest["object"])
        manifest["analysis"] = {"bake": "60s", "interval": "50ms", "objectives": [
            {"name": "drop-ratio", "indicator": "map", "ratio": {"num": "stats.dropped", "den": "stats.seen"}, "max": 0.001, "failureLimit": 0,
             "minSamples": 20, "inconclusiveLimit": 100}]}
        path.write_text(json.dumps(manifest))
        return path

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        run("umount", self.folder / "bpffs", check=False)


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def one_rollback(agent, hooks):
    """Seconds from the failing measurement to the old programs at all hooks: seen from outside, and as the agent says."""
    watch = Watch(hooks)
    done = agent.cli("update", agent.manifest(3), "--set", f"IFACE={LINK}", "--wait", *agent.quarantine)
    watch.end = True
    watch.join()
    record = json.loads(done.stdout or "{}")
    if done.returncode != 3 or record.get("trigger") != "objective":
        raise RuntimeError(f"not rolled back by its objective (exit status {done.returncode}): {record.get('reason', '')} {done.stderr}")
    failed = [one for one in record["measurements"] if one["outcome"] == "fail"]
    if not (watch.left and watch.back):
        raise RuntimeError("the hooks never left the old programs")
    return watch.back - parse_time(failed[0]["at"]), record["rollback_seconds"]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100, help="rollbacks, at most 1000")
    parser.add_argument("--seconds", type=float, default=400, help="no new rollback is begun after this time")
    parser.add_argument("--json", type=pathlib.Path, help="write the result to this file, too")
    options = parser.parse_args()
    build = options.build.resolve()
    private_world()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-bench-"))
    agent = sender = None
    outside, inside = [], []
    try:
        agent = Agent(build, folder)
        done = agent.cli("load", agent.manifest(2), "--set", f"IFACE={LINK}")
        if done.returncode != 0:
            raise RuntimeError("load: " + done.stderr)
        sender = subprocess.Popen([sys.executable, "-c", SENDER, PEER, THERE_ADDRESS, HERE_ADDRESS, str(options.seconds + 120)])
        hooks = [Hook(folder / "bpffs/mapshift/flowmeter/hooks" / name / "link") for name in ("count_packets", "count_egress")]
        end = time.monotonic() + options.seconds
        while len(outside) < min(options.count, 1000) and time.monotonic() < end:
            seen, said = one_rollback(agent, hooks)
            outside.append(seen)
            inside.append(said)
        for hook in hooks:
            hook.close()
    finally:
        if sender:
            sender.terminate()
            sender.wait()
        if agent:
            agent.stop()
        shutil.rmtree(folder, ignore_errors=True)
    result = {"name": "rollback_latency", "rollbacks": len(outside), "target_seconds": TARGET}
    print(f"{len(outside)} rollbacks; seconds from the first failing measurement to the old generation at every hook")
    for label, values in (("seen at the links", outside), ("as the record says", inside)):
        row = {"p50": percentile(values, 0.5), "p90": percentile(values, 0.9), "p99": percentile(values, 0.99), "max": max(values)}
        result[label.replace(" ", "_")] = row
        print(f"  {label:<20}" + "".join(f"{name:>6} {value:.4f}" for name, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    good = percentile(outside, 0.99) < TARGET
    print(f"  target: p99 below {TARGET} s: " + ("reached" if good else "MISSED"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
