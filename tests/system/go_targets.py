# SPDX-License-Identifier: Apache-2.0
"""The Go programs of tests/go as the black-box tests drive them, and what a test of their capture stands on."""

import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import time

from lab import BUILD, SystemTest

PROGRAMS = BUILD / "go" / "bin"
WANTED = ("1.19", "1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26")  # what of these is not on this machine is named
PATIENCE = 20  # seconds
STALE = 3  # seconds


def matrix(program):
    """[(version, variant, path)] of what was built, oldest version first."""
    rows = json.loads((PROGRAMS / "matrix.json").read_text())
    return [(row["version"], row["variant"], pathlib.Path(row["path"])) for row in rows if row["program"] == program]


def minor(version):
    return int(re.match(r"1\.(\d+)", version)[1])


def not_here(program):
    have = {f"1.{minor(version)}" for version, _, _ in matrix(program)}
    return [version for version in WANTED if version not in have]


class Witness:
    """tests/go/witness: does what it is told, and says what its own runtime knows. Ends with its stdin."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.buffer = b""
        self.first = self._answer()

    def _answer(self):
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.buffer:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{self.process.args[0]} does not answer")
            part = self.process.stdout.read1(65536)
            if not part:
                raise AssertionError(f"{self.process.args[0]} ended with {self.process.wait(5)}")
            self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def tell(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        self.process.wait(PATIENCE)


class GoTest(SystemTest):
    """Programs run from a folder of the test's own, and the agent looks at that folder only: never at another's process."""

    def setUp(self):
        super().setUp()
        if not matrix("witness"):
            self.assertNotEqual(os.environ.get("MAPSHIFT_REQUIRE_KERNEL"), "1", "no Go toolchain on this machine")
            self.skipTest("no Go toolchain on this machine")
        self.programs = self.folder / "programs"
        self.programs.mkdir()

    def program(self, path, name=None):
        """A copy, under its own name or another."""
        return pathlib.Path(shutil.copy(path, self.programs / (name or path.name)))

    def newest(self, name=None, variant="default", program="witness"):
        return self.program([path for _, kind, path in matrix(program) if kind == variant][-1], name)

    def witness(self, *command):
        witness = Witness(*command)
        self.addCleanup(witness.kill)
        return witness

    def go_agent(self, **more):
        return self.agent(go={"enabled": True, "overhead_budget": 0.01, "processes": [{"path": f"{self.programs}/*"}], **more})

    def processes(self, agent):
        """pid -> what the agent says of it."""
        return {one["pid"]: one for one in agent.http("GET", "/api/v1/go").json["processes"]}

    def wait_for(self, what, look, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}")
            time.sleep(0.05)

    def wait_for_state(self, agent, pids, state="captured"):
        """The agent's processes, as soon as all of `pids` are in that state."""
        def look():
            found = self.processes(agent)
            return found if all(found.get(pid, {}).get("state") == state for pid in pids) else None

        try:
            return self.wait_for(f"{len(pids)} processes {state}", look)
        except AssertionError as error:
            found = self.processes(agent)
            raise AssertionError(f"{error}; {[(pid, found.get(pid, {}).get('state'), found.get(pid, {}).get('reason')) for pid in pids]}") from None

    def series(self, agent, metric, **labels):
        """The sum of the series that have these labels; None when there is none."""
        found = [value for text, value in agent.metrics()[metric].items()
                 if all(f'{name}="{wanted}"' in text.split(",") for name, wanted in labels.items())]
        return sum(found) if found else None

    def assert_series(self, want, agent, metric, **labels):
        """That it has, or soon has, this value: a scrape may be given figures of the second before."""
        end = time.monotonic() + STALE
        while (found := self.series(agent, metric, **labels)) != want and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(found, want, f"{metric} {labels}")

    def assert_cycles(self, want, agent, pid):
        end = time.monotonic() + STALE
        while (found := self.processes(agent).get(pid, {}).get("gc_cycles")) != want and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(found, want)

    def assert_healthy(self, agent):
        self.assertIsNone(agent.process.poll(), "the agent ended")
        self.assertEqual(agent.http("GET", "/-/healthy", listener="metrics").status, 200)
        self.assertEqual(agent.http("GET", "/-/ready", listener="metrics").status, 200)
