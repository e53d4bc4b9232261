"""Systems of one or several run folders, restricted to one list of clips so that they can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from f2v_bench.errors import F2VError, suggest
from f2v_bench.reporting.results import GROUND_TRUTH, ColumnInfo, column_info, group_scores
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ClipScores
from f2v_bench.scoring.records import OK


@dataclass(frozen=True)
class Entry:
    """One system of one run.

    Attributes:
        label: label in the run; ``run/label`` where two runs have the same label.
        own_label: label in the run.
        run: run folder.
        manifest: content of ``run.json``.
        provenance: weights and training data, or origin of the audio.
        speaker_reference: source of the speaker embedding.
        is_ground_truth: True for the real speech.
        columns: columns by name.
        scores: clip scores by column name.
        compared_with: column name to clip id to the hashes of the transcript and reference that were compared with.
        speakers: speaker by clip id.
    """

    label: str
    own_label: str
    run: Path
    manifest: Mapping[str, Any]
    provenance: str
    speaker_reference: str
    is_ground_truth: bool
    columns: Mapping[str, ColumnInfo]
    scores: Mapping[str, ClipScores]
    compared_with: Mapping[str, Mapping[str, str]]
    speakers: Mapping[str, str]


def read_entries(folders: Sequence[RunFolder]) -> list[Entry]:
    """Read every system of every run.

    Raises:
        F2VError: not a run folder, or an unfinished run.
    """
    entries = [entry for folder in folders for entry in _read_run(folder)]
    labels = Counter(entry.own_label for entry in entries)
    names = Counter(folder.path.resolve().name for folder in folders)
    return [
        entry
        if labels[entry.own_label] == 1
        else replace(entry, label=f"{_run_name(entry.run, names)}/{entry.own_label}")
        for entry in entries
    ]


def _run_name(run: Path, names: Counter[str]) -> str:
    name = run.resolve().name
    return name if names[name] == 1 else str(run)


def _read_run(folder: RunFolder) -> list[Entry]:
    manifest = folder.manifest()
    table, clips = folder.table("scores"), folder.table("clips")
    speakers = dict(zip(clips["id"], clips["speaker"].astype(str), strict=True))
    expected = int(manifest["dataset"]["clips"])
    scores = group_scores(table, expected)
    valid = table[table["status"] == OK]
    # a row's inputs are the hashes of audio, transcript and reference: all but the first must be equal in a pair
    references = valid["inputs"].str.partition(":")[2]
    compared_with: dict[tuple[str, str], dict[str, str]] = {}
    for system, column, clip, hashes in zip(valid["system"], valid["column"], valid["clip"], references, strict=True):
        compared_with.setdefault((system, column), {})[clip] = hashes
    columns = {info.name: info for m in manifest["metrics"] for info in (column_info(m, c) for c in m["columns"])}
    empty = ClipScores({}, expected)
    return [
        Entry(
            label=system["label"],
            own_label=system["label"],
            run=folder.path,
            manifest=manifest,
            provenance=system["provenance"],
            speaker_reference=system["speaker_reference"],
            is_ground_truth=system["name"] == GROUND_TRUTH,
            columns=columns,
            scores={name: scores.get((system["label"], name), empty) for name in columns},
            compared_with={name: compared_with.get((system["label"], name), {}) for name in columns},
            speakers=speakers,
        )
        for system in manifest["systems"]
    ]


def align_lists(entries: Sequence[Entry], *, intersection: bool) -> tuple[list[Entry], str]:
    """Restrict entries to one list of clips.

    Args:
        entries: entries of one or several runs.
        intersection: True to use the clips that all lists have in common where the lists differ.

    Returns:
        The entries, and a description of the list.

    Raises:
        F2VError: the lists differ without ``intersection``, or have no clip in common.
    """
    lists = {entry.manifest["dataset"]["sha256"]: entry for entry in entries}
    names = [_list_name(entry) for entry in lists.values()]
    if len(lists) == 1:
        return list(entries), names[0]
    described = "; ".join(f"{entry.run}: {name}" for entry, name in zip(lists.values(), names, strict=True))
    if not intersection:
        raise F2VError(
            f"the runs are not comparable, their clip lists differ: {described}",
            "run them on the same list, or compare them on the clips that all of them list: --intersection",
        )
    corpora = {entry.manifest["dataset"]["name"] for entry in entries}
    common = set.intersection(*(set(entry.speakers) for entry in entries))
    if len(corpora) > 1 or not common:
        why = f"of different corpora ({', '.join(sorted(corpora))})" if len(corpora) > 1 else "without a common clip"
        raise F2VError(f"the runs are {why}: {described}", "compare runs of one corpus")
    restricted = [
        replace(entry, scores={name: scores.select(common) for name, scores in entry.scores.items()})
        for entry in entries
    ]
    return restricted, f"{len(common)} clips that {' and '.join(names)} have in common"


def _list_name(entry: Entry) -> str:
    data = entry.manifest["dataset"]
    return f"{data['list_id']} ({data['clips']} clips, list {data['sha256'][:8]})"


def select_entries(
    entries: Sequence[Entry], systems: Sequence[str], baseline: str | None
) -> tuple[list[Entry], Entry | None]:
    """Return the entries to compare, and the baseline.

    Args:
        entries: all entries.
        systems: labels; none selects all, without the ground truth where two others remain.
        baseline: label of the baseline, or None.

    Raises:
        F2VError: unknown or ambiguous labels, or fewer than two systems.
    """
    for name in systems:
        if not _matching(entries, name):
            raise F2VError(f"no run has a system '{name}'", suggest(name, [entry.label for entry in entries]))
    base = _find_baseline(entries, baseline) if baseline else None
    if systems:
        selected = [entry for entry in entries if any(entry in _matching(entries, name) for name in systems)]
    else:
        others = [entry for entry in entries if not entry.is_ground_truth]
        selected = others if len(others) > 1 or (base and others) else list(entries)
    if base and base not in selected:
        selected = [base, *selected]
    if len(selected) < 2:
        raise F2VError(
            f"there is nothing to compare: only {', '.join(entry.label for entry in selected)} is left",
            f"name two of: {', '.join(entry.label for entry in entries)}",
        )
    return selected, base


def _matching(entries: Sequence[Entry], name: str) -> list[Entry]:
    return [entry for entry in entries if name in (entry.label, entry.own_label)]


def _find_baseline(entries: Sequence[Entry], name: str) -> Entry:
    found = [entry for entry in entries if entry.label == name] or _matching(entries, name)
    if not found:
        raise F2VError(
            f"no run has a system '{name}' for a baseline", suggest(name, [entry.label for entry in entries])
        )
    if len(found) > 1:
        raise F2VError(f"'{name}' is a system of several runs", f"use one of: {', '.join(e.label for e in found)}")
    return found[0]
