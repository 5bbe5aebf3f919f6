# SPDX-License-Identifier: Apache-2.0
"""A Go service under load beside the update: what the agent says of its runtime before and during the updates, and whether that
is what the service says of itself."""

import json
import time
import urllib.request

from demo_host import FOLDER, DemoError, run

RATE = 1000  # requests a second
LIFE = 3700  # seconds: --stay lasts an hour
PATIENCE = 15  # seconds


class GoService:
    """Nothing of it happens where no Go toolchain built it."""

    def __init__(self, demo, say):
        self.demo, self.say = demo, say
        self.program = demo.build / "go" / "bin" / "go-service"
        self.readings, self.who, self.loads = [], None, 0

    @property
    def present(self):
        return self.program.exists()

    def config(self):
        return {"enabled": self.present, "processes": [{"path": str(self.program)}]}

    def start(self, seconds):
        if not self.present:
            self.say("skipped  the Go service: no Go toolchain to build it")
            return
        service = self.demo.processes.start("go-service", [str(self.program), "-seconds", str(LIFE)], "go-service.json")
        self.who = self._wait("the Go service did not start", lambda: json.loads((FOLDER / "go-service.json").read_text()))
        if self.who["pid"] != service.pid:
            raise DemoError("the Go service is not the process that was started")
        self.load(RATE, seconds)
        self._wait("the agent does not capture the Go service", lambda: self._read()["state"] == "captured")
        self.say(f"watching go-service, built with {self.who['go_version']}, from outside, under {RATE} requests a second")

    def load(self, rate, seconds):
        if self.who:
            self.loads += 1
            name = f"go-load-{self.loads}"
            command = [str(self.program.with_name("go-load")), "-address", self.who["address"], "-seconds", str(seconds), "-rate", str(rate)]
            self.loader = self.demo.processes.start(name, command, f"{name}.json")

    def _wait(self, otherwise, look):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                found = look()
                if found:
                    return found
            except (ValueError, KeyError):
                pass
            time.sleep(0.05)
        raise DemoError(otherwise)

    def _read(self):
        _, document, _ = self.demo.cli("go", str(self.who["pid"]))
        return document

    def mark(self):
        """Takes a reading: the figures are of what lies between two."""
        if self.who:
            self.readings.append(self._read())

    def end(self):
        """Ends the load; what was wrong."""
        if not self.who:
            return []
        self.loader.terminate()
        self.loader.wait(timeout=10)
        report = json.loads((FOLDER / f"go-load-{self.loads}.json").read_text())
        problems = [f"the Go service failed {report['errors']} requests: {report['error']}"] if report["errors"] else []
        time.sleep(0.3)  # a cycle of its collector may be under way
        with urllib.request.urlopen(f"http://{self.who['address']}/figures", timeout=5) as answer:
            itself = json.load(answer)
        seen = self._read()
        if seen["gc_cycles"] != itself["gc_cycles"]:
            problems.append(f"the agent counts {seen['gc_cycles']} GC cycles of the Go service, the service itself {itself['gc_cycles']}")
        count, wanted = seen["stw_pause"]["gc"]["count"], itself.get("pauses_gc", itself["gc_pauses"])
        if count != wanted:
            problems.append(f"the agent counts {count} stops of the world for GC, the service itself {wanted}")
        self.report, self.last = report, seen
        return problems

    def show(self):
        if self.who:
            command = [str(self.demo.build / "mapshift"), "--run-dir", str(FOLDER / "run"), "go"]
            self.say("  $ mapshift go\n" + "\n".join(f"  {line}" for line in run(*command).stdout.splitlines()) + "\n")

    def rows(self):
        """Lines of the table: what happened before the updates and during them."""
        if len(self.readings) < 3:
            return []
        first, middle, last = self.readings[:3]
        latency = self.report["latency_seconds"]
        probing = last["probing"]
        return [
            (f"Go service ({last['go_version']})", f"{self.report['requests']:,} requests, 0 failed, p99 {duration(latency['p99'])}; "
                                                   f"{self.last['goroutines']} goroutines, {self.last['gc_cycles']} GC cycles, as it says itself"),
            ("  stops of the world for GC", figures(("stw_pause", "gc"), first, middle, last)),
            ("  runnable until it runs", figures(("sched_latency",), first, middle, last)),
            ("  what its goroutines wait for", blocked(last)),
            ("  cost of the probes to it", f"{probing['overhead'] * 100:.2f} % of its CPU time, attached {probing['duty'] * 100:.1f} % of the time"
             + (f"; cross-check {probing['crosscheck']:.2f} of 1" if probing["crosscheck"] is not None else "")),
        ]


def duration(seconds):
    if seconds is None:
        return "none"
    return f"{seconds * 1e6:.1f} \u00b5s" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def at(document, path):
    for member in path:
        document = document.get(member, {})
    return document


def difference(before, after):
    old = before.get("counts") or [0] * len(after.get("counts", []))
    return [new - was for new, was in zip(after.get("counts", []), old)]


def quantile(bounds, counts, share):
    """Interpolated within its bucket; the last bound beyond it."""
    rank, below = share * sum(counts), 0
    for i, count in enumerate(counts):
        if count and below + count >= rank:
            if i == len(bounds):
                return bounds[-1]
            low = bounds[i - 1] if i else 0
            return low + (bounds[i] - low) * (rank - below) / count
        below += count
    return None


def figures(path, first, middle, last):
    parts = []
    for name, old, new in (("before", first, middle), ("during the updates", middle, last)):
        counts, bounds = difference(at(old, path), at(new, path)), at(new, path).get("bounds", [])
        parts.append(f"{name}: {sum(counts):,}, p50 {duration(quantile(bounds, counts, 0.5))}, p99 {duration(quantile(bounds, counts, 0.99))}")
    return "; ".join(parts)


def blocked(document):
    longest = sorted(document["block"].items(), key=lambda entry: -entry[1]["count"])[:3]
    return "; ".join(f"{reason}: p50 {duration(one['p50'])}" for reason, one in longest) or "not probed in this time"
