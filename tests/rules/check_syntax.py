#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets promtool parse each query of the dashboards, as a rule. Usage: check_syntax.py ROOT PROMTOOL"""

import json
import pathlib
import subprocess
import sys
import tempfile

import boards


def main():
    root, promtool = pathlib.Path(sys.argv[1]), sys.argv[2]
    rules, names = [], []
    for board in boards.load(root / "dashboards").values():
        for query in boards.queries(board):
            names.append(query.name)
            rules.append({"record": f"query:{len(names)}", "expr": boards.fill(query.expr)})
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "rules.yml"
        file.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))  # JSON is YAML
        done = subprocess.run([promtool, "check", "rules", "--lint=none", file], capture_output=True, text=True, timeout=60)
    if done.returncode == 0:
        print(f"{len(names)} queries parse")
        return 0
    print(done.stdout + done.stderr)
    print("\n".join(f"query:{number} is {name}" for number, name in enumerate(names, 1)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
