# SPDX-License-Identifier: Apache-2.0
"""A real agent with the example module flowmeter, in network and mount namespaces of its own: for tests and measurements."""

import ctypes
import json
import os
import pathlib
import platform
import struct
import subprocess
import sys
import time
import urllib.request

LINK, PEER = "mslab0", "mslab1"
HERE_ADDRESS, THERE_ADDRESS = "198.18.78.1", "198.18.78.2"  # a range reserved for measurements, never routed
CLONE_NEWNS, CLONE_NEWNET, MS_REC, MS_PRIVATE = 0x00020000, 0x40000000, 0x4000, 1 << 18
BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD = 7, 15
NR_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
SKIPPED = 77
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


def private_world():
    """Leaves the namespaces of the host; everything made in the new ones goes with this process."""
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        print("SKIPPED: needs root and namespaces of its own")
        sys.exit(1 if os.environ.get("MAPSHIFT_REQUIRE_KERNEL") == "1" else SKIPPED)
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
    """`more`: members of the agent's configuration. Rolled-back objects are tried again without asking."""

    def __init__(self, build, folder, **more):
        self.build, self.folder = build, folder
        (folder / "bpffs").mkdir()
        if libc.mount(b"bpf", str(folder / "bpffs").encode(), b"bpf", 0, None) != 0:
            raise OSError(ctypes.get_errno(), "cannot mount a bpffs")
        (folder / "mapshiftd.json").write_text(json.dumps(
            {"state_dir": str(folder / "state"), "run_dir": str(folder / "run"), "bpffs": str(folder / "bpffs"), "metrics": {"listen": "127.0.0.1:0"},
             "api": {"listen": "127.0.0.1:0"}, "module_dirs": [], "go": {"enabled": False}, **more}))
        self.start()

    def start(self):
        log_file = self.folder / "log"
        log_file.write_bytes(b"")
        with open(log_file, "ab") as log:
            self.process = subprocess.Popen([self.build / "mapshiftd", "--config", self.folder / "mapshiftd.json"], stderr=log, stdout=log,
                                            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not self.ready():
            if time.monotonic() > end or self.process.poll() is not None:
                self.kill()
                raise RuntimeError("the agent did not start: " + log_file.read_text()[-2000:])
            time.sleep(0.05)

    def ready(self):
        try:
            agent = json.loads((self.folder / "run" / "agent.json").read_text())
            with urllib.request.urlopen(f"http://{agent['metrics']}/-/ready", timeout=1) as answer:
                return agent["pid"] == self.process.pid and answer.status == 200
        except (OSError, ValueError, KeyError):
            return False

    def kill(self):
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def update(self, version, analysis, *more):
        """Exit status and the document of `mapshift update`."""
        done = self.cli("update", self.manifest(version, analysis), "--set", f"IFACE={LINK}", "--force-quarantined", *more)
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def cli(self, *arguments):
        return run(self.build / "mapshift", "--run-dir", self.folder / "run", "--output", "json", *arguments, check=False, timeout=60)

    def manifest(self, version, analysis):
        """flowmeter as it is shipped, judged by something else."""
        path = self.folder / f"v{version}.json"
        shipped = self.build / "modules" / "flowmeter"
        manifest = json.loads((shipped / f"flowmeter_v{version}.json").read_text())
        manifest["object"] = str(shipped / manifest["object"])
        manifest["analysis"] = analysis
        path.write_text(json.dumps(manifest))
        return path

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        finally:
            self.kill()  # does nothing when it has ended
            run("umount", self.folder / "bpffs", check=False)
