# SPDX-License-Identifier: Apache-2.0
"""Go processes as the agent shows them, beside what they say of themselves: every toolchain of the machine, built in four ways."""

import hashlib
import os
import signal
import subprocess
import threading
import time

from go_targets import STALE, GoTest, matrix, minor, not_here

FIFTY = 50
SCRAPES = 8
ROUNDS = 25  # of steady: half a second by itself


class Figures(GoTest):
    def check_figures(self, agent, version, witness, name):
        before = witness.tell("figures")
        witness.tell("gc 3")
        witness.tell("stop 5")
        witness.tell("churn 50")
        said = witness.tell("park 100")
        self.assert_series(said["gc_cycles"], agent, "mapshift_go_gc_cycles_total", process=name)
        pauses = said.get("pauses_gc", said["gc_pauses"])
        self.assert_series(pauses, agent, "mapshift_go_stw_pause_seconds_count", process=name, kind="gc")
        if minor(version) >= 22:
            self.assertEqual(said["pauses_other"] - before["pauses_other"], 5)
            self.assert_series(said["pauses_other"], agent, "mapshift_go_stw_pause_seconds_count", process=name, kind="other")
            self.assert_series(pauses, agent, "mapshift_go_stw_stopping_seconds_count", process=name, kind="gc")
        self.assertAlmostEqual(self.series(agent, "mapshift_go_sched_latency_seconds_count", process=name), said["sched_latencies"],
                               delta=50 + said["sched_latencies"] * 0.01)  # it goes on a little after it has said so
        status, one, error = agent.json("go", witness.pid)
        self.assertEqual(status, 0, error)
        # The runtime's own goroutines are not among those that it counts for the program.
        self.assertGreaterEqual(one["goroutines"], said["goroutines"])
        self.assertLessEqual(one["goroutines"], said["goroutines"] + 12)
        waiting = {group["reason"]: group["count"] for group in one["groups"] if group["state"] == "waiting"}
        self.assertIn(waiting.get("chan receive"), (100, 101), waiting)
        starts = {start["function"]: start["count"] for start in one["start_functions"]}
        self.assertEqual(starts.get("main.waitForGood"), 100, starts)

    def test_each_toolchain(self):
        skipped = not_here("witness")
        print(f"not on this machine, so skipped: Go {', '.join(skipped)}" if skipped else "every wanted version is here")
        agent = self.go_agent()
        rows = [(version, variant, self.witness(self.program(path)), path.name) for version, variant, path in matrix("witness")]
        found = self.wait_for_state(agent, [witness.pid for _, _, witness, _ in rows])
        for version, variant, witness, name in rows:
            with self.subTest(version=version, variant=variant):
                one = found[witness.pid]
                self.assertEqual((one["name"], one["go_version"], one["path"]), (name, f"go{version}", str(self.programs / name)))
                self.assert_series(1, agent, "mapshift_go_info", process=name, go_version=f"go{version}")
                self.check_figures(agent, version, witness, name)
        self.assert_series(len(rows), agent, "mapshift_go_processes", state="captured")

    def test_each_stop_and_cycle(self):
        """What probes see of single stops agrees with the runtime's own counts."""
        agent = self.go_agent()
        rows = [(version, self.witness(self.program(path))) for version, variant, path in matrix("witness") if variant in ("default", "stripped")]
        self.wait_for_state(agent, [witness.pid for _, witness in rows])
        time.sleep(2)  # probes are attached soon after
        before = self.processes(agent)
        for _, witness in rows:
            witness.tell("gc 4")
            witness.tell("stop 6")
        time.sleep(1.5)
        after = self.processes(agent)
        for version, witness in rows:
            with self.subTest(version=version, path=witness.process.args[0].name):
                old, new = before[witness.pid], after[witness.pid]
                self.assertEqual(new["gc_cycles"] - old["gc_cycles"], 4)
                self.assertEqual(len(new["cycles"]) - len(old["cycles"]), 4, new["notes"])
                pauses = new["pauses"][len(old["pauses"]):]
                gc = [pause for pause in pauses if pause["gc"]]
                self.assertEqual(len(gc), new["stw_pause"]["gc"]["count"] - old["stw_pause"]["gc"]["count"], new["notes"])
                self.assertTrue(all(0 < pause["total_seconds"] < 1 for pause in pauses), pauses)
                if minor(version) >= 22:
                    self.assertEqual(len(pauses) - len(gc), 6)

    def test_the_command(self):
        agent = self.go_agent()
        witness = self.witness(self.newest("shop"))
        self.wait_for_state(agent, [witness.pid])
        done = agent.cli("go")
        self.assertEqual(done.status, 0, done.err)
        self.assertRegex(done.out, rf"(?m)^\W*shop\b.*\b{witness.pid}\b")
        self.assertIn(witness.first["go_version"].removeprefix("go"), done.out)
        witness.tell("park 7")
        done = agent.cli("go", witness.pid)
        self.assertEqual(done.status, 0, done.err)
        self.assertRegex(done.out, r"(?m)^ *7 +waiting +chan receive")
        status, everything, _ = agent.json("go")
        self.assertEqual((status, [one["name"] for one in everything["processes"]]), (0, ["shop"]))
        self.assertEqual(agent.cli("go", os.getpid()).status, 1)
        self.assertEqual(agent.cli("go", "shop?").status, 2)
        self.assertEqual(agent.http("GET", f"/api/v1/go/{os.getpid()}").status, 404)
        self.assertEqual(agent.http("GET", "/api/v1/go", token=None).status, 401)

    def test_two_of_one_executable(self):
        agent = self.go_agent()
        path = self.newest("twin")
        first, second = self.witness(path), self.witness(path)
        found = self.wait_for_state(agent, [first.pid, second.pid])
        names = {found[one.pid]["name"]: one for one in (first, second)}
        self.assertEqual(sorted(names), ["twin", "twin-1"])
        first.tell("gc 2")
        second.tell("gc 5")
        for name, one in names.items():
            want = 2 if one is first else 5
            self.assert_series(want, agent, "mapshift_go_gc_cycles_total", process=name)

    def test_nothing_when_it_is_off(self):
        self.witness(self.newest())
        agent = self.agent(go={"enabled": False})
        time.sleep(1)
        self.assertEqual(self.processes(agent), {})
        self.assertFalse([name for name, values in agent.metrics().items() if any('process="' in labels for labels in values)])


class Cost(GoTest):
    def test_fifty_processes(self):
        path = self.newest("crowd")
        witnesses = [self.witness(path) for _ in range(FIFTY)]
        for witness in witnesses:
            witness.tell("park 10")
        agent = self.go_agent(max_processes=FIFTY)
        self.wait_for_state(agent, [witness.pid for witness in witnesses])
        time.sleep(1)
        before, began = self.series(agent, "process_cpu_seconds_total"), time.monotonic()
        for _ in range(SCRAPES):
            time.sleep(1.2)  # younger figures may be given again
            cpu = self.series(agent, "process_cpu_seconds_total")
        lasted = time.monotonic() - began
        each = (cpu - before) / SCRAPES
        print(f"{FIFTY} Go processes: {each * 1e3:.1f} ms of CPU a scrape, all that the agent does included; "
              f"{each / 15 * 100:.2f} % of a core at a scrape every 15 s ({cpu - before:.2f} s in {lasted:.1f} s)")
        self.assertLess(each / 15, 0.01)
        another = self.witness(path)
        over = self.wait_for_state(agent, [another.pid], "over_limit")
        self.assertTrue(over[another.pid]["reason"])
        self.assertGreaterEqual(self.series(agent, "mapshift_go_processes_dropped_total"), 1)
        self.assert_healthy(agent)


class Unharmed(GoTest):
    """The target's output is the same, byte for byte, whoever watches."""

    def output(self, path, agent=None, storm=False):
        """The sum of what it prints. With an agent it lives on until that has shown what probes saw, or STALE seconds."""
        process = subprocess.Popen([path, "-wait", "-linger", "-rounds", str(ROUNDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        if agent:
            self.wait_for_state(agent, [process.pid])
        ended = threading.Event()

        def rain():  # the runtime's own signal for preemption
            for _ in range(20000):
                if ended.wait(0.0002):
                    return
                process.send_signal(signal.SIGURG)

        storms = [threading.Thread(target=rain)] if storm else []
        for thread in storms:
            thread.start()
        try:
            process.stdin.write(b"\n")
            process.stdin.flush()
            lines = [process.stdout.readline() for _ in range(ROUNDS)]  # it ends by itself when it takes too long
            if agent and not self.proven():
                self.watch(agent, process.pid)
        finally:
            ended.set()
            for thread in storms:
                thread.join()
        rest, errors = process.communicate(timeout=120)
        self.assertEqual((process.returncode, rest, errors), (0, b"", b""), f"{path.name} with status {process.returncode}")
        return hashlib.sha256(b"".join(lines)).hexdigest()

    def watch(self, agent, pid):
        end = time.monotonic() + STALE
        while not self.proven() and time.monotonic() < end:
            time.sleep(0.1)
            self.seen.append(self.processes(agent).get(pid, {}))

    def check(self, budget, proven):
        self.seen = []
        self.proven = lambda: any(proven(report) for report in self.seen)
        rows = [(path, self.program(path)) for _, _, path in matrix("steady")]
        alone = {path.name: self.output(path) for path, _ in rows}
        agent = self.go_agent(overhead_budget=budget)
        for path, copy in rows:
            with self.subTest(program=path.name):
                self.assertEqual(self.output(copy, agent), alone[path.name])
                self.assertEqual(self.output(copy, agent, storm=True), alone[path.name], "in a storm of SIGURG")
        self.assert_healthy(agent)
        self.assertTrue(self.proven(), "no probe ever saw what this program does, so this proves nothing")

    def test_in_windows(self):
        self.check(0.01, lambda report: report.get("cycles"))

    def test_probed_all_the_time(self):
        self.check(1, lambda report: report.get("cycles") and report.get("created", 0) > 1000)
