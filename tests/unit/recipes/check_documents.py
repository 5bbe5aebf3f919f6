# SPDX-License-Identifier: Apache-2.0
"""A guide that names files which are gone is worse than none: every path in the documents must exist."""

import pathlib
import re
import sys

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "bpf/LICENSES/README.md")
PATH = re.compile(r"`((?:src|bpf|tests|config|dashboards|alerts|\.ci)/[\w./-]*|CMakeLists\.txt)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
README_LINES = 150


def problems_of(root, name):
    document = root / name
    if not document.exists():
        return [f"{name} is missing"]
    text = document.read_text()
    found = [f"{name} names {path}, which does not exist" for path in PATH.findall(text) if not (root / path).exists()]
    found += [f"{name} links to {path}, which does not exist" for path in LINK.findall(text) if not (document.parent / path).exists()]
    if name == "README.md" and text.count("\n") > README_LINES:
        found.append(f"{name} is longer than {README_LINES} lines")
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    problems = [problem for name in DOCUMENTS for problem in problems_of(root, name)]
    print("\n".join(problems) or "all paths exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
