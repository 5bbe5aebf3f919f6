# SPDX-License-Identifier: Apache-2.0
"""tracer: system calls of one process, timed; a histogram for each CPU whose array of buckets grows."""

from examples import Example, Source, compare


class Tracer(Example):
    name = "tracer"
    back = {1: {}, 2: {"latency": {"from": "getpgid_latency"}}}

    @property
    def sets(self):
        return {"PID": self.source.pid}

    def make_source(self):
        return Source("calls", threads=self.threads)

    def check(self, sent):
        """Each call ended in one bucket, or is counted as one whose start was not seen: it was under way at a swap."""
        calls = sum(sent)
        totals = self.per_cpu_sum("totals")
        latency = self.per_cpu_sum("latency" if self.pin("latency").exists() else "getpgid_latency")
        problems = compare("totals", {"entered": calls, "ended": calls}, {name: totals[name] for name in ("entered", "ended")})
        problems += compare("calls", {"timed": calls - totals["missed"]}, {"timed": latency["calls"]})
        return problems + compare("buckets", {"all": latency["calls"]}, {"all": sum(latency["buckets"])})
