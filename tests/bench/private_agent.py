# SPDX-License-Identifier: Apache-2.0
"""An agent of a benchmark's own, with a veth pair and a bpffs, and what libbpf offers to fill maps and run programs."""

import ctypes
import errno
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import urllib.request

libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)


class TestRunOptions(ctypes.Structure):
    """struct bpf_test_run_opts of libbpf 1.x."""
    _fields_ = [("sz", ctypes.c_size_t), ("data_in", ctypes.c_void_p), ("data_out", ctypes.c_void_p),
                ("data_size_in", ctypes.c_uint32), ("data_size_out", ctypes.c_uint32),
                ("ctx_in", ctypes.c_void_p), ("ctx_out", ctypes.c_void_p),
                ("ctx_size_in", ctypes.c_uint32), ("ctx_size_out", ctypes.c_uint32),
                ("retval", ctypes.c_uint32), ("repeat", ctypes.c_int), ("duration", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32), ("batch_size", ctypes.c_uint32)]


def run_program(fd, packet, repeat):
    """Mean nanoseconds of a run, by the kernel's own clock."""
    data = ctypes.create_string_buffer(packet, len(packet))
    options = TestRunOptions(sz=ctypes.sizeof(TestRunOptions), data_in=ctypes.addressof(data), data_size_in=len(packet), repeat=repeat)
    while libbpf.bpf_prog_test_run_opts(fd, ctypes.byref(options)) != 0:
        if ctypes.get_errno() != errno.EINTR:
            raise OSError(ctypes.get_errno(), "bpf_prog_test_run")
    return options.duration


def open_pin(path):
    fd = libbpf.bpf_obj_get(str(path).encode())
    if fd < 0:
        raise OSError(ctypes.get_errno(), str(path))
    return fd


def flow_key(number):
    """struct flow_key of the flowmeter module: addresses, ports and protocol as they stand in the packet."""
    return struct.pack(">IIHHB3x", 0xC6120000 | (number >> 14), 0xC6130001, 1 + (number & 0x3FFF), 7700, 17)


def fill_flows(pin, count, value_size):
    fd, chunk = open_pin(pin), 4096
    try:
        for start in range(0, count, chunk):
            many = min(chunk, count - start)
            keys = b"".join(flow_key(start + i) for i in range(many))
            size = ctypes.c_uint32(many)
            if libbpf.bpf_map_update_batch(fd, keys, bytes(value_size * many), ctypes.byref(size), None) != 0:
                raise OSError(ctypes.get_errno(), "bpf_map_update_batch")
    finally:
        os.close(fd)


class PrivateAgent:
    def __init__(self, build):
        self.build = build
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-bench-"))
        self.link = f"msb{os.getpid() % 100000}"
        self.process = None

    def __enter__(self):
        subprocess.run(["ip", "link", "add", self.link, "type", "veth", "peer", "name", self.link + "p"], check=True)
        for name in (self.link, self.link + "p"):
            subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"], check=False)
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        config = {"state_dir": str(self.folder / "state"), "run_dir": str(self.folder / "run"), "bpffs": str(self.folder / "bpffs"),
                  "metrics": {"listen": "127.0.0.1:0"}, "api": {"listen": "127.0.0.1:0"}}
        (self.folder / "config.json").write_text(json.dumps(config))
        self.process = subprocess.Popen([str(self.build / "mapshiftd"), "--config", str(self.folder / "config.json")],
                                        stderr=open(self.folder / "log", "w"))
        deadline = time.monotonic() + 15
        while not (self.folder / "run" / "agent.json").exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the agent did not start: " + (self.folder / "log").read_text())
            time.sleep(0.02)
        self.addresses = json.loads((self.folder / "run" / "agent.json").read_text())
        return self

    def __exit__(self, *_):
        try:
            self.cli("unload", "flowmeter", check=False)
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        finally:
            self.process.kill()
            subprocess.run(["umount", str(self.folder / "bpffs")], check=False)
            subprocess.run(["ip", "link", "delete", self.link], check=False)
            shutil.rmtree(self.folder)

    def manifest(self, version, flows):
        """The example's manifest with room for `flows` flows and nothing to judge."""
        text = json.loads((self.build / "modules" / "flowmeter" / f"flowmeter_v{version}.json").read_text())
        text["object"] = str(self.build / "modules" / "flowmeter" / text["object"])
        text.setdefault("maps", {}).setdefault("flows", {})["max_entries"] = flows
        text["analysis"] = {"bake": "10m"}
        path = self.folder / f"v{version}.json"
        path.write_text(json.dumps(text))
        return str(path)

    def cli(self, *arguments, check=True):
        done = subprocess.run([str(self.build / "mapshift"), "--run-dir", str(self.folder / "run"), "--output", "json", *arguments],
                              capture_output=True, text=True, timeout=300)
        if check and done.returncode != 0:
            raise RuntimeError(f"mapshift {' '.join(arguments)}: {done.stderr or done.stdout}")
        return json.loads(done.stdout or "{}")

    def pin(self, *path):
        return self.folder.joinpath("bpffs", "mapshift", "flowmeter", *path)

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.addresses['metrics']}/metrics", timeout=10) as answer:
            return answer.read()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
