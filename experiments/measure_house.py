"""Measure the size of the rooms: files, lines and the longest file of each folder of the packages.

    python -m experiments.measure_house [ROOT]

Prints a Markdown table; docs/architecture.md compares two of them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("f2v_bench", "reference_model", "baselines", "experiments", "scripts", "benchmarks", "tests")
#: rooms whose folders are counted on their own
NESTED = ("f2v_bench/nn", "f2v_bench/training", "f2v_bench/datasets", "f2v_bench/metrics", "baselines")


@dataclass(frozen=True, slots=True)
class Room:
    """Size of one folder.

    Attributes:
        name: path of the folder.
        files: number of Python files, without empty ones.
        lines: number of their lines.
        longest: path of the longest file.
        longest_lines: number of its lines.
    """

    name: str
    files: int
    lines: int
    longest: str
    longest_lines: int


def room_of(path: Path) -> str:
    """Return the room of a file: ``f2v_bench/face`` of ``f2v_bench/face/crops.py``, ``f2v_bench`` of its own files.

    Args:
        path: path of the file, relative to the root of the repository.
    """
    parts = path.parts[:-1]
    if parts[0] in ("tests", "experiments", "scripts", "benchmarks", "reference_model"):
        return parts[0]
    depth = 3 if "/".join(parts[:2]) in NESTED else 2
    if parts[0] in NESTED:
        depth = 2
    return "/".join(parts[:depth])


def measure(root: Path) -> list[Room]:
    """Return the rooms of a repository, by name.

    Args:
        root: root folder of the repository.
    """
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines:
                relative = path.relative_to(root)
                sizes[room_of(relative)][relative.as_posix()] = lines
    rooms = []
    for name, files in sorted(sizes.items()):
        longest = max(files, key=lambda file: (files[file], file))
        rooms.append(Room(name, len(files), sum(files.values()), longest, files[longest]))
    return rooms


def markdown(rooms: list[Room]) -> str:
    """Return the table in Markdown, with a row of totals."""
    lines = ["| room | files | lines | longest file | lines |", "|---|---:|---:|---|---:|"]
    lines += [
        f"| `{one.name}` | {one.files} | {one.lines:,} | `{Path(one.longest).name}` | {one.longest_lines} |"
        for one in rooms
    ]
    code = [one for one in rooms if one.name != "tests"]
    longest = max(code, key=lambda one: one.longest_lines)
    totals = f"{sum(one.files for one in code)} | {sum(one.lines for one in code):,}"
    lines.append(f"| all without tests | {totals} | `{longest.longest}` | {longest.longest_lines} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    print(markdown(measure(parser.parse_args().root)))  # noqa: T201


if __name__ == "__main__":
    main()
