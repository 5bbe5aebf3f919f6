# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import time

from private_agent import PrivateAgent, fill_flows, percentile

FLOWS = 100_000
V1_VALUE = 40
IDLE_SECONDS = 65  # two rounds of counting entries
SCRAPES = 300


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mebibytes(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def bench(build):
    """The idle agent with one module of 100,000 keys, and its /metrics."""
    with PrivateAgent(build) as agent:
        agent.cli("load", agent.manifest(1, FLOWS), "--set", f"IFACE={agent.link}")
        fill_flows(agent.pin("maps", "flows"), FLOWS, V1_VALUE)
        pid = agent.process.pid
        before, began = cpu_seconds(pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
        latencies = []
        for _ in range(SCRAPES):
            began = time.monotonic()
            agent.metrics()
            latencies.append(time.monotonic() - began)
        resident = resident_mebibytes(pid)
    p50, p99 = percentile(latencies, 0.5) * 1e3, percentile(latencies, 0.99) * 1e3
    print(f"  resident {resident:.1f} MiB; idle {share * 100:.2f} % of a core; /metrics p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    return {"resident_mib": resident, "idle_core_share": share, "metrics_p50_ms": p50, "metrics_p99_ms": p99}
