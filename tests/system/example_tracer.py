# SPDX-License-Identifier: Apache-2.0
"""tracer: system calls of one process, timed; a histogram for each CPU whose array of buckets grows."""

from examples import BUILD, Example, Source, compare


FIRST_BUCKETS = 16  # of version 1


class Tracer(Example):
    name = "tracer"
    back = {1: {}, 2: {"latency": {"from": "getpgid_latency"}}}

    @property
    def sets(self):
        return {"PID": self.source.pid, "PROGRAM": BUILD / "mapshift-load", "FUNCTION": "mapshift_work"}

    def make_source(self):
        return Source("calls", threads=self.threads)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.forgotten = 0  # calls in buckets that version 1 has not, when it last was the one that stays

    def check(self, sent):
        """Each call ended in one bucket, or is counted as one whose start was not seen: it was under way at a swap. An update
        back to version 1 forgets the buckets that it has not, and no others: the plan says so. A rollback from there still has them."""
        calls = sum(sent)
        totals = self.per_cpu_sum("totals")
        latency = self.per_cpu_sum("latency" if self.pin("latency").exists() else "getpgid_latency")
        forgotten = totals["beyond"] if len(latency["buckets"]) == FIRST_BUCKETS else self.forgotten
        if self.version == 1 and len(latency["buckets"]) == FIRST_BUCKETS:
            self.forgotten = totals["beyond"]
        problems = compare("totals", {"entered": calls, "ended": calls}, {name: totals[name] for name in ("entered", "ended")})
        problems += compare("calls", {"timed": calls - totals["missed"]}, {"timed": latency["calls"]})
        problems += self.compare_work(sent)
        return problems + compare("buckets", {"all": latency["calls"] - forgotten}, {"all": sum(latency["buckets"])})

    def compare_work(self, sent):
        """Call n of a thread has the argument n: each bucket is known."""
        work = self.per_cpu_sum("work")
        last = len(work["arguments"]) - 1  # takes all larger ones, too
        want = {bucket: sum(max(0, (number if bucket == last else min(number, 2 << bucket)) - (1 << bucket if bucket else 0)) for number in sent)
                for bucket in range(last + 1)}
        return compare("calls of the function", {"all": sum(sent)}, {"all": work["calls"]}) + \
            compare("arguments", {b: count for b, count in want.items() if count}, {b: count for b, count in enumerate(work["arguments"]) if count})

    def rows(self):
        return [("calls whose start the ending version had not seen", f"{self.per_cpu_sum('totals')['missed']:,}")]
