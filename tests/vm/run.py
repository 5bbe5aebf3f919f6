#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the kernel tests on other kernels: ./dev vm [KERNEL...], such as ./dev vm 6.1. Exits 0 only when every test passed on each."""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import machine
import verdict

KERNELS = ("6.1", "6.12")
# Emulation is 10 to 30 times slower than the machine itself. kernel_sync loads its programs anew for each test: the verifier of 6.1 alone
# needs 15 s there for each load.
LIMIT_SECONDS, LIMITS = 1800, {"kernel_sync": 5400}
# Of these tests only what does not depend on real time.
FILTERS = {"kernel_go_probes": "Go/Goroutines.BlockExactly*:Go/Stops.AreAsMany*:Safety.NothingIs*"}
LEFT_OUT = {"kernel_go": "what it reads does not depend on the kernel", "kernel_go_trace": "it needs a Go toolchain in the machine"}


def kernel_tests(build, wanted):
    """Name and command of what ctest calls a kernel test, from ctest itself."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-L", "^kernel$"], capture_output=True, text=True, check=True)
    tests = [test for test in json.loads(listing.stdout)["tests"] if re.search(wanted, test["name"])]
    missing = [test["name"] for test in tests if "command" not in test]
    if missing:
        sys.exit(f"vm: not built: {', '.join(missing)}; ./dev vm builds all")
    return {test["name"]: test["command"] for test in tests}


def limit_of(test):
    return LIMITS.get(test, LIMIT_SECONDS)


def build_root(build, folder, kernel, tests, gtest_filter):
    root = machine.Root(folder)
    for path in kernel.modules():
        root.file(path, f"/vm/modules/{path.name}")
    lines = []
    for name, command in tests.items():
        root.program(command[0])
        chosen = gtest_filter or FILTERS.get(name)
        lines.append(" ".join([name, str(limit_of(name)), *command, *([f"--gtest_filter='{chosen}'"] if chosen else [])]) + "\n")
    for name in ("fixtures", "modules", "go/bin"):
        if (build / name).exists():
            root.tree(build / name)
    root.text("/vm/tests", "".join(lines))
    root.text("/vm/directory", str(build))
    return root


class Progress:
    """Prints the verdict of each test as it ends."""

    def __init__(self, names, serial):
        self.names, self.serial, self.verdicts = names, serial, {}

    def look(self, last=False):
        text = verdict.plain(self.serial.read_text(errors="replace"))
        for name in self.names:
            if name not in self.verdicts and (last or re.search(rf"^VM-END {name} \d+$", text, re.M)):
                self.verdicts[name] = found = verdict.parse(text, name)
                print(f"  {name:<20} {found.line()}", *found.details(), sep="\n      ", flush=True)
        return text


def run_on(version, build, tests, gtest_filter):
    """The verdicts by test, and whether the machine did all that it was told."""
    kernel = machine.fetch(version, build.parent / "vm" / version)
    serial = build.parent / "vm" / f"{version}.txt"
    progress = Progress(list(tests), serial)
    with tempfile.TemporaryDirectory(prefix="mapshift-vm-") as place:
        place = pathlib.Path(place)
        root = build_root(build, place / "root", kernel, tests, gtest_filter)
        root.pack(place / "root.gz")
        print(f"==> booting Linux {kernel.release}, emulated; all that it prints: {serial}", flush=True)
        began = time.monotonic()
        ended = machine.run(kernel, place / "root.gz", serial, sum(limit_of(name) for name in tests) + 120, progress.look)
    text = progress.look(last=True)
    started = re.search(r"^VM-KERNEL ", text, re.M) is not None
    if not ended or not started:
        print("      the machine " + ("did not start" if not started else "did not end in time") + "; the last that it said:",
              *text.splitlines()[-25:], sep="\n      ")
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return progress.verdicts, ended and started and all(found.good for found in progress.verdicts.values())


def summary(verdicts, tests):
    """One line a test, one column a kernel."""
    print("\n" + " " * 22 + "".join(f"{version:<36}" for version in verdicts))
    for name in tests:
        cells = "".join(f"{counts(of[name]):<36}" for of in verdicts.values())
        print(f"  {name:<20}{cells.rstrip()}")


def counts(found):
    said = f"{len(found.passed)} passed, {len(found.skipped)} skipped, {len(found.failed)} failed"
    return said if found.status is not None else said + ", cut"


def main():
    parser = argparse.ArgumentParser(prog="./dev vm", description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--tests", default=".*", help="only kernel tests whose name matches, such as kernel_sync")
    parser.add_argument("--filter", help="given to the tests as --gtest_filter")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", default=KERNELS, help=f"as in 6.12; without: {' and '.join(KERNELS)}")
    options = parser.parse_args()
    build = options.build.resolve()
    tests = kernel_tests(build, options.tests)
    for name in [name for name in tests if name in LEFT_OUT]:
        del tests[name]
        print(f"left out: {name}: {LEFT_OUT[name]}", flush=True)
    if not tests:
        sys.exit(f"vm: no kernel test is called {options.tests}")
    verdicts, good = {}, True
    for version in options.kernels:
        verdicts[version], passed = run_on(version, build, tests, options.filter)
        good = good and passed
    summary(verdicts, tests)
    sys.exit(0 if good else 1)


main()
