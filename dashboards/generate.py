#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the dashboards as JSON beside this file; with --check only says whether they are current."""

import argparse
import json
import pathlib
import sys

sys.dont_write_bytecode = True

from boards import agent, go, modules, updates  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
BOARDS = {"updates.json": updates, "modules.json": modules, "go.json": go, "agent.json": agent}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 when a file is not what this script would write"
    )
    arguments = parser.parse_args()
    texts = {HERE / name: json.dumps(module.board(), indent=2, ensure_ascii=False) + "\n" for name, module in BOARDS.items()}
    if not arguments.check:
        for path, text in texts.items():
            path.write_text(text)
        return 0
    problems = [f"{path.name} is not current" for path, text in texts.items() if not path.exists() or path.read_text() != text]
    problems += [f"{path.name} comes from nowhere" for path in HERE.glob("*.json") if path not in texts]
    print("\n".join(problems + ["run dashboards/generate.py"] if problems else ["all dashboards are current"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
