# SPDX-License-Identifier: Apache-2.0
"""The dashboards as files, and each query in them."""

import dataclasses
import json
import pathlib
import re

VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
LABEL_VALUES = re.compile(r"label_values\((.*),\s*(\w+)\)$", re.S)


@dataclasses.dataclass(frozen=True)
class Query:
    name: str  # "uid / panel / refId"
    expr: str
    instant: bool


def load(folder):
    """File name -> dashboard."""
    return {path.name: json.loads(path.read_text()) for path in sorted(pathlib.Path(folder).glob("*.json"))}


def _variable_query(definition):
    """What label_values() asks for, as an expression that can be run."""
    match = LABEL_VALUES.match(definition)
    if not match:
        raise ValueError(f"not a label_values() query: {definition}")
    return f"group by ({match[2]}) ({match[1]})"


def queries(board):
    """Those of panels, annotations and variables, with their variables still in them."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Query(f"{board['uid']} / {panel['title']} / {target['refId']}", target["expr"], bool(target.get("instant")))
    for note in board["annotations"]["list"]:
        yield Query(f"{board['uid']} / annotation / {note['name']}", note["expr"], False)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(f"{board['uid']} / variable / {variable['name']}", _variable_query(variable["query"]["query"]), True)


def fill(expr, rate_interval="1m", time_range="1h"):
    """As Grafana would with All chosen. A variable that only Grafana knows must not be left: that would be a KeyError."""
    known = {"__rate_interval": rate_interval, "__range": time_range}
    known.update({name: ".+" for name in ("job", "instance", "module", "map", "process")})
    return VARIABLE.sub(lambda match: known[match[1] or match[2]], expr)
