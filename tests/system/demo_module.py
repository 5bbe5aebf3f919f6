#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hot-updates one of the example modules under full load, through its versions, forward and back, with a rollback before each, and
compares what the module counted with what was sent after each, to the last count. Started by ./dev demo MODULE. Exit status 0 only
if everything was right."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time


def say(text):
    print(text, flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    parser.add_argument("module", help="conntrack, flowagg, balancer, policy or tracer")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go, for benchmarks")
    parser.add_argument("--times", type=int, default=4, help="versions to go through; each is rolled back once before it stays")
    return parser.parse_args()


def figures(example, seconds, problems):
    most = {name: max((record.get(name) or 0 for record in example.updates), default=0)
            for name in ("interruption_seconds", "mixed_window_seconds")}
    ended = [record["state"] for record in example.updates]
    return {"events": sum(example.source.command("count")), "seconds": seconds, "committed": ended.count("committed"),
            "rolled_back": ended.count("rolled_back"), "problems": problems, **most}


def report(example, result):
    rows = [
        ("events, all numbered", f"{result['events']:,} in {result['seconds']:.1f} s, pauses included"),
        ("updates", f"{result['committed']} committed, {result['rolled_back']} rolled back, each compared to the last count"),
        ("interruption (no version ran), longest", f"{1000 * result['interruption_seconds']:.3f} ms"),
        ("mixed window (both versions ran), longest", f"{1000 * result['mixed_window_seconds']:.3f} ms"),
        *example.rows(),
    ]
    width = max(len(name) for name, _ in rows)
    say("")
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")
    say("")


def play(options, example):
    """The whole story; its exit status."""
    began = time.monotonic()
    example.start()
    problems = example.chain(options.times)
    result = figures(example, time.monotonic() - began, problems)
    report(example, result)
    for problem in problems:
        say(f"WRONG: {problem}")
    say("RESULT: " + ("wrong, see above" if problems else "right: nothing lost, nothing counted twice"))
    if options.json:
        options.json.write_text(json.dumps(result))
    return 1 if problems else 0


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
            return play(options, EXAMPLES[options.module](lab, say))
    except (ExampleError, AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
