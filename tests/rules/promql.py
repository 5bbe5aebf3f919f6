# SPDX-License-Identifier: Apache-2.0
"""Which series a PromQL expression names, with which labels. Not a parser: promtool tells whether the syntax is right."""

import re

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\[[^\]]*\]|[A-Za-z_:][\w:]*|\d[\w.]*|[{}(),]|[^\s\w]')
KEYWORDS = {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"}
LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}


def _skip_group(tokens, at, end):
    """Index behind the group that opens at `at`, and the names in it that a matcher's operator or a list's comma follows."""
    names = []
    while tokens[at] != end:
        at += 1
        if re.fullmatch(r"[A-Za-z_]\w*", tokens[at]):
            names.append(tokens[at])
    return at + 1, names


def selectors(expression):
    """[(series name, labels in its matchers)]"""
    tokens, found, at = TOKEN.findall(expression) + ["", ""], [], 0
    while tokens[at]:
        token, follows = tokens[at], tokens[at + 1]
        if token.lower() in LABEL_LISTS:
            at += 1
            if follows == "(":
                at, _ = _skip_group(tokens, at, ")")
        elif not re.fullmatch(r"[A-Za-z_:][\w:]*", token) or token.lower() in KEYWORDS:
            at += 1
        elif follows == "(" or follows.lower() in ("by", "without"):  # a function, or an aggregation
            at += 1
        elif follows == "{":
            at, labels = _skip_group(tokens, at + 1, "}")
            found.append((token, labels))
        else:
            found.append((token, []))
            at += 1
    return found


def label_lists(expression):
    """The labels that by, on and their kin name."""
    without_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    lists = re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", without_strings)
    return {name.strip() for names in lists for name in names.split(",") if name.strip()}


def problems(expression, known):
    """`known`: series name -> labels."""
    found = []
    for name, labels in selectors(expression):
        if name not in known:
            found.append(f"there is no metric {name}")
            continue
        found += [f"{name} has no label {label}" for label in labels if label not in known[name]]
    every_label = set().union(*(known[name] for name, _ in selectors(expression) if name in known))
    found += [f"no metric here has the label {label}" for label in sorted(label_lists(expression) - every_label)]
    return found
