"""The systems of one or several run folders, brought to one list of clips so that they can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from f2v_bench.errors import F2VError, suggest
from f2v_bench.reporting.results import REFERENCE_SYSTEM, Heading, clip_scores, heading_of
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ClipScores
from f2v_bench.scoring.records import OK


@dataclass(frozen=True)
class Entry:
    """One system of one run.

    Attributes:
        label: as the run calls it; ``run/label`` where two runs have the same.
        own_label: as the run calls it.
        run: the folder.
        manifest: its ``run.json``.
        provenance: where the audio comes from.
        speaker_reference: whose voice the system is given.
        is_reference: whether it is the real speech.
        headings: by column name.
        scores: by column name.
        compared_with: by column name: clip id to the hashes of the transcript and reference it was scored against.
        speakers: clip id to speaker.
    """

    label: str
    own_label: str
    run: Path
    manifest: Mapping[str, Any]
    provenance: str
    speaker_reference: str
    is_reference: bool
    headings: Mapping[str, Heading]
    scores: Mapping[str, ClipScores]
    compared_with: Mapping[str, Mapping[str, str]]
    speakers: Mapping[str, str]


def read_contenders(folders: Sequence[RunFolder]) -> list[Entry]:
    """Every system of every run.

    Raises:
        F2VError: not a run folder, or a run that did not finish.
    """
    found = [contender for folder in folders for contender in _read(folder)]
    labels = Counter(contender.own_label for contender in found)
    names = Counter(folder.path.resolve().name for folder in folders)
    return [
        contender
        if labels[contender.own_label] == 1
        else replace(contender, label=f"{_run_name(contender.run, names)}/{contender.own_label}")
        for contender in found
    ]


def _run_name(run: Path, names: Counter[str]) -> str:
    name = run.resolve().name
    return name if names[name] == 1 else str(run)


def _read(folder: RunFolder) -> list[Entry]:
    manifest = folder.manifest()
    table, clips = folder.table("scores"), folder.table("clips")
    speakers = dict(zip(clips["id"], clips["speaker"].astype(str), strict=True))
    scores = clip_scores(table, int(manifest["dataset"]["clips"]))
    good = table[table["status"] == OK]
    # a row's inputs are the hashes of audio, transcript and reference: all but the first must be the same for a pair
    against = good["inputs"].str.partition(":")[2]
    compared_with: dict[tuple[str, str], dict[str, str]] = {}
    for system, column, clip, hashes in zip(good["system"], good["column"], good["clip"], against, strict=True):
        compared_with.setdefault((system, column), {})[clip] = hashes
    headings = {h.name: h for m in manifest["metrics"] for h in (heading_of(m, column) for column in m["columns"])}
    nothing = ClipScores({}, int(manifest["dataset"]["clips"]))
    return [
        Entry(
            label=system["label"],
            own_label=system["label"],
            run=folder.path,
            manifest=manifest,
            provenance=system["provenance"],
            speaker_reference=system["speaker_reference"],
            is_reference=system["name"] == REFERENCE_SYSTEM,
            headings=headings,
            scores={name: scores.get((system["label"], name), nothing) for name in headings},
            compared_with={name: compared_with.get((system["label"], name), {}) for name in headings},
            speakers=speakers,
        )
        for system in manifest["systems"]
    ]


def on_one_list(contenders: Sequence[Entry], *, intersection: bool) -> tuple[list[Entry], str]:
    """The contenders on one list of clips, and what the list is called.

    Raises:
        F2VError: their lists differ and ``intersection`` is not asked for, or nothing is common to them.
    """
    lists = {c.manifest["dataset"]["sha256"]: c for c in contenders}
    names = [_list_name(c) for c in lists.values()]
    if len(lists) == 1:
        return list(contenders), names[0]
    described = "; ".join(f"{c.run}: {name}" for c, name in zip(lists.values(), names, strict=True))
    if not intersection:
        raise F2VError(
            f"the runs are not comparable, their clip lists differ: {described}",
            "run them on the same list, or ask for the clips that all of them list: --intersection",
        )
    corpora = {c.manifest["dataset"]["name"] for c in contenders}
    common = set.intersection(*(set(c.speakers) for c in contenders))
    if len(corpora) > 1 or not common:
        why = f"of different corpora ({', '.join(sorted(corpora))})" if len(corpora) > 1 else "without a common clip"
        raise F2VError(f"the runs are {why}: {described}", "compare runs of one corpus")
    limited = [replace(c, scores={name: scores.only(common) for name, scores in c.scores.items()}) for c in contenders]
    return limited, f"{len(common)} clips that {' and '.join(names)} have in common"


def _list_name(contender: Entry) -> str:
    data = contender.manifest["dataset"]
    return f"{data['list_id']} ({data['clips']} clips, list {data['sha256'][:8]})"


def choose(
    contenders: Sequence[Entry], systems: Sequence[str], baseline: str | None
) -> tuple[list[Entry], Entry | None]:
    """Who takes part, and whom all others are compared with.

    Raises:
        F2VError: unknown or ambiguous names, or fewer than two systems.
    """
    for name in systems:
        if not _matching(contenders, name):
            raise F2VError(f"no run has a system '{name}'", suggest(name, [c.label for c in contenders]))
    reference = _one(contenders, baseline) if baseline else None
    if systems:
        chosen = [c for c in contenders if any(c in _matching(contenders, name) for name in systems)]
    else:
        others = [c for c in contenders if not c.is_reference]
        chosen = others if len(others) > 1 or (reference and others) else list(contenders)
    if reference and reference not in chosen:
        chosen = [reference, *chosen]
    if len(chosen) < 2:
        raise F2VError(
            f"there is nothing to compare: only {', '.join(c.label for c in chosen)} is left",
            f"name two of: {', '.join(c.label for c in contenders)}",
        )
    return chosen, reference


def _matching(contenders: Sequence[Entry], name: str) -> list[Entry]:
    return [c for c in contenders if name in (c.label, c.own_label)]


def _one(contenders: Sequence[Entry], name: str) -> Entry:
    found = [c for c in contenders if c.label == name] or _matching(contenders, name)
    if not found:
        raise F2VError(f"no run has a system '{name}' for a baseline", suggest(name, [c.label for c in contenders]))
    if len(found) > 1:
        raise F2VError(
            f"'{name}' is a system of several runs", f"say which: {', '.join(contender.label for contender in found)}"
        )
    return found[0]
