# SPDX-License-Identifier: Apache-2.0
"""Answers /metrics with every metric of the list of stable ones, as an agent in the middle of everything would."""

import http.server
import itertools
import threading
import time

VALUES = {
    "phase": ("planning", "loading", "syncing", "swapping", "baking", "rolling_back"),
    "result": ("committed", "rolled_back", "failed", "aborted", "stuck"),
    "op": ("added", "changed", "deleted", "conflict", "clamped"),
    "outcome": ("pass", "fail", "inconclusive", "error"),
    "trigger": ("objective", "alert"),
    "state": ("runnable", "waiting"),
    "code": ("200", "500"),
    "reason": ("lock", "net"),
    "kind": ("gc", "other"),
}
BUCKETS = ("0.000001", "0.001", "0.01", "1", "+Inf")


def _labels(names, extra=""):
    choices = [[f'{name}="{value}"' for value in VALUES.get(name, (f"a-{name}",))] for name in names]
    for chosen in itertools.product(*choices):
        text = ",".join([*chosen, *([extra] if extra else [])])
        yield "{" + text + "}" if text else ""


def _value(name, kind, age):
    if name.endswith("timestamp_seconds") or name == "process_start_time_seconds":
        return time.time() - age
    return 10 * age if kind == "counter" else 1


def exposition(table, age):
    """`age`: seconds since the start; counters grow with it."""
    for name, (kind, labels) in table.items():
        yield f"# TYPE {name} {kind}"
        if kind != "histogram":
            yield from (f"{name}{labels} {_value(name, kind, age)}" for labels in _labels(labels))
            continue
        for number, bound in enumerate(BUCKETS, 1):
            yield from (f"{name}_bucket{chosen} {int(age) * number}" for chosen in _labels(labels, f'le="{bound}"'))
        for suffix in ("sum", "count"):
            yield from (f"{name}_{suffix}{chosen} {int(age) * len(BUCKETS)}" for chosen in _labels(labels))


class Exporter:
    """Serves on a free port of loopback between enter and exit."""

    def __init__(self, table):
        began = time.time()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write("\n".join([*exposition(table, time.time() - began), ""]).encode())

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
