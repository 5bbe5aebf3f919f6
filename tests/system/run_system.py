#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one file of system tests in namespaces of its own: python3 run_system.py test_cli [unittest arguments].

Exit status: 0 passed, 1 failed, 77 skipped for want of privilege (with MAPSHIFT_REQUIRE_KERNEL=1 that is a failure).
"""

import ctypes
import fcntl
import os
import pathlib
import subprocess
import sys
import unittest

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
SKIPPED = 77


def missing():
    """Why these tests cannot run here; None when they can."""
    if os.geteuid() != 0:
        return "not root"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        return "no namespaces: " + os.strerror(ctypes.get_errno())
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return "mounts cannot be made private: " + os.strerror(ctypes.get_errno())
    for tool in ("ip", "bpftool"):
        if subprocess.run(["which", tool], capture_output=True).returncode != 0:
            return f"{tool} is not installed"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    import bpf
    try:
        bpf.probe()
    except OSError as error:
        return f"no BPF: {error}"
    return None


def main():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    reason = missing()
    if reason:
        print(f"SKIPPED: {reason}")
        return 1 if os.environ.get("MAPSHIFT_REQUIRE_KERNEL") == "1" else SKIPPED
    # What a test leaves in the kernel is told by its name: two runs at a time on a machine would find each other's.
    lock = open("/run/mapshift-system.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    program = unittest.main(module=sys.argv[1], argv=["system", "-v", *sys.argv[2:]], exit=False)
    return 0 if program.result.wasSuccessful() and program.result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
