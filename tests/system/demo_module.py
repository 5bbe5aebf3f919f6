#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hot-updates one of the example modules under full load, through its versions, forward and back, with a rollback before each, and
compares what the module counted with what was sent after each, to the last count. Started by ./dev demo MODULE. Exit status 0 only
if everything was right."""

import argparse
import os
import pathlib
import signal
import sys
import time


def say(text):
    print(text, flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    parser.add_argument("module", help="conntrack, flowagg, balancer, policy or tracer")
    parser.add_argument("--times", type=int, default=4, help="versions to go through; each is rolled back once before it stays")
    return parser.parse_args()


def report(example, seconds):
    events = sum(example.source.command("count"))
    windows = [1000 * (record.get("mixed_window_seconds") or 0) for record in example.updates]
    rows = [
        ("events, all numbered", f"{events:,} in {seconds:.1f} s"),
        ("updates, rolled back ones included", str(len(example.updates))),
        ("interruption (no version ran), longest", f"{1000 * max(r.get('interruption_seconds') or 0 for r in example.updates):.3f} ms"),
        ("mixed window (both versions ran), longest", f"{max(windows):.3f} ms"),
        *example.rows(),
    ]
    width = max(len(name) for name, _ in rows)
    say("")
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")
    say("")


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    options = parse()
    os.environ["MAPSHIFT_BUILD"] = str(pathlib.Path(options.build).resolve())
    signal.signal(signal.SIGTERM, interrupt)
    import run_system
    reason = run_system.missing()  # afterwards this process has namespaces of its own: all that is made in them ends with it
    if reason:
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    from example_table import EXAMPLES
    from examples import ExampleError, Lab
    if options.module not in EXAMPLES:
        print(f"demo: no module {options.module}; there are {', '.join(sorted(EXAMPLES))}, and without a name the main demo", file=sys.stderr)
        return 2
    try:
        with Lab() as lab:
            example = EXAMPLES[options.module](lab, say)
            began = time.monotonic()
            example.start()
            problems = example.chain(options.times) + example.finale()
            report(example, time.monotonic() - began)
            for problem in problems:
                say(f"WRONG: {problem}")
            say("RESULT: " + ("wrong, see above" if problems else "right: nothing lost, nothing counted twice"))
            return 1 if problems else 0
    except (ExampleError, AssertionError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
