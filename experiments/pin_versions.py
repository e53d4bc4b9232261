"""Resolve every dependency to exact versions: constraints.txt (with hashes, for pip) and pyproject.toml (for uv run).

Run it from anywhere after a change of dependencies: ``python experiments/pin_versions.py``. Present pins are kept;
``--upgrade`` resolves all of them anew.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# Exact versions with hashes, by experiments/pin_versions.py. Use:
# pip install --no-deps --require-hashes -r constraints.txt
"""
BEGIN = "# pinned versions, by experiments/pin_versions.py: the same as in constraints.txt\n"
#: members of the workspace, installed from their folders
DATA_PACKAGES = ("f2v-bench-weights", "f2v-bench-weights-baselines")
_COMPILE = ["uv", "pip", "compile", "pyproject.toml", "--universal"]
_GROUPS = ["--all-extras", "--group", "dev", "--group", "docs"]
_FORMAT = ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]


def parse_pins(constraints: str) -> list[str]:
    """Return the ``name==version ; marker`` part of every pinned line."""
    return [line.removesuffix("\\").strip() for line in constraints.splitlines() if re.match(r"[A-Za-z0-9]", line)]


def replace_pins(project: str, constraints: str) -> str:
    """Return ``pyproject.toml`` with these pins, at its end, in place of earlier ones."""
    lines = "".join(f'    "{pin}",\n' for pin in parse_pins(constraints))
    return f"{project.partition(BEGIN)[0]}{BEGIN}constraint-dependencies = [\n{lines}]\n"


def resolve(upgrade: bool) -> str:
    """Return the pins with hashes for all Pythons and platforms.

    Args:
        upgrade: True to ignore present pins.
    """
    path = ROOT / "pyproject.toml"
    project = path.read_text(encoding="utf-8")
    omitted = [word for name in DATA_PACKAGES for word in ("--no-emit-package", name)]
    try:
        if upgrade:
            path.write_text(project.partition(BEGIN)[0], encoding="utf-8")
        command = [*_COMPILE, *_GROUPS, *_FORMAT, *omitted]
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        path.write_text(project, encoding="utf-8")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="resolve all versions anew")
    resolved = resolve(parser.parse_args().upgrade)
    path = ROOT / "pyproject.toml"
    (ROOT / "constraints.txt").write_text(HEAD + resolved, encoding="utf-8")
    path.write_text(replace_pins(path.read_text(encoding="utf-8"), resolved), encoding="utf-8")


if __name__ == "__main__":
    main()
