# SPDX-License-Identifier: Apache-2.0
"""What the demo runs on: processes, a network namespace with a veth pair, and a private bpffs; each with its end."""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import time

FOLDER = pathlib.Path("/run/mapshift-demo")
NAMESPACE = "mapshift-demo"
HOST_LINK, PEER_LINK = "msdemo0", "msdemo1"
HOST_ADDRESS, PEER_ADDRESS = "198.18.77.1", "198.18.77.2"  # a range reserved for measurements, never routed
PORT = 7700


class DemoError(Exception):
    """Something that ends the demo. Its text is for the person who started it."""


def run(*command, check=True, timeout=60):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise DemoError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def started_at(pid):
    """When a process started, in ticks: with its pid it names it for ever. None when there is no such process."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2:].split()
    return None if fields[0] == "Z" else int(fields[19])


class Processes:
    """Processes of this demo, on record in the folder, so that a later run ends what an earlier one left."""

    def __init__(self):
        self.record = FOLDER / "processes.json"
        self.known = {}

    def start(self, name, command, stdout):
        with open(FOLDER / f"{name}.log", "ab") as log, open(FOLDER / stdout, "wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        self.known[name] = {"pid": process.pid, "started": started_at(process.pid)}
        self.record.write_text(json.dumps(self.known))
        return process

    def stop_all(self):
        """Ends them, newest first: SIGTERM, then SIGKILL after 10 s."""
        if self.record.exists():
            self.known = json.loads(self.record.read_text())
        for entry in reversed(list(self.known.values())):
            for sign in (signal.SIGTERM, signal.SIGKILL):
                self._signal(entry, sign)
                deadline = time.monotonic() + 10
                while self._alive(entry) and time.monotonic() < deadline:
                    time.sleep(0.05)
        self.known = {}
        self.record.unlink(missing_ok=True)

    @staticmethod
    def _alive(entry):
        return entry["started"] is not None and started_at(entry["pid"]) == entry["started"]

    def _signal(self, entry, sign):
        if self._alive(entry):
            os.kill(entry["pid"], sign)


def mount_bpffs(target):
    """A bpffs of the demo's own: nothing that it pins can meet what runs on this host."""
    target.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bpf", str(target).encode(), b"bpf", 0, None) != 0:
        raise DemoError(f"cannot mount a bpffs at {target}: {os.strerror(ctypes.get_errno())}")


def make_network():
    """Traffic comes from the namespace and enters the host through HOST_LINK, where the module is attached."""
    run("ip", "netns", "add", NAMESPACE)
    run("ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", PEER_LINK, "netns", NAMESPACE)
    inside = ("ip", "netns", "exec", NAMESPACE)
    # No router solicitations, no neighbour discovery, no ARP: every frame is one that a sender counted.
    run("sysctl", "-qw", f"net.ipv6.conf.{HOST_LINK}.disable_ipv6=1", check=False)
    run(*inside, "sysctl", "-qw", f"net.ipv6.conf.{PEER_LINK}.disable_ipv6=1", check=False)
    run("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", HOST_LINK)
    run(*inside, "ip", "address", "add", f"{PEER_ADDRESS}/24", "dev", PEER_LINK)
    run("ip", "link", "set", HOST_LINK, "up")
    run(*inside, "ip", "link", "set", PEER_LINK, "up")
    host_mac, peer_mac = link(HOST_LINK)["address"], link(PEER_LINK, NAMESPACE)["address"]
    run("ip", "neighbour", "replace", PEER_ADDRESS, "lladdr", peer_mac, "dev", HOST_LINK, "nud", "permanent")
    run(*inside, "ip", "neighbour", "replace", HOST_ADDRESS, "lladdr", host_mac, "dev", PEER_LINK, "nud", "permanent")


def link(name, namespace=None):
    where = ("-n", namespace) if namespace else ()
    return json.loads(run("ip", *where, "-s", "-j", "link", "show", name).stdout)[0]


def counters():
    """What the links themselves counted: frames delivered to the host, sent by it, and dropped before either."""
    host, peer = link(HOST_LINK)["stats64"], link(PEER_LINK, NAMESPACE)["stats64"]
    return {
        "in": host["rx"]["packets"],
        "out": host["tx"]["packets"] + host["tx"]["dropped"],  # the egress hook comes before the device drops
        "dropped": peer["tx"]["dropped"],
    }


def clean_up():
    """Removes all that a demo makes, also what an interrupted one left. Safe to call when there is nothing."""
    Processes().stop_all()
    run("ip", "link", "delete", HOST_LINK, check=False)
    run("ip", "netns", "delete", NAMESPACE, check=False)
    bpffs = FOLDER / "bpffs"
    if bpffs.is_mount():
        run("umount", str(bpffs))
    if FOLDER.exists():
        run("rm", "-rf", "--one-file-system", str(FOLDER))
