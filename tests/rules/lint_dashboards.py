#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Grafana would take without a word, and people would trip over. Usage: lint_dashboards.py ROOT"""

import itertools
import pathlib
import re
import sys

import boards
import metrics
import promql

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANELS = {"row", "timeseries", "stat", "table", "heatmap", "state-timeline"}
UNITS = {"s", "bytes", "percentunit", "short", "none", "ops", "reqps"}
WINDOWS = {"$__rate_interval", "$__range", "1h"}  # 1h: the window that the SLIs are defined by
GRAFANA_VARIABLES = {"__rate_interval", "__range"}
COLUMNS = 24
# Metrics that Prometheus itself adds to a target.
SCRAPE = {name: metrics.TARGET_LABELS for name in ("scrape_duration_seconds", "scrape_samples_scraped")}
KNOWN = {**metrics.series(), **SCRAPE}
# A choice of agents would hide the one that is down.
NO_INSTANCE = {"up"}


def walk(node):
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def lint_board(board):
    if not re.fullmatch(r"mapshift-[a-z]+", board.get("uid") or ""):
        yield "its uid is not fixed as mapshift-NAME"
    for member in ("title", "description", "tags", "time", "timezone", "refresh"):
        if not board.get(member):
            yield f"it has no {member}"
    if board.get("id") is not None:
        yield "it carries the id of one Grafana's database"
    if board.get("schemaVersion", 0) < 36:
        yield "its schema is older than Grafana 9"
    exported = [member for member in ("__inputs", "__requires", "__elements") if member in board]
    yield from (f"it has {member}: file provisioning does not fill these in" for member in exported)
    for node in walk(board):
        if isinstance(node, dict) and "datasource" in node and node["datasource"] != DATASOURCE:
            yield f"the data source {node['datasource']} is hard-coded in {node.get('title') or node.get('name') or node}"


def lint_variables(board):
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource" or variables["datasource"].get("query") != "prometheus":
        yield "it has no variable called datasource of the type prometheus"
    yield from (f"the variable {name} has no label" for name, variable in variables.items() if not variable.get("label"))
    text = [query.expr for query in boards.queries(board)]
    used = {match[1] or match[2] for match in itertools.chain.from_iterable(boards.VARIABLE.finditer(expr) for expr in text)}
    yield from (f"${name} is not defined" for name in sorted(used - set(variables) - GRAFANA_VARIABLES))
    yield from (f"the variable {name} is never used" for name in sorted(set(variables) - used - {"datasource"}))
    for name, variable in variables.items():
        choice = (variable.get("refresh"), variable.get("includeAll"), variable.get("multi"))
        if variable["type"] == "query" and choice != (2, True, True):
            yield f"the variable {name} must offer All and several, and be refreshed with the time range"
        if variable.get("allValue"):
            yield f"the variable {name} sends {variable['allValue']} for All: process_* of other exporters would match"


def lint_grid(panels):
    taken = {}
    for panel in panels:
        box = panel.get("gridPos", {})
        fits = set(box) == {"x", "y", "w", "h"} and min(box["x"], box["y"]) >= 0 and min(box["w"], box["h"]) > 0
        if not fits or box["x"] + box["w"] > COLUMNS:
            yield f"{panel['title']}: its position {box} is not on the grid"
            continue
        cells = itertools.product(range(box["x"], box["x"] + box["w"]), range(box["y"], box["y"] + box["h"]))
        others = {taken.setdefault(cell, panel["title"]) for cell in cells} - {panel["title"]}
        yield from (f"{panel['title']} lies over {other}" for other in sorted(others))


def lint_target(panel, target):
    expr = target.get("expr", "")
    yield from promql.problems(re.sub(r"\$__\w+", "1m", expr), KNOWN)
    yield from (f"the window [{window}] is fixed" for window in re.findall(r"\[([^\]]*)\]", expr) if window not in WINDOWS)
    for name, matchers in re.findall(r"\b([a-z]\w*)\{([^}]*)\}", expr):
        if 'job=~"$job"' not in matchers or ('instance=~"$instance"' not in matchers and name not in NO_INSTANCE):
            yield f"{name} is not limited to the agents that were chosen"
    yield from (f"{name} has no matchers at all" for name, labels in promql.selectors(expr) if not labels)
    if panel["type"] in ("timeseries", "state-timeline") and not target.get("legendFormat"):
        yield "its series have no names"
    labels = set().union(*(KNOWN.get(name, set()) for name, _ in promql.selectors(expr)))
    legend = re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", ""))
    yield from (f"its legend names {label}, which the query does not have" for label in legend if label not in labels)


def lint_panel(panel):
    if panel["type"] not in PANELS:
        yield f"its type {panel['type']} is not known to be in Grafana 9"
    if panel["type"] == "row":
        return
    if not panel.get("description", "").endswith("."):
        yield "it has no description in whole sentences"
    if panel.get("fieldConfig", {}).get("defaults", {}).get("unit") not in UNITS:
        yield "it has no unit, or an unknown one"
    targets = panel.get("targets", [])
    if not targets or len({target["refId"] for target in targets}) != len(targets):
        yield "it has no queries, or two of the same refId"
    for target in targets:
        yield from (f"query {target['refId']}: {problem}" for problem in lint_target(panel, target))


def lint(board):
    yield from lint_board(board)
    yield from lint_variables(board)
    panels = board["panels"]
    for what in ("id", "title"):
        values = [panel.get(what) for panel in panels]
        wrong = [value for value in sorted(set(values), key=str) if not value or values.count(value) > 1]
        yield from (f"{what} {value!r} is missing or used twice" for value in wrong)
    yield from lint_grid(panels)
    for panel in panels:
        yield from (f"{panel['title']}: {problem}" for problem in lint_panel(panel))


def main():
    root = pathlib.Path(sys.argv[1])
    found = boards.load(root / "dashboards")
    problems = [f"{name}: {problem}" for name, board in found.items() for problem in lint(board)]
    names_h = root / "src/metrics/names.h"
    problems += metrics.check(names_h) if names_h.exists() else []
    uids = [board.get("uid") for board in found.values()]
    problems += [] if found else ["there is no dashboard"]
    problems += [] if len(set(uids)) == len(uids) else ["two dashboards have the same uid"]
    print("\n".join(problems) or f"{len(found)} dashboards are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
