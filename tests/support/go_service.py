# SPDX-License-Identifier: Apache-2.0
"""The Go service of tests/go/service under load, for tests that need a Go process that does something."""

import contextlib
import json
import subprocess


def service_path(build):
    return build / "go" / "bin" / "go-service"


@contextlib.contextmanager
def go_program(program, *arguments):
    """Ends when its stdin does, or by itself after two minutes."""
    process = subprocess.Popen([program, "-seconds", "120", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def busy_service(build, rate=300):
    """A Go service under a load, requests a second, that leaves most of the machine to the others. Gives its pid."""
    with go_program(service_path(build)) as service:
        address = json.loads(service.stdout.readline())["address"]
        with go_program(build / "go" / "bin" / "go-load", "-address", address, "-rate", str(rate), "-connections", "4"):
            yield service.pid
