# SPDX-License-Identifier: Apache-2.0
"""Go processes that are damaged, lie, vanish, or may not be read. Whatever they are, the agent says so and goes on."""

import os
import pathlib
import random
import subprocess
import sys
import threading
import time

import go_damage
from go_targets import GoTest, Witness, matrix

CHURN = 200
HERE = pathlib.Path(__file__).resolve().parent


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Damaged(GoTest):
    def setUp(self):
        super().setUp()
        self.running = self.go_agent()
        self.good = self.witness(self.newest("good"))
        self.wait_for_state(self.running, [self.good.pid])

    def tearDown(self):
        self.assert_healthy(self.running)
        said = self.good.tell("gc 2")
        self.assert_series(said["gc_cycles"], self.running, "mapshift_go_gc_cycles_total", process="good")

    def start(self, path, *arguments):
        process = subprocess.Popen([path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.kill)
        time.sleep(0.2)
        self.assertIsNone(process.poll(), f"{path.name} does not run: what it was damaged in, it needs")
        return process

    def refused(self, path, *arguments):
        process = self.start(path, *arguments)
        one = self.wait_for_state(self.running, [process.pid], "unsupported")[process.pid]
        self.assertTrue(one["reason"], one)
        self.assertGreaterEqual(self.series(self.running, "mapshift_go_processes", state="unsupported"), 1)
        self.assertIn(path.name, self.running.cli("go").out)
        return one

    def seen_or_not(self, path):
        """Damaged in a way that may hide that it is Go at all, or leave enough of it. Captured means that the figures are right."""
        process = self.witness(path)
        end = time.monotonic() + 5
        while not (one := self.processes(self.running).get(process.pid)) and time.monotonic() < end:
            time.sleep(0.1)
        if one and one["state"] == "captured":
            said = process.tell("gc 3")
            if one["gc_cycles"] is not None:
                self.assert_cycles(said["gc_cycles"], self.running, process.pid)
        elif one:
            self.assertTrue(one["reason"], one)
        return one

    def test_build_info_longer_than_the_file(self):
        self.refused(go_damage.build_info_length(self.newest("damaged")))

    def test_build_info_without_its_mark(self):
        self.refused(go_damage.build_info_magic(self.newest("damaged")))

    def test_claims_to_be_go(self):
        self.refused(go_damage.pretender(self.programs, "claims", build_info=os.urandom(4096)), "60")

    def test_claims_to_be_a_version(self):
        for number, version in enumerate(("go1.22.12", "go1.99", "go0.1", "devel", "go1." + "9" * 80)):
            with self.subTest(version=version):
                name = f"claims-{number}"
                self.refused(go_damage.pretender(self.programs, name, build_info=go_damage.build_info(version), pclntab=os.urandom(65536)), "60")

    def test_functions_without_names(self):
        for variant in ("default", "stripped"):
            with self.subTest(variant=variant):
                one = self.seen_or_not(go_damage.function_names(self.newest(f"nameless-{variant}", variant)))
                self.assertIsNotNone(one)
                self.assertTrue(one["reason"] or one["notes"], "nothing says what is missing")

    def test_sections_that_lie(self):
        for damage in (go_damage.section_table, go_damage.section_sizes, go_damage.debug_information):
            with self.subTest(damage=damage.__name__):
                self.seen_or_not(damage(self.newest(damage.__name__)))

    def test_random_damage(self):
        """Bytes of the sections that are read are changed at random; what does not run any more is left alone."""
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        for number in range(12):
            path = self.newest(f"random-{number}", chance.choice(("default", "stripped", "pie")))
            data = bytearray(path.read_bytes())
            found = go_damage.sections(data)
            names = [name for name in found if name in (".go.buildinfo", ".symtab", ".strtab", ".shstrtab") or name.startswith((".debug_", ".zdebug_"))]
            begin, size = found[chance.choice(names)]  # one section of a file: else the first damage hides the others
            for _ in range(40):
                data[begin + chance.randrange(max(size, 1))] = chance.randrange(256)
            path.unlink()
            path.write_bytes(data)
            path.chmod(0o755)
            try:
                self.seen_or_not(path)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, number {number}: {error}") from error


class Fleeting(GoTest):
    def test_replaced_while_it_runs(self):
        agent = self.go_agent()
        rows = [row for row in matrix("witness") if row[1] == "default"]
        path = self.program(rows[0][2], "server")
        old = self.witness(path)
        self.wait_for_state(agent, [old.pid])
        self.program(rows[-1][2], "server.new").rename(path)
        new = self.witness(path)
        found = self.wait_for_state(agent, [old.pid, new.pid])
        self.assertEqual(found[old.pid]["go_version"], old.first["go_version"])
        self.assertEqual(found[new.pid]["go_version"], new.first["go_version"])
        for witness, count in ((old, 2), (new, 4)):
            said = witness.tell(f"gc {count}")
            self.assert_cycles(said["gc_cycles"], agent, witness.pid)

    def test_replaced_before_it_is_looked_at(self):
        path = self.newest("server")
        witness = self.witness(path)
        path.unlink()
        agent = self.go_agent()
        found = self.wait_for_state(agent, [witness.pid])
        self.assertEqual(found[witness.pid]["gc_cycles"], 0)

    def test_another_program_in_the_same_process(self):
        agent = self.go_agent()
        rows = [row for row in matrix("witness") if row[1] == "default"]
        first, second = self.program(rows[0][2], "first"), self.program(rows[-1][2], "second")
        shell = self.witness("/bin/sh", "-c", f"echo '{{}}'; read line; exec {first}")
        time.sleep(0.3)
        self.assertNotIn(shell.pid, self.processes(agent))
        shell.tell("begin")
        found = self.wait_for_state(agent, [shell.pid])
        self.assertEqual(found[shell.pid]["name"], "first")
        shell.tell("gc 3")
        shell.tell(f"exec {second}")
        found = self.wait_for("the second program is captured", lambda: {pid: one for pid, one in self.processes(agent).items() if one["name"] == "second"})
        self.assertEqual((list(found), found[shell.pid]["gc_cycles"]), ([shell.pid], 0))
        said = shell.tell("gc 2")
        self.assert_series(said["gc_cycles"], agent, "mapshift_go_gc_cycles_total", process="second")
        self.assertIsNone(self.series(agent, "mapshift_go_gc_cycles_total", process="first"))

    def test_killed_while_it_is_read(self):
        agent = self.go_agent()
        path = self.newest("victim")
        held = None
        chance = random.Random(7)
        stop = threading.Event()

        def scrape():
            while not stop.wait(0.001):
                agent.http("GET", "/api/v1/go")

        reader = threading.Thread(target=scrape)
        reader.start()
        try:
            for round_number in range(40):
                victims = [Witness(path) for _ in range(3)]
                time.sleep(chance.random() * 0.1)
                for victim in victims:
                    victim.kill()
                if round_number == 10:
                    held = descriptors(agent.process.pid)
        finally:
            stop.set()
            reader.join()
        self.wait_for("the dead are gone", lambda: not self.processes(agent))
        self.assert_series(0, agent, "mapshift_go_processes", state="captured")
        self.assertFalse([name for name, values in agent.metrics().items() if any('process="victim' in labels for labels in values)])
        self.assertLessEqual(descriptors(agent.process.pid), held + 5)
        self.assert_healthy(agent)

    def test_many_come_and_go(self):
        agent = self.go_agent()
        stays = self.witness(self.newest("stays"))
        self.wait_for_state(agent, [stays.pid])
        path = self.newest("passes")
        before, began = descriptors(agent.process.pid), time.monotonic()
        for _ in range(CHURN // 10):
            batch = [subprocess.Popen([path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(5)]  # end at once
            batch += [subprocess.Popen([path, "-seconds", "0.1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(5)]
            self.assertEqual([one.wait(20) for one in batch], [0] * 10)
            for one in batch[5:]:
                one.stdin.close()
        print(f"{CHURN} processes came and went in {time.monotonic() - began:.1f} s")
        found = self.wait_for("only one is left", lambda: self.processes(agent) if len(self.processes(agent)) == 1 else None)
        self.assertEqual(list(found), [stays.pid])
        self.assertLessEqual(descriptors(agent.process.pid), before + 5)
        said = stays.tell("gc 3")
        self.assert_series(said["gc_cycles"], agent, "mapshift_go_gc_cycles_total", process="stays")
        self.assert_healthy(agent)


class Denied(GoTest):
    def check(self, *prefix):
        agent = self.agent(prefix=prefix, go={"enabled": True, "processes": [{"path": f"{self.programs}/*"}]})
        witness = self.witness(self.newest("secret"))
        found = self.wait_for_state(agent, [witness.pid], "denied")
        self.assert_series(1, agent, "mapshift_go_processes", state="denied")
        self.assertIsNone(self.series(agent, "mapshift_go_gc_cycles_total", process="secret"))
        self.assertIn("denied", agent.cli("go").out)
        self.assertEqual(witness.tell("gc 1")["gc_cycles"], 1)
        self.assert_healthy(agent)
        return found[witness.pid]["reason"]

    def test_without_the_capability(self):
        reason = self.check("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
        self.assertIn("CAP_SYS_PTRACE", reason)

    def test_memory_that_may_not_be_read(self):
        """As in a container whose seccomp profile forbids to read the memory of others."""
        self.assertTrue(self.check(sys.executable, "-B", HERE / "without_syscall.py", "process_vm_readv"))
