"""Record and compare golden results: the hash of every waveform and the value of every score of finished runs.

python experiments/golden_run.py record tests/golden/demo.json default=runs/a all-models=runs/b
python experiments/golden_run.py compare tests/golden/demo.json default=runs/c all-models=runs/d

A refactoring must not move a number. Results are equal to the last bit only on the same processor with the same
versions, which the file names; elsewhere `compare` reports the largest difference.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from f2v_bench.scoring.records import canonical_column


def read_run(folder: Path) -> dict[str, Any]:
    """Return the results of a finished run.

    Args:
        folder: run folder.

    Returns:
        ``command``, ``versions``, ``processor``, ``clips`` (sorted ids), ``audio`` (system to one SHA-256 a clip) and
        ``scores`` (system to column to one value or failure kind a clip).
    """
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    audio = pd.read_parquet(folder / "audio.parquet").sort_values(["system", "clip"])
    scores = pd.read_parquet(folder / "scores.parquet").sort_values(["system", "column", "clip"])
    results: dict[str, dict[str, list[Any]]] = {}
    for (system, column), rows in scores.groupby(["system", "column"], sort=True):
        values = [
            float(value) if status == "ok" and not math.isnan(value) else str(status)
            for value, status in zip(rows["value"], rows["status"], strict=True)
        ]
        results.setdefault(str(system), {})[str(column)] = values
    return {
        "command": " ".join(str(word) for word in info["command"][:-2]),
        "versions": info.get("versions"),
        "processor": (info.get("hardware") or {}).get("processor"),
        "clips": sorted({str(clip) for clip in audio["clip"]}),
        "audio": {str(system): [str(one) for one in rows["sha256"]] for system, rows in audio.groupby("system")},
        "scores": results,
    }


def differences(golden: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """Return one line per waveform or column that is not equal to the golden one."""
    found: list[str] = []
    if golden["clips"] != run["clips"]:
        return ["other clips"]
    for kind in ("audio", "scores"):
        for system, expected in golden[kind].items():
            actual = run[kind].get(system)
            if actual is None:
                found.append(f"{kind} of {system}: missing")
            elif kind == "audio":
                count = sum(a != b for a, b in zip(expected, actual, strict=True))
                found += [f"audio of {system}: {count} of {len(expected)} waveforms differ"] if count else []
            else:
                found += [line for column in expected for line in _column(system, column, expected, actual)]
    return found


def _column(system: str, column: str, expected: dict[str, list[Any]], actual: dict[str, list[Any]]) -> list[str]:
    name = canonical_column(column)
    if name not in actual:
        return [f"scores of {system}, {name}: missing"]
    pairs = [pair for pair in zip(expected[column], actual[name], strict=True) if pair[0] != pair[1]]
    if not pairs:
        return []
    largest = max((abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float)), default=math.inf)
    return [f"scores of {system}, {column}: {len(pairs)} clips differ, by {largest:.3g} at most"]


def main(arguments: list[str]) -> int:
    """Run the command line; return 0 where all is equal, 1 where something differs, 2 on bad usage."""
    if len(arguments) < 3 or arguments[0] not in ("record", "compare"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    action, file = arguments[0], Path(arguments[1])
    runs = {name: read_run(Path(folder)) for name, _, folder in (text.partition("=") for text in arguments[2:])}
    if action == "record":
        file.write_text(json.dumps(runs, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
        return 0
    golden = json.loads(file.read_text(encoding="utf-8"))
    lines = [f"{name}: {line}" for name in runs for line in differences(golden[name], runs[name])]
    counts = {name: sum(map(len, run["audio"].values())) for name, run in runs.items()}
    sys.stdout.write("\n".join(lines or [f"equal: every score, and every waveform of {counts}"]) + "\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
