# SPDX-License-Identifier: Apache-2.0
import os
import random
import struct
import threading
import time

from private_agent import PrivateAgent, fill_flows, flow_key, open_pin, percentile, run_program

FLOWS = 1_000_000
V1_VALUE = 40  # bytes
REPEAT = 200   # runs a sample: one sample is about 40 microseconds


def packet(number):
    source, destination, sport, dport, _ = struct.unpack(">IIHHB3x", flow_key(number))
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, source, destination)
    return b"\x02" * 12 + b"\x08\x00" + ip + struct.pack(">HHHH", sport, dport, 26, 0) + bytes(18)


class Sampler:
    """Runs the program over packets of random known flows, all the time, on a CPU of its own."""

    def __init__(self, pin):
        self.fd, self.samples, self.stopped = open_pin(pin), [], False
        self.packets = [packet(n) for n in random.Random(1).sample(range(FLOWS), 512)]
        self.thread = threading.Thread(target=self.loop)

    def loop(self):
        os.sched_setaffinity(0, {0})
        turn = 0
        while not self.stopped:
            began = time.monotonic()
            self.samples.append((began, run_program(self.fd, self.packets[turn % 512], REPEAT)))
            turn += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()
        os.close(self.fd)

    def between(self, began, ended):
        return [ns for at, ns in self.samples if began <= at <= ended]


def bench(build):
    """The packet path while 1,000,000 flows are migrated, beside the same with no migration."""
    with PrivateAgent(build) as agent:
        agent.cli("load", agent.manifest(1, FLOWS), "--set", f"IFACE={agent.link}")
        fill_flows(agent.pin("maps", "flows"), FLOWS, V1_VALUE)
        with Sampler(agent.pin("gen", "1", "progs", "count_packets")) as sampler:
            quiet = time.monotonic()
            time.sleep(3)
            started = time.monotonic()
            update = agent.cli("update", agent.manifest(2, FLOWS), "--set", f"IFACE={agent.link}")
            while agent.cli("status", "flowmeter")["running_update"]["state"] in ("planning", "loading", "syncing"):
                time.sleep(0.01)
            ended = time.monotonic()  # the sampler runs the old program itself: beyond the swap that would be a foreign writer
        while agent.cli("status", "flowmeter")["running_update"]["state"] != "baking":
            time.sleep(0.02)
        record = agent.cli("commit", "flowmeter")
    without, during = sampler.between(quiet, started), sampler.between(started, ended)
    rows = {}
    print(f"  {'':28}{'no migration':>14}{'migrating':>14}{'ratio':>8}")
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        a, b = percentile(without, share), percentile(during, share)
        rows[name] = {"without_ns": a, "during_ns": b, "ratio": b / a}
        print(f"  ns a packet, {name:15}{a:14.0f}{b:14.0f}{b / a:8.2f}")
    flows = next(m for m in record["maps"] if m["name"] == "flows")
    print(f"  migration {ended - started:.2f} s; staleness at the swap {flows['staleness_seconds'] * 1e3:.2f} ms; samples {len(without)}, {len(during)}")
    phases = {phase["phase"]: phase["seconds"] for phase in record["phases"]}
    print("  " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in phases.items()) + f"; {flows['passes']} passes")
    return {**rows, "phases": phases, "passes": flows["passes"], "migration_seconds": ended - started, "staleness_seconds": flows["staleness_seconds"], "update": update["id"]}
