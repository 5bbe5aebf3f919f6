#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the kernel tests on other kernels: ./dev vm [KERNEL...], such as ./dev vm 6.1. Exits 0 only when every test passed on each."""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import machine

KERNELS = ("6.1", "6.12")
# Emulation is 10 to 30 times slower than the machine itself.
LIMIT_SECONDS = 900
# Of these tests only what does not depend on real time.
FILTERS = {"kernel_go_probes": "Go/Goroutines.BlockExactly*:Go/Stops.AreAsMany*:Safety.NothingIs*"}
LEFT_OUT = {"kernel_go": "what it reads does not depend on the kernel", "kernel_go_trace": "it needs a Go toolchain in the machine"}


def kernel_tests(build):
    """Name and command of what ctest calls a kernel test, from ctest itself."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-L", "^kernel$"], capture_output=True, text=True, check=True)
    tests = json.loads(listing.stdout)["tests"]
    missing = [test["name"] for test in tests if "command" not in test]
    if missing:
        sys.exit(f"vm: not built: {', '.join(missing)}; ./dev vm builds all")
    return {test["name"]: test["command"] for test in tests}


def build_root(build, folder, kernel, tests, gtest_filter):
    root = machine.Root(folder)
    for path in kernel.modules():
        root.file(path, f"/vm/modules/{path.name}")
    lines = []
    for name, command in tests.items():
        root.program(command[0])
        chosen = gtest_filter or FILTERS.get(name)
        lines.append(" ".join([name, str(LIMIT_SECONDS), *command, *([f"--gtest_filter='{chosen}'"] if chosen else [])]) + "\n")
    for name in ("fixtures", "modules", "go/bin"):
        if (build / name).exists():
            root.tree(build / name)
    root.text("/vm/tests", "".join(lines))
    root.text("/vm/directory", str(build))
    return root


def report(version, serial, tests, ended):
    """Prints the verdict of each test from what the machine printed. True when all is well."""
    text = re.sub(r"\x1bc|\x1b\[[0-9;?]*[A-Za-z]", "", serial.read_text(errors="replace")).replace("\r", "")
    release = re.search(r"^VM-KERNEL (.*)$", text, re.M)
    print(f"\nLinux {release[1] if release else version + ': it did not start'}")
    good = ended and bool(release)
    for name in tests:
        found = re.search(rf"^VM-BEGIN {name}\n(.*?)(?:^VM-END {name} (\d+)$|\Z)", text, re.M | re.S)
        status = int(found[2]) if found and found[2] else None
        output = found[1] if found else ""
        counts = re.findall(r"^\[  (PASSED|SKIPPED|FAILED)\s*\] (\d+) tests?", output, re.M)
        said = ", ".join(f"{number} {what.lower()}" for what, number in counts)
        verdict = {0: "passed", None: "did not end"}.get(status, f"failed with status {status}")
        print(f"  {name:<24} {verdict}{': ' + said if said else ''}")
        for reason, number in collections.Counter(re.findall(r": Skipped\n(.*)$", output, re.M)).items():
            print(f"      {number} skipped: {reason}")
        if status != 0:
            good = False
            lines = output.splitlines()
            wrong = [line for line in lines if re.search(r"FAILED|Failure|Expected|Which is|error", line)]
            print("\n".join("      " + line for line in (wrong or lines)[-40:]))
    if not ended or not release:
        print("\n".join("      " + line for line in text.splitlines()[-25:]))
    return good


def main():
    parser = argparse.ArgumentParser(prog="./dev vm", description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--tests", default=".*", help="only kernel tests whose name matches, such as kernel_sync")
    parser.add_argument("--filter", help="given to the tests as --gtest_filter")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", default=KERNELS, help=f"as in 6.12; without: {' and '.join(KERNELS)}")
    options = parser.parse_args()
    build = options.build.resolve()
    tests = {name: command for name, command in kernel_tests(build).items() if re.search(options.tests, name)}
    for name in [name for name in tests if name in LEFT_OUT]:
        del tests[name]
        print(f"left out: {name}: {LEFT_OUT[name]}", flush=True)
    if not tests:
        sys.exit(f"vm: no kernel test is called {options.tests}")
    good = True
    for version in options.kernels:
        kernel = machine.fetch(version, build.parent / "vm" / version)
        serial = build.parent / "vm" / f"{version}.txt"
        with tempfile.TemporaryDirectory(prefix="mapshift-vm-") as place:
            place = pathlib.Path(place)
            root = build_root(build, place / "root", kernel, tests, options.filter)
            root.pack(place / "root.gz")
            print(f"==> booting {kernel.release}: {', '.join(tests)}", flush=True)
            began = time.monotonic()
            ended = machine.run(kernel, place / "root.gz", serial, LIMIT_SECONDS * len(tests) + 120)
        good = report(version, serial, tests, ended) and good
        print(f"  {time.monotonic() - began:.0f} s, emulated; all output: {serial}")
    sys.exit(0 if good else 1)


main()
