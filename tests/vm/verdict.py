# SPDX-License-Identifier: Apache-2.0
"""What a test binary said in the machine, read from what the machine printed."""

import collections
import dataclasses
import re

SHOWN_LINES = 40  # of a failed test: the beginning and the end say most


def plain(text):
    """Without colours, carriage returns and what clears a screen."""
    return re.sub(r"\x1bc|\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


@dataclasses.dataclass
class Verdict:
    name: str
    status: int | None  # None: it began and did not end, or never began
    passed: list
    skipped: list  # (test, reason)
    failed: list  # (test, what it printed)
    unfinished: str  # the test that ran when all ended, or empty
    tail: str

    @property
    def good(self):
        return self.status == 0

    def line(self):
        counts = ", ".join(f"{len(tests)} {what}" for what, tests in (("passed", self.passed), ("skipped", self.skipped), ("failed", self.failed)) if tests)
        if self.status is None:
            said = f"did not end, in {self.unfinished}" if self.unfinished else "did not end"
        elif self.status == 124 or self.status == 143:
            said = f"was ended by its time limit, in {self.unfinished}"
        else:
            said = "passed" if self.good else f"failed with status {self.status}"
        return f"{said}: {counts or 'no test ran'}"

    def details(self):
        reasons = collections.defaultdict(list)
        for test, reason in self.skipped:
            reasons[reason].append(test)
        lines = []
        for reason, tests in reasons.items():
            lines += [f"skipped, because {reason}:"] + [f"    {test}" for test in tests]
        for test, output in self.failed:
            lines += [f"failed: {test}"] + [f"    {line}" for line in shortened(output)]
        if not self.good and not self.failed:
            lines += shortened(self.tail)
        return lines


def shortened(output):
    lines = output.splitlines()
    if len(lines) <= SHOWN_LINES:
        return lines
    return lines[: SHOWN_LINES // 2] + [f"... {len(lines) - SHOWN_LINES} lines ..."] + lines[-SHOWN_LINES // 2 :]


def parse(text, name):
    """`text` is plain(). Of a binary that did not end, all that it said so far counts."""
    found = re.search(rf"^VM-BEGIN {name}\n(.*?)(?:^VM-END {name} (\d+)$|\Z)", text, re.M | re.S)
    output = found[1] if found else ""
    verdict = Verdict(name, int(found[2]) if found and found[2] else None, [], [], [], "", output)
    runs = list(re.finditer(r"^\[ RUN      \] (\S+)\n", output, re.M))
    for run, following in zip(runs, runs[1:] + [None]):
        said = output[run.end() : following.start() if following else None]
        end = re.search(rf"\[ +(OK|SKIPPED|FAILED) +\] {re.escape(run[1])}\b", said)
        body = said[: end.start()] if end else said
        if not end:
            verdict.unfinished = run[1]
        elif end[1] == "OK":
            verdict.passed.append(run[1])
        elif end[1] == "FAILED":
            verdict.failed.append((run[1], body))
        else:
            reason = re.search(r": Skipped\n(.*)$", body, re.M)
            verdict.skipped.append((run[1], reason[1] if reason else "of nothing that it said"))
    return verdict
