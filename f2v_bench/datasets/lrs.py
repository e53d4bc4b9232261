"""LRS3-TED and LRS2-BBC, in the published layout and in those of common preprocessing scripts.

Sources: T. Afouras, J. S. Chung, A. Zisserman, "LRS3-TED", arXiv 1809.00496; T. Afouras et al., "Deep audio-visual
speech recognition", TPAMI 2018 (LRS2).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.lists import ListedDataset, list_name, read_list, select_listed
from f2v_bench.datasets.transcript import read_transcript
from f2v_bench.errors import F2VError, suggest

#: line of AlignDiT's list of pairs, and the name of its synthesized speech
PAIR = re.compile(r"(?P<talk>[^/\s]+)_(?P<reference>\d{5})_(?P<target>\d{5})")


@dataclass(frozen=True, slots=True)
class Tree:
    """Folders of a corpus layout with files ``<part>/<talk>/<utterance>``.

    Attributes:
        video, audio, text: root folders; the track of the video replaces missing audio.
        plain: True if text files have the words alone, without ``Text:``.
        mouths: True if the videos are mouth crops.
    """

    video: Path
    audio: Path
    text: Path
    plain: bool = False
    mouths: bool = False


def find_trees(root: Path, corpus: str) -> Iterator[Tree]:
    """Yield the possible layouts below a root: published, LipVoicer, lip2speech-unit, Auto-AVSR."""
    yield Tree(root, root, root)
    yield Tree(root / "videos", root / "audios", root / "videos")
    yield Tree(root / "video", root / "audio", root / "text", plain=True)
    for video in sorted(root.glob(f"{corpus}_video_seg*s")):
        text = root / video.name.replace("_video_", "_text_")
        yield Tree(video, video, text, plain=True, mouths=True)


class LRS(ListedDataset):
    """Base of both corpora: a tree of parts, talks and utterances; each talk is one speaker."""

    #: folders at the root
    parts: ClassVar[tuple[str, ...]]
    #: values of ``--split``
    splits: ClassVar[tuple[str, ...]]

    def __init__(self, options: DatasetOptions) -> None:
        super().__init__(options)
        self.root = self.find_root(options)
        self.tree = self._find_tree()
        if options.list_file is None and self.split not in self.splits:
            raise F2VError(f"'{self.name}' has no split '{self.split}'", suggest(self.split, self.splits))
        if self.tree.mouths:
            self._remarks.append(f"the videos in '{self.tree.video}' are mouth crops: face detection fails on them")

    def _find_tree(self) -> Tree:
        if not self.root.is_dir():
            raise F2VError(f"the root of '{self.name}' is not a folder: '{self.root}'", self.root_help())
        for tree in find_trees(self.root, self.name):
            if any((tree.video / part).is_dir() for part in self.parts):
                return tree
        names = ", ".join(sorted(path.name for path in self.root.iterdir())[:8]) or "nothing"
        raise F2VError(
            f"'{self.root}' has none of the folders {', '.join(self.parts)} of '{self.name}'; it has {names}",
            self.root_help(),
        )

    @abstractmethod
    def _default_part(self) -> str:
        """Return the part of ids without one."""

    def _clip(self, part: str, talk: str, utterance: str) -> Clip:
        name = f"{part}/{talk}/{utterance}"
        video = self.tree.video / f"{name}.mp4"
        audios = (self.tree.audio / f"{name}{suffix}" for suffix in (".wav", ".flac"))
        return Clip(
            id=name,
            speaker=talk,
            video=video,
            audio=next((audio for audio in audios if audio.is_file()), video),
            text=read_transcript(self.tree.text / f"{name}.txt", plain=self.tree.plain),
            split=part if part in self.splits else self.split,
        )

    def _find(self, name: str) -> Clip | None:
        """Return the clip of ``talk/utterance`` or ``.../part/talk/utterance`` if its video exists, else None."""
        part, talk, utterance = ["", "", *name.split("/")][-3:]
        part = part or self._default_part()
        if part not in self.parts or not {talk, utterance}.isdisjoint({"", ".", ".."}):
            return None
        exists = (self.tree.video / part / talk / f"{utterance}.mp4").is_file()
        return self._clip(part, talk, utterance) if exists else None

    def _scan(self, part: str) -> Iterator[Clip]:
        folder = self.tree.video / part
        if not folder.is_dir():
            raise F2VError(f"'{self.root}' has no folder '{part}'", self.root_help())
        for video in folder.glob("*/*.mp4"):
            if not video.name.startswith("."):
                yield self._clip(part, video.parent.name, video.stem)

    @property
    def remarks(self) -> tuple[str, ...]:
        remarks = super().remarks
        return remarks if self.is_published else (*remarks, f"'{self.list_id}' is not a complete published list")

    def _list_name(self) -> str:
        splits = "+".join(sorted({clip.split for clip in self.clips()}))
        ids = [clip.id for clip in self.clips()]
        return list_name(f"{self.name}/{splits}", ids, own=self.options.list_file is None)


class LRS3(LRS):
    """LRS3-TED. Clip ids are ``<part>/<talk>/<utterance>``, as in the hashes of published lists."""

    name = "lrs3"
    summary = "LRS3-TED: sentences from TED talks, 25 fps face tracks of 224x224, 1,321 test clips"
    license = "CC BY-NC-ND 4.0, research only; distributed by its authors (VGG, Oxford, and MMAI, KAIST)"
    instructions = "Ask for LRS3-TED at https://mmai.io/datasets/lip_reading/ and unpack pretrain, trainval and test"
    parts = ("pretrain", "trainval", "test")
    splits = parts

    def _default_part(self) -> str:
        return self.split if self.split in self.parts else "test"

    @property
    def references(self) -> Mapping[str, Clip]:
        """Speaker reference clips of a list of pairs ``<talk>_<reference>_<target>``, by the id of the target."""
        return {
            f"test/{talk}/{target}": self._clip("test", talk, reference) for talk, reference, target in self._pairs()
        }

    def _pairs(self) -> list[tuple[str, str, str]]:
        lines = read_list(self.options.list_file) if self.options.list_file else []
        matches = [PAIR.fullmatch(line) for line in lines]
        # clip ids have a slash, pairs do not: a list has only pairs or only clips
        return [(m["talk"], m["reference"], m["target"]) for m in matches if m] if all(matches) else []

    def _read(self) -> Iterable[Clip]:
        if self.options.list_file is None:
            return self._scan(self.split)
        pairs = self._pairs()
        select_listed(self.options.list_file, (f"test/{talk}/{reference}" for talk, reference, _ in pairs), self._find)
        lines = [f"test/{talk}/{target}" for talk, _, target in pairs] or read_list(self.options.list_file)
        return select_listed(self.options.list_file, lines, self._find)

    def _list_name(self) -> str:
        pairs = ["_".join(pair) for pair in self._pairs()]
        return list_name("lrs3/cross", pairs, own=False) if pairs else super()._list_name()


class LRS2(LRS):
    """LRS2-BBC. Clip ids are ``<part>/<program>/<utterance>``; the splits of ``main`` are list files at the root."""

    name = "lrs2"
    summary = "LRS2-BBC: sentences from BBC television, 25 fps face tracks of 160x160, 1,243 test clips"
    license = "BBC research agreement, by name and institution; no redistribution"
    instructions = (
        "Sign the agreement at https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrs2.html, unpack mvlrs_v1 and put "
        "train.txt, val.txt, test.txt and pretrain.txt beside it"
    )
    parts = ("main", "pretrain")
    splits = ("train", "val", "test", "pretrain")

    def _find_tree(self) -> Tree:
        inner = self.root / "mvlrs_v1"
        self._homes = (self.root, inner) if inner.is_dir() else (self.root, self.root.parent)
        if any((inner / part).is_dir() for part in self.parts):
            return Tree(inner, inner, inner)
        return super()._find_tree()

    def _default_part(self) -> str:
        return "pretrain" if self.split == "pretrain" else "main"

    def _read(self) -> Iterable[Clip]:
        if self.options.list_file is not None:
            return select_listed(self.options.list_file, read_list(self.options.list_file), self._find)
        path = next((path for home in self._homes if (path := home / f"{self.split}.txt").is_file()), None)
        if path is None:
            raise F2VError(
                f"'{self.root}' has no list '{self.split}.txt'",
                f"add the file, which defines the split of the clips in 'main'. {self.root_help()}",
            )
        return self._own(path)

    def _own(self, path: Path) -> list[Clip]:
        """Return the clips of the corpus's own list; missing files are included and lower the coverage."""
        names = [line.split()[0].removesuffix(".mp4").split("/") for line in read_list(path)]
        odd = next(("/".join(name) for name in names if len(name) < 2 or ".." in name), None)
        if odd is not None:
            raise F2VError(
                f"invalid line in '{path}': '{odd}'", "lines are <program>/<utterance>, such as 553541/00001 NF"
            )
        clips = [self._clip(self._default_part(), *name[-2:]) for name in names]
        missing = [clip.id for clip in clips if not clip.video.is_file()]
        if len(missing) == len(clips):
            raise F2VError(f"none of the {len(clips)} clips of '{path}' exists under '{self.root}'", self.root_help())
        if missing:
            self._remarks.append(f"{len(missing)} of {len(clips)} clips of '{path}' are missing, first '{missing[0]}'")
        return clips
