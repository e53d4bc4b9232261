"""Resolve every dependency to exact versions: constraints.txt (with hashes, for pip) and uv.toml (for ``uv run``).

Run it from the repository's root after a change of dependencies: ``python scripts/pin_versions.py``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = "# Exact versions with hashes, made by scripts/pin_versions.py. Use: pip install --require-hashes -r constraints.txt\n"
UV_HEAD = "# Exact versions for `uv run`, made by scripts/pin_versions.py from constraints.txt.\n"


def pins(constraints: str) -> list[str]:
    """The ``name==version ; marker`` part of every pinned line."""
    return [line.removesuffix("\\").strip() for line in constraints.splitlines() if re.match(r"[A-Za-z0-9]", line)]


def uv_toml(constraints: str) -> str:
    """``uv.toml`` with the pins as constraints."""
    lines = "".join(f'    "{pin}",\n' for pin in pins(constraints))
    return f"{UV_HEAD}constraint-dependencies = [\n{lines}]\n"


def main() -> None:
    """Resolve for all Pythons and platforms, and write both files."""
    (ROOT / "uv.toml").unlink(missing_ok=True)  # the old pins must not decide the new ones
    command = ["uv", "pip", "compile", "pyproject.toml", "--all-extras", "--group", "dev", "--universal"]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
    resolved = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (ROOT / "constraints.txt").write_text(HEAD + resolved, encoding="utf-8")
    (ROOT / "uv.toml").write_text(uv_toml(resolved), encoding="utf-8")


if __name__ == "__main__":
    main()
