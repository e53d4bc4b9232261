"""Any folder of videos, or a CSV that lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.lists import ListedDataset, find_listed, list_name, read_list
from f2v_bench.datasets.manifest import Entry, checked_id, read_manifest
from f2v_bench.datasets.transcript import read_transcript
from f2v_bench.errors import F2VError
from f2v_bench.media import is_audio_name

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mkv .mov .avi .webm .mpg .mpeg .wmv .flv .ts .mts .3gp .ogv".split()  # noqa: SIM905
)
_SOUND_SUFFIXES = (".wav", ".flac")  # beside a video, in this order


def is_video_name(path: Path) -> bool:
    """Whether the file's name says that it is video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_hidden(path: Path, root: Path) -> bool:
    """Whether a name below ``root`` starts with a dot, as the ``._`` files that some archives hold."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def find_sound(video: Path) -> Path:
    """The WAV or FLAC of the same name beside a video, or the video itself for its own track."""
    return next((sound for suffix in _SOUND_SUFFIXES if (sound := video.with_suffix(suffix)).is_file()), video)


class Folder(ListedDataset):
    """The user's own clips.

    A directory is searched to its depths: a clip's id is its path without suffix, its speaker the folder it lies in.
    Where a directory holds no video but audio, its audio files are the clips, ``video`` and ``audio`` being the same
    file: such a corpus serves as reference in scoring, never as input of a system that looks.
    """

    name = "folder"
    summary = "your own videos: a directory, or a CSV manifest"
    license = "yours"
    instructions = "Give a directory of videos, or a CSV with the columns clip_id and path"

    def __init__(self, options: DatasetOptions) -> None:
        super().__init__(options)
        self.root = self.find_root(options)
        if not self.root.is_dir() and self.root.suffix.lower() != ".csv":
            raise F2VError(f"the root '{self.root}' is neither a directory nor a CSV", self.root_help())

    def _read(self) -> Iterable[Clip]:
        listed = self.options.list_file
        if self.root.is_dir():
            clips = list(self._scan())
        else:
            manifest = read_manifest(self.root)
            entries = manifest.of_split(self.split) if listed is None else manifest.entries
            clips = [self._of_entry(entry) for entry in entries]
        if listed is None:
            return clips
        return find_listed(listed, read_list(listed), {clip.id: clip for clip in clips}.get)

    def _of_entry(self, entry: Entry) -> Clip:
        return Clip(
            id=entry.id,
            speaker=entry.speaker or entry.video.parent.name,
            video=entry.video,
            audio=entry.audio or find_sound(entry.video),
            text=entry.text or read_transcript(entry.video.with_suffix(".txt"), plain=True),
            split=entry.split or self.split,
            duration_s=entry.duration_s,
        )

    def _scan(self) -> Iterator[Clip]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        shown = [path for path in files if not is_hidden(path, self.root)]
        media = [path for path in shown if is_video_name(path)] or [path for path in shown if is_audio_name(path)]
        if not media:
            raise F2VError(f"'{self.root}' holds {len(files)} files, none of them a video", self.root_help())
        # what stands beside a clip under its name belongs to it, the rest is nobody's
        owned = {path.with_suffix(suffix) for path in media for suffix in (".txt", *_SOUND_SUFFIXES)} | set(media)
        ignored = sum(path not in owned for path in files)
        if ignored:
            self._remarks.append(f"{ignored} of {len(files)} files under '{self.root}' are hidden or no clips: ignored")
        for path in media:
            yield Clip(
                id=checked_id(path.relative_to(self.root).with_suffix("").as_posix(), f"{path.name!a}"),
                speaker=path.absolute().parent.name,
                video=path,
                audio=find_sound(path) if is_video_name(path) else path,
                text=read_transcript(path.with_suffix(".txt"), plain=True),
                split=self.split,
            )

    def _list_name(self) -> str:
        return list_name(f"folder/{self.split}", [clip.id for clip in self.clips()], own=False)
