"""Resolve every dependency to exact versions: constraints.txt (with hashes, for pip) and pyproject.toml (for uv run).

Run it from anywhere after a change of dependencies: ``python experiments/pin_versions.py``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# Exact versions with hashes, by experiments/pin_versions.py. Use:
# pip install --no-deps --require-hashes -r constraints.txt
"""
BEGIN = "# pinned versions, by experiments/pin_versions.py: the same as in constraints.txt\n"


def pins(constraints: str) -> list[str]:
    """The ``name==version ; marker`` part of every pinned line."""
    return [line.removesuffix("\\").strip() for line in constraints.splitlines() if re.match(r"[A-Za-z0-9]", line)]


def pinned(project: str, constraints: str) -> str:
    """``pyproject.toml`` with these pins, at its end, in place of older ones."""
    lines = "".join(f'    "{pin}",\n' for pin in pins(constraints))
    return f"{project.partition(BEGIN)[0]}{BEGIN}constraint-dependencies = [\n{lines}]\n"


def main() -> None:
    """Resolve for all Pythons and platforms, and write both files."""
    path = ROOT / "pyproject.toml"
    project = path.read_text(encoding="utf-8")
    path.write_text(project.partition(BEGIN)[0], encoding="utf-8")  # the old pins must not decide the new ones
    command = ["uv", "pip", "compile", "pyproject.toml", "--all-extras", "--group", "dev", "--group", "docs"]
    command += ["--universal", "--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
    try:
        resolved = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    except subprocess.CalledProcessError:
        path.write_text(project, encoding="utf-8")
        raise
    (ROOT / "constraints.txt").write_text(HEAD + resolved, encoding="utf-8")
    path.write_text(pinned(project, resolved), encoding="utf-8")


if __name__ == "__main__":
    main()
