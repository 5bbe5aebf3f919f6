# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

from private_agent import percentile

ROUNDS = 5     # each kind twice a round, there and back, so that what drifts hits all alike
SECONDS = 2.0  # of load
SETTLE = 1.5   # until the agent has found the service and probes are attached
CONNECTIONS = 16
KINDS = {  # name -> the agent's overhead_budget; None: no agent
    "without": None,
    "tiers 0 and 1": 0,
    "windows of 1 %": 0.01,
    "always probed": 1,
}
FIFTY, SCRAPE_INTERVAL = 50, 15
MEASURED = 45  # seconds


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Agent:
    """An agent that looks at the executables of one folder only."""

    def __init__(self, build, folder, programs, budget):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        config = {"state_dir": str(self.folder / "state"), "run_dir": str(self.folder / "run"), "bpffs": str(self.folder / "bpffs"),
                  "metrics": {"listen": "127.0.0.1:0"}, "api": {"listen": "127.0.0.1:0"}, "module_dirs": [],
                  "go": {"enabled": True, "overhead_budget": budget, "processes": [{"path": f"{programs}/*"}]}}
        (self.folder / "config.json").write_text(json.dumps(config))
        self.build = build

    def __enter__(self):
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen([str(self.build / "mapshiftd"), "--config", str(self.folder / "config.json")], stderr=log)
        deadline = time.monotonic() + 15
        while not (self.folder / "run" / "agent.json").exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the agent did not start: " + (self.folder / "log").read_text())
            time.sleep(0.02)
        self.address = json.loads((self.folder / "run" / "agent.json").read_text())["metrics"]
        return self

    def __exit__(self, *_):
        try:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            subprocess.run(["umount", str(self.folder / "bpffs")], check=False, capture_output=True)

    def report(self, pid):
        done = subprocess.run([str(self.build / "mapshift"), "--run-dir", str(self.folder / "run"), "--output", "json", "go", str(pid)],
                              capture_output=True, text=True, timeout=30)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def wait_for(self, pids):
        deadline = time.monotonic() + 30
        while any(self.report(pid).get("state") != "captured" for pid in pids):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not captured within 30 s: {[self.report(pid).get('reason') for pid in pids][:3]}")
            time.sleep(0.05)

    def scrape(self):
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
            return len(answer.read())


@contextlib.contextmanager
def service(program, *arguments):
    """It ends with the pipe that is its stdin."""
    process = subprocess.Popen([str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)


def load(build, address, seconds):
    done = subprocess.run([str(build / "go/bin/go-load"), "-address", address, "-seconds", str(seconds), "-connections", str(CONNECTIONS)],
                          capture_output=True, text=True, timeout=seconds + 30, check=True)
    report = json.loads(done.stdout)
    if report["errors"]:
        raise RuntimeError(f"the service failed {report['errors']} requests: {report['error']}")
    return report


def measure(build, folder, programs, kind, server, address):
    """One sample: requests a second, latency, CPU time a request, and what the agent did meanwhile."""
    with contextlib.ExitStack() as stack:
        agent = stack.enter_context(Agent(build, folder, programs, KINDS[kind])) if KINDS[kind] is not None else None
        if agent:
            agent.wait_for([server.pid])
        load(build, address, SETTLE)
        before = cpu_seconds(server.pid)
        report = load(build, address, SECONDS)
        cpu = cpu_seconds(server.pid) - before
        said = agent.report(server.pid) if agent else {}
    return {"rps": report["requests_per_second"], "p50": report["latency_seconds"]["p50"], "p99": report["latency_seconds"]["p99"],
            "cpu_us": cpu / report["requests"] * 1e6, "probing": said.get("probing")}


def compare(build, folder, programs):
    samples = {kind: [] for kind in KINDS}
    with service(programs / "go-service") as (server, who):
        load(build, who["address"], 2)  # the heap and the caches as they stay
        for _ in range(ROUNDS):
            for kind in list(KINDS) + list(reversed(KINDS)):
                samples[kind].append(measure(build, folder, programs, kind, server, who["address"]))
    print(f"  {'medians':16}{'requests/s':>11}{'of without (lowest to highest round)':>38}{'CPU us a request':>18}{'p99 ms':>8}{'duty':>8}{'overhead':>10}")
    rows = {kind: summary(samples[kind], samples["without"]) for kind in KINDS}
    for kind, row in rows.items():
        spread = f"{row['relative'] * 100:.1f} % ({row['relative_lowest'] * 100:.1f} to {row['relative_highest'] * 100:.1f})"
        print(f"  {kind:16}{row['requests_per_second']:11,.0f}{spread:>38}{row['cpu_us_a_request']:18.2f}{row['p99_ms']:8.2f}"
              f"{row['duty'] * 100:6.1f} %{row['overhead'] * 100:8.2f} %")
    return {kind.replace(" ", "_"): row for kind, row in rows.items()}


def rounds(samples):
    """Mean requests a second of each round: one sample there, one back."""
    return [(samples[i]["rps"] + samples[i + 1]["rps"]) / 2 for i in range(0, len(samples), 2)]


def summary(samples, without):
    def median(name):
        return statistics.median(sample[name] for sample in samples)

    relative = sorted(mine / base for mine, base in zip(rounds(samples), rounds(without)))
    rates = sorted(sample["rps"] for sample in samples)
    probing = [sample["probing"] for sample in samples if sample["probing"]] or [{"duty": 0, "overhead": 0}]
    return {"samples": len(samples), "requests_per_second": median("rps"), "lowest": rates[0], "highest": rates[-1],
            "quartiles": [percentile(rates, 0.25), percentile(rates, 0.75)],
            "relative": statistics.median(relative), "relative_lowest": relative[0], "relative_highest": relative[-1],
            "cpu_us_a_request": median("cpu_us"), "p50_ms": median("p50") * 1e3, "p99_ms": median("p99") * 1e3,
            "duty": statistics.median(one["duty"] for one in probing), "overhead": statistics.median(one["overhead"] for one in probing)}


def fifty(build, folder, programs):
    """What the agent needs for many processes at a usual scrape interval."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(service(programs / "go-service", "-idle", "20"))[0] for _ in range(FIFTY)]
        agent = stack.enter_context(Agent(build, folder, programs, 0.01))
        agent.wait_for([process.pid for process in started])
        agent.scrape()
        time.sleep(SETTLE)
        before, began = cpu_seconds(agent.process.pid), time.monotonic()
        for number in range(1, MEASURED // SCRAPE_INTERVAL + 1):
            time.sleep(max(0, began + number * SCRAPE_INTERVAL - time.monotonic()))
            size = agent.scrape()
        share = (cpu_seconds(agent.process.pid) - before) / (time.monotonic() - began)
    print(f"  {FIFTY} services that mostly sleep, a scrape every {SCRAPE_INTERVAL} s: {share * 100:.2f} % of a core; /metrics has {size / 1024:.0f} KiB")
    return {"processes": FIFTY, "scrape_interval_seconds": SCRAPE_INTERVAL, "core_share": share, "metrics_bytes": size}


def bench(build):
    """A Go service at full load: without the agent, with it, and probed all the time; and the agent with 50 Go processes."""
    if not (build / "go/bin/go-service").exists():
        print("  skipped: no Go toolchain built the service")
        return {"skipped": "no Go toolchain"}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapshift-bench-"))
    try:
        programs = folder / "programs"
        programs.mkdir()
        shutil.copy(build / "go/bin/go-service", programs)
        return {"service": compare(build, folder, programs), "many": fifty(build, folder, programs)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
