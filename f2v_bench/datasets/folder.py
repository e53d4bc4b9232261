"""Dataset of any folder of videos, or of a CSV manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.lists import ListedDataset, list_name, read_list, select_listed
from f2v_bench.datasets.manifest import Entry, read_manifest, validate_id
from f2v_bench.datasets.transcript import read_transcript
from f2v_bench.errors import F2VError
from f2v_bench.media import is_audio_name

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mkv .mov .avi .webm .mpg .mpeg .wmv .flv .ts .mts .3gp .ogv".split()  # noqa: SIM905
)
_AUDIO_SUFFIXES = (".wav", ".flac")  # beside a video, in this order


def is_video_name(path: Path) -> bool:
    """Return True if the file has a video suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_hidden(path: Path, root: Path) -> bool:
    """Return True if a name below ``root`` starts with a dot, such as ``._`` files of some archives."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def find_audio(video: Path) -> Path:
    """Return the WAV or FLAC of the same name beside a video, or the video itself for its own track."""
    return next((audio for suffix in _AUDIO_SUFFIXES if (audio := video.with_suffix(suffix)).is_file()), video)


class Folder(ListedDataset):
    """Clips of the user.

    A directory is searched recursively: the id of a clip is its path without suffix, the speaker its folder. In a
    directory with audio but no video, the audio files are the clips, with the same file as ``video`` and ``audio``: a
    reference corpus for scoring, never an input of video systems.
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
            entries = manifest.select_split(self.split) if listed is None else manifest.entries
            clips = [self._clip_from_entry(entry) for entry in entries]
        if listed is None:
            return clips
        return select_listed(listed, read_list(listed), {clip.id: clip for clip in clips}.get)

    def _clip_from_entry(self, entry: Entry) -> Clip:
        return Clip(
            id=entry.id,
            speaker=entry.speaker or entry.video.parent.name,
            video=entry.video,
            audio=entry.audio or find_audio(entry.video),
            text=entry.text or read_transcript(entry.video.with_suffix(".txt"), plain=True),
            split=entry.split or self.split,
            duration_s=entry.duration_s,
        )

    def _scan(self) -> Iterator[Clip]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        visible = [path for path in files if not is_hidden(path, self.root)]
        media = [path for path in visible if is_video_name(path)] or [path for path in visible if is_audio_name(path)]
        if not media:
            raise F2VError(f"no video among the {len(files)} files of '{self.root}'", self.root_help())
        used = {path.with_suffix(suffix) for path in media for suffix in (".txt", *_AUDIO_SUFFIXES)} | set(media)
        ignored = sum(path not in used for path in files)
        if ignored:
            self._remarks.append(
                f"{ignored} of {len(files)} files under '{self.root}' are ignored: hidden, or not part of a clip"
            )
        for path in media:
            yield Clip(
                id=validate_id(path.relative_to(self.root).with_suffix("").as_posix(), f"{path.name!a}"),
                speaker=path.absolute().parent.name,
                video=path,
                audio=find_audio(path) if is_video_name(path) else path,
                text=read_transcript(path.with_suffix(".txt"), plain=True),
                split=self.split,
            )

    def _list_name(self) -> str:
        return list_name(f"folder/{self.split}", [clip.id for clip in self.clips()], own=False)
