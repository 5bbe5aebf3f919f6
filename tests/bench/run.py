#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: ./dev bench [NAME]. Each prints a table; all figures go to one JSON file with the machine's name beside them.
A figure means something beside the alternative that was measured in the same run; absolute ones belong to the machine."""

import argparse
import json
import pathlib
import platform
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import bench_agent
import bench_go
import bench_packets
import bench_updates


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cpus": len([l for l in open("/proc/cpuinfo") if l.startswith("processor")]), "kernel": platform.release()}


def bench_sync(build):
    """A pass of the sync engine, beside copying in user space."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([str(build / "sync_bench"), "--json", out.name], check=True)
        return json.load(open(out.name))


def bench_changes(build):
    """What a logged map change costs, how fast changes arrive, and three ways to stay in step with a map."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([str(build / "changes_bench"), "--json", out.name], check=True)
        return json.load(open(out.name))


def bench_rollback(build):
    """From the first failing measurement to the old generation at every hook, 100 times."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        script = pathlib.Path(__file__).parent / "rollback_latency.py"
        subprocess.run([sys.executable, str(script), "--build", str(build), "--json", out.name], check=True)
        return json.load(open(out.name))


def bench_analysis(build):
    """How long the instructions of an object of 10,000 are followed before an update is planned."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([str(build / "analysis_bench"), "--json", out.name], check=True)
        return json.load(open(out.name))


def bench_canary(build):
    """What an event costs: directly, through a dispatcher, and through one that sends a share of events elsewhere."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([str(build / "canary_bench"), "--json", out.name], check=True)
        return json.load(open(out.name))


BENCHES = {"sync": bench_sync, "packets": bench_packets.bench, "rollback": bench_rollback, "agent": bench_agent.bench, "go": bench_go.bench,
           "changes": bench_changes, "analysis": bench_analysis, "updates": bench_updates.bench, "canary": bench_canary}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), help="one of them; all without")
    options = parser.parse_args()
    results = {"machine": machine()}
    print(f"machine: {results['machine']['cpus']} CPUs ({results['machine']['cpu']}), Linux {results['machine']['kernel']}", flush=True)
    for name, bench in BENCHES.items():
        if options.name in (None, name):
            print(f"\n{name}: {bench.__doc__.splitlines()[0]}", flush=True)
            results[name] = bench(options.build.resolve())
    options.output.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {options.output}")


if __name__ == "__main__":
    main()
