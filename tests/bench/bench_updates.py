# SPDX-License-Identifier: Apache-2.0
"""Each example module through its versions under full load, many times in a row, right to the last count after each."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SYSTEM = pathlib.Path(__file__).resolve().parent.parent / "system"
MODULES = ("balancer", "conntrack", "flowagg", "policy", "tracer")
TIMES = int(os.environ.get("MAPSHIFT_BENCH_UPDATES", "100"))


def bench(build):
    """Updates of the example modules under full load, forward and back, each rolled back once before it stays; ends a module at its first error."""
    print(f"{'module':<12}{'events':>14}{'committed':>11}{'rolled back':>13}{'longest mixed window':>22}{'longest interruption':>22}  result")
    out = {}
    for module in MODULES:
        out[module] = run(build, module)
        r = out[module]
        print(f"{module:<12}{r['events']:>14,}{r['committed']:>11}{r['rolled_back']:>13}{1000 * r['mixed_window_seconds']:>19.3f} ms"
              f"{1000 * r['interruption_seconds']:>19.3f} ms  {'WRONG: ' + r['problems'][0] if r['problems'] else 'exact'}", flush=True)
    return out


def run(build, module):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        done = subprocess.run([sys.executable, "-B", str(SYSTEM / "demo_module.py"), "--build", str(build), module, "--times", str(TIMES),
                               "--json", out.name], capture_output=True, text=True)
        text = pathlib.Path(out.name).read_text()
        if not text:
            sys.exit(f"{module}: {done.stderr.strip() or done.stdout[-300:]}")
        return json.loads(text)
