"""GRID audio-visual sentence corpus, in the published layout or from manifests.

Source: M. Cooke, J. Barker, S. Cunningham, X. Shao, JASA 120(5), 2006; https://zenodo.org/records/3625687.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.folder import is_hidden, is_video_name
from f2v_bench.datasets.grid_sentences import JSGF, decode_sentence
from f2v_bench.datasets.lists import ListedDataset, list_name, read_list, select_listed
from f2v_bench.datasets.manifest import Entry, Manifest, is_manifest, read_manifest
from f2v_bench.errors import F2VError, suggest

_SPEAKER = re.compile(r"s\d+")

#: shares of the sentences of every speaker in the published layout: all splits have all speakers
SEEN_SHARES = {"train": 0.90, "val": 0.05, "test": 0.05}
#: speakers of the unseen-speaker splits common in lip-to-speech papers (Vougioukas et al., Interspeech 2019; lists of
#: the VCA-GAN repository). The split of LipNet, with speakers 1, 2, 20 and 22 held out, differs.
UNSEEN_SPEAKERS = {
    "val-unseen": frozenset({"s9", "s20", "s23", "s27", "s29", "s30", "s34"}),
    "test-unseen": frozenset({"s2", "s4", "s11", "s13", "s15", "s18", "s19", "s25", "s31", "s33"}),
}
SPLITS = (*SEEN_SHARES, "train-unseen", *UNSEEN_SPEAKERS)


def seen_split(clip_id: str) -> str:
    """Return the speaker-dependent split of a clip, by a hash of its id: 90 % train, 5 % val, 5 % test."""
    fraction = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") / 2**64
    upper = 0.0
    for split, share in SEEN_SHARES.items():
        upper += share
        if fraction < upper:
            return split
    return "test"


def unseen_split(speaker: str) -> str:
    """Return the unseen-speaker split of a speaker."""
    return next((split for split, speakers in UNSEEN_SPEAKERS.items() if speaker in speakers), "train-unseen")


class Grid(ListedDataset):
    """GRID. Clip ids are ``<speaker>/<code>``, such as ``s1/bbaf2n``; the code encodes the sentence.

    The root is the published layout (``s1/*.mpg``, or ``s1/video/mpg_6000/*.mpg``), a folder with manifests, or one
    manifest. If a manifest of a folder has a split column, those without are ignored.
    """

    name = "grid"
    summary = "GRID: 33 speakers, 1,000 six-word sentences each, 3 s, 25 fps, 360x288 (speaker 21 has no video)"
    license = "CC BY 4.0, from Zenodo record 3625687"
    instructions = "Run 'f2v-bench data pull grid --speaker s1', or unpack s1.zip of https://zenodo.org/records/3625687"

    def __init__(self, options: DatasetOptions) -> None:
        super().__init__(options)
        self.root = self.find_root(options)
        if not self.root.is_dir() and self.root.suffix.lower() != ".csv":
            raise F2VError(f"the root of GRID '{self.root}' is neither a folder nor a CSV", self.root_help())

    @property
    def grammar(self) -> str:
        return JSGF

    def _read(self) -> Iterable[Clip]:
        manifests = self._manifests()
        listed = self.options.list_file
        if manifests:
            clips = self._clips_from_manifests(manifests)
        else:
            clips = [self._published(path) for path in self._videos()]
            if listed is None:
                clips = self._select_split(clips)
        if listed is None:
            return clips
        known = {clip.id: clip for clip in clips}
        return select_listed(listed, read_list(listed), lambda text: known.get(text) or known.get(_short(text)))

    def _manifests(self) -> list[Manifest]:
        if self.root.is_file():
            return [read_manifest(self.root)]
        found = [read_manifest(path) for path in sorted(self.root.glob("*.csv")) if is_manifest(path)]
        with_splits = [manifest for manifest in found if manifest.has_splits]
        if with_splits:
            ignored = [manifest.path.name for manifest in found if not manifest.has_splits]
            self._remarks += [
                f"'{name}' is ignored: it has no split column; pass it as root to use it" for name in ignored
            ]
        return with_splits or found

    def _clips_from_manifests(self, manifests: list[Manifest]) -> list[Clip]:
        if self.options.list_file is not None:
            return [self._clip_from_entry(entry) for manifest in manifests for entry in manifest.entries]
        known = {entry.split for manifest in manifests for entry in manifest.entries if entry.split}
        if known and self.split not in known:
            raise F2VError(f"no manifest of '{self.root}' has a split '{self.split}'", suggest(self.split, known))
        return [
            self._clip_from_entry(entry)
            for manifest in manifests
            for entry in manifest.entries
            if not manifest.has_splits or entry.split == self.split
        ]

    def _clip_from_entry(self, entry: Entry) -> Clip:
        speaker = entry.speaker or entry.video.parent.name
        code = entry.id.rpartition("/")[2]
        return Clip(
            id=entry.id if entry.id.startswith(f"{speaker}/") else f"{speaker}/{entry.id}",
            speaker=speaker,
            video=entry.video,
            audio=entry.audio or entry.video,
            text=entry.text or _text(code),
            split=entry.split or self.split,
            duration_s=entry.duration_s,
        )

    def _videos(self) -> Iterator[Path]:
        found = 0
        for folder in sorted(self.root.iterdir()):
            if folder.is_dir() and _SPEAKER.fullmatch(folder.name):
                for path in folder.rglob("*"):
                    if is_video_name(path) and not is_hidden(path, self.root):
                        found += 1
                        yield path
        if not found:
            names = ", ".join(sorted(path.name for path in self.root.iterdir())[:8]) or "nothing"
            raise F2VError(
                f"'{self.root}' has neither folders s1 to s34 with videos nor a manifest; it has {names}",
                self.root_help(),
            )

    def _published(self, path: Path) -> Clip:
        speaker = path.relative_to(self.root).parts[0]
        name = f"{speaker}/{path.stem}"
        split = unseen_split(speaker) if self.split.endswith("-unseen") else seen_split(name)
        return Clip(id=name, speaker=speaker, video=path, audio=path, text=_text(path.stem), split=split)

    def _select_split(self, clips: list[Clip]) -> list[Clip]:
        if self.split not in SPLITS:
            raise F2VError(f"GRID has no split '{self.split}'", suggest(self.split, SPLITS))
        chosen = [clip for clip in clips if clip.split == self.split]
        if not chosen:
            here = ", ".join(sorted({clip.speaker for clip in clips}))
            needs = ", ".join(sorted(UNSEEN_SPEAKERS.get(self.split, ()))) or "any speaker"
            raise F2VError(
                f"no clip of split '{self.split}' at '{self.root}': its speakers are {here}",
                f"the split needs speakers {needs}; fetch one with 'f2v-bench data pull grid --speaker SPEAKER'",
            )
        return chosen

    def _list_name(self) -> str:
        clips = self.clips()
        speakers = {clip.speaker for clip in clips}
        scope = f"grid/{speakers.pop()}/{self.split}" if len(speakers) == 1 else f"grid/{self.split}"
        return list_name(scope, [clip.id for clip in clips], own=False)


def _short(text: str) -> str:
    """Shorten the paths of published lists: ``s14/video/mpg_6000/srwt9p`` to ``s14/srwt9p``."""
    parts = text.split("/")
    speaker = next((part for part in reversed(parts) if _SPEAKER.fullmatch(part)), "")
    return f"{speaker}/{parts[-1]}"


def _text(code: str) -> str | None:
    try:
        return decode_sentence(code)
    except F2VError:
        return None  # reported in the remarks of the dataset
