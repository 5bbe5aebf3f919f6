#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each alert has a severity, texts, a runbook and tests, and names only metrics that exist. Usage: lint_alerts.py ROOT"""

import pathlib
import re
import sys

import yaml

import metrics
import promql

SEVERITIES = {"critical", "warning", "none"}
SECTIONS = ["## Meaning", "## Look at", "## Do"]
COMMANDS = set("load plan update rollback commit abort unload status history explain changes go check".split())
COMMAND = re.compile(r"(?:^ {4,}|`)mapshift ((?:--\w[\w-]*(?: json)? )*)(\w+)", re.M)
KINDS = ("fires", "quiet", "no data")
ALWAYS_FIRING = {"MapshiftWatchdog"}  # has no quiet state; what it does without data is fire


def rules_of(file):
    for group in yaml.safe_load(file.read_text())["groups"]:
        yield from group["rules"]


def lint_rule(rule, root, known):
    name = rule.get("alert") or rule["record"]
    yield from (f"{name}: {problem}" for problem in promql.problems(rule["expr"], known))
    if "alert" not in rule:
        return
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"{name}: its severity is none of {sorted(SEVERITIES)}"
    notes = rule.get("annotations", {})
    yield from (f"{name}: it has no {note}" for note in ("summary", "description", "runbook_url") if not notes.get(note))
    if not (root / notes.get("runbook_url", "?")).is_file():
        yield f"{name}: its runbook {notes.get('runbook_url')} does not exist"


def lint_runbook(path, alerts):
    text = path.read_text()
    if path.stem not in alerts:
        yield f"{path.name}: there is no such alert"
    if not text.startswith(f"# {path.stem}\n") or re.findall(r"^## .*", text, re.M) != SECTIONS:
        yield f"{path.name}: it must be headed by the alert's name and have the sections {SECTIONS}"
    commands = {match[2] for match in COMMAND.finditer(text)}
    yield from (f"{path.name}: there is no command mapshift {command}" for command in sorted(commands - COMMANDS))
    if not commands:
        yield f"{path.name}: it names no command to look with"
    links = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not (path.parent / target).exists()]
    yield from (f"{path.name}: its link to {target} leads nowhere" for target in links)


def tested(folder):
    """Alert -> the kinds of tests that it has, by the tests' names: "Alert, Alert: fires …"."""
    kinds = {}
    for file in folder.glob("*.test.yml"):
        for case in yaml.safe_load(file.read_text())["tests"]:
            alerts, _, what = case["name"].partition(": ")
            checks = case.get("alert_rule_test", [])
            for alert in alerts.split(", "):
                fires = [bool(check["exp_alerts"]) for check in checks if check["alertname"] == alert]
                kind = next((kind for kind in KINDS if what.startswith(kind)), None)
                if kind and fires and {"fires": any(fires), "quiet": not any(fires), "no data": True}[kind]:
                    kinds.setdefault(alert, set()).add(kind)
    return kinds


def main():
    root = pathlib.Path(sys.argv[1])
    files = [root / "alerts/mapshift.rules.yml", *sorted((root / "alerts/examples").glob("*.rules.yml"))]
    rules = [rule for file in files for rule in rules_of(file)]
    known = metrics.series()
    known.update({rule["record"]: metrics.TARGET_LABELS for rule in rules if "record" in rule})
    alerts = {rule["alert"] for rule in rules if "alert" in rule}
    problems = [problem for rule in rules for problem in lint_rule(rule, root, known)]
    runbooks = sorted((root / "alerts/runbooks").glob("*.md"))
    problems += [problem for path in runbooks for problem in lint_runbook(path, alerts)]
    has = tested(root / "tests/rules")
    for alert in sorted(alerts):
        wanted = {"fires"} if alert in ALWAYS_FIRING else set(KINDS)
        problems += [f"{alert}: no test with the name {alert}: {kind}" for kind in sorted(wanted - has.get(alert, set()))]
    print("\n".join(problems) or f"{len(rules)} rules, {len(alerts)} of them alerts, and {len(runbooks)} runbooks are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
