#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs each query of the dashboards against a Prometheus. One that fails, or has no data although it must, is a failure.

The file for --must-have-data has a line for each query that must not be empty: "UID / PANEL" or "UID / PANEL / REFID" as --list
prints them, or "expr / EXPRESSION" for one that is in no dashboard. # begins a comment."""

import argparse
import json
import math
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True

import boards  # noqa: E402

LIMIT = 64 << 20  # bytes of an answer
POINTS = 60


def ask(url, path, parameters, timeout):
    """The result of a query, or a text that says what is wrong."""
    address = f"{url.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(address, timeout=timeout) as answer:
            document = json.loads(answer.read(LIMIT))
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}: {error.read(2000).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        return f"no usable answer: {error}"
    data = document.get("data") if isinstance(document, dict) and document.get("status") == "success" else None
    result = data.get("result") if isinstance(data, dict) else None
    return result if isinstance(result, list) else f"not the result of a query: {str(document)[:500]}"


def has_data(result):
    """NaN everywhere is what a panel shows as nothing."""
    values = [point[1] for series in result for point in ([series["value"]] if "value" in series else series["values"])]
    return any(not math.isnan(float(value)) for value in values)


def run(url, query, seconds, timeout):
    now = time.time()
    if query.instant:
        return ask(url, "query", {"query": query.expr, "time": now}, timeout)
    step = max(1, seconds // POINTS)
    return ask(url, "query_range", {"query": query.expr, "start": now - seconds, "end": now, "step": step}, timeout)


def read_wanted(file, known):
    """The names of those that must have data, the extra expressions, and lines that fit no query."""
    names, extra, stale = set(), [], []
    for line in pathlib.Path(file).read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if line.startswith("expr / "):
            extra.append(boards.Query(line, line.removeprefix("expr / "), True))
        elif line:
            fitting = [name for name in known if name == line or name.startswith(line + " / ")]
            names.update(fitting)
            if not fitting:
                stale.append(line)
    return names | {query.name for query in extra}, extra, stale


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], epilog=__doc__.split("\n\n")[1])
    parser.add_argument("--prometheus", metavar="URL")
    parser.add_argument("--must-have-data", metavar="FILE")
    parser.add_argument("--dashboards", metavar="DIR", default=pathlib.Path(__file__).resolve().parents[2] / "dashboards")
    parser.add_argument("--rate-interval", default="15s", help="of $__rate_interval; default 15s, enough for scrapes every 3 s")
    parser.add_argument("--range", type=int, default=300, metavar="SECONDS", help="time shown, up to now; default 300")
    parser.add_argument("--timeout", type=float, default=10, metavar="SECONDS", help="for each query; default 10")
    parser.add_argument("--list", action="store_true", help="print the names of all queries, and run none")
    parser.add_argument("--show-empty", action="store_true", help="name the queries without data that need none")
    arguments = parser.parse_args()
    if not arguments.list and not arguments.prometheus:
        parser.error("--prometheus or --list is needed")
    return arguments


def main():
    arguments = parse()
    queries = [
        boards.Query(query.name, boards.fill(query.expr, arguments.rate_interval, f"{arguments.range}s"), query.instant)
        for board in boards.load(arguments.dashboards).values()
        for query in boards.queries(board)
    ]
    if arguments.list:
        print("\n".join(query.name for query in queries))
        return 0
    wanted, extra, problems = set(), [], []
    if arguments.must_have_data:
        wanted, extra, stale = read_wanted(arguments.must_have_data, [query.name for query in queries])
        problems = [f"UNKNOWN {line}: no such query" for line in stale]
    empty = []
    for query in queries + extra:
        result = run(arguments.prometheus, query, arguments.range, arguments.timeout)
        if isinstance(result, str):
            problems.append(f"ERROR {query.name}: {result}\n    {query.expr}")
        elif not has_data(result):
            empty.append(query.name)
            if query.name in wanted:
                problems.append(f"EMPTY {query.name}\n    {query.expr}")
    print("\n".join(problems + ([f"empty {name}" for name in empty if name not in wanted] if arguments.show_empty else [])))
    total = len(queries) + len(extra)
    print(f"{total} queries, {len(empty)} without data, {len(wanted)} must have data, {len(problems)} problems")
    return 1 if problems or not queries else 0


if __name__ == "__main__":
    sys.exit(main())
