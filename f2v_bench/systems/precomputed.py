"""System that reads a folder of audio files: published test outputs, or those of an external system."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from f2v_bench.assets import file_sha256
from f2v_bench.clip import Clip, Waveform
from f2v_bench.datasets.lrs import PAIR
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import is_audio_name, read_audio
from f2v_bench.systems.base import SpeakerReference, System, SystemOptions, per_clip


class Precomputed(System):
    """Audio files under one folder, at any depth, matched to clips by their id."""

    name = "precomputed"
    summary = "audio files made elsewhere"
    speaker_reference = SpeakerReference.NONE
    stages = ("decode",)
    sample_rate = None

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.folder = options.argument_folder(self.name)
        self._file_of = match_files(self.folder, [clip.id for clip in options.clips])

    @property
    def provenance(self) -> str:
        return f"audio files of {self.folder}; their speaker reference is unknown to the suite"

    def file_of(self, clip: Clip) -> Path:
        """Return the audio file of a clip.

        Raises:
            ClipFailure: ``file_missing``.
        """
        if clip.id not in self._file_of:
            raise ClipFailure(FailureKind.FILE_MISSING, f"no audio file for clip '{clip.id}' under '{self.folder}'")
        return self._file_of[clip.id]

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        return per_clip(batch, lambda clip: read_audio(self.file_of(clip)))

    def fingerprint(self, clip: Clip, seed: int) -> str:
        path = self._file_of.get(clip.id)
        return f"{self.name}:{file_sha256(path) if path else 'missing'}"


def match_files(folder: Path, ids: Iterable[str]) -> dict[str, Path]:
    """Match clip ids to audio files.

    A file belongs to a clip if its path below the folder, without suffix, ends in the clip id, or if its name is the id
    with ``/`` replaced by ``_`` or ``-``. If no file matches, the id is tried without its first parts, as long as the
    rest is unique among the clips: ``<talk>/<utterance>`` of ``test/<talk>/<utterance>``, then ``<utterance>``. Last, a
    name ``<talk>_<reference>_<target>``, as in lists of pairs, belongs to the clip that ends in ``<talk>/<target>``.
    The first rule that applies to a clip decides.

    Raises:
        F2VError: no audio under the folder, no file that belongs to a clip, or two files that belong to one clip.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_audio_name(path))
    if not files:
        raise F2VError(f"there is no audio file under '{folder}'", "name the folder that holds the .wav or .flac files")
    stems = {path: PurePosixPath(path.relative_to(folder).with_suffix("").as_posix()) for path in files}
    by_tail: dict[str, list[Path]] = defaultdict(list)
    for path, stem in stems.items():
        for tail in _tails(str(stem)):
            by_tail[tail].append(path)
        pair = PAIR.fullmatch(stem.name)
        if pair:
            by_tail[_pair_key(f"{pair['talk']}/{pair['target']}")].append(path)
    wanted = list(ids)
    tail_counts = Counter(tail for clip_id in wanted for tail in _tails(clip_id))

    matched: dict[str, Path] = {}
    for clip_id in wanted:
        own = [tail for tail in _tails(clip_id) if tail == clip_id or tail_counts[tail] == 1]
        keys = [key for tail in own for key in (tail, tail.replace("/", "_"), tail.replace("/", "-"))]
        keys += [_pair_key(tail) for tail in own if tail.count("/") == 1]
        found = next((by_tail[key] for key in keys if key in by_tail), [])
        if len(found) > 1:
            raise F2VError(
                f"{len(found)} files under '{folder}' belong to clip '{clip_id}': '{found[0]}' and '{found[1]}'",
                "name the folder of one system",
            )
        if found:
            matched[clip_id] = found[0]
    if not matched:
        raise F2VError(
            f"none of the {len(files)} audio files under '{folder}' (the first is '{stems[files[0]]}') has the name of "
            f"one of the {len(wanted)} clips (the first is '{wanted[0] if wanted else ''}')",
            "name the files after the clip ids, in folders or with '/' written as '_'",
        )
    return matched


def _tails(name: str) -> list[str]:
    """Return a path and its rests without the first part, the first two parts, ..."""
    parts = name.split("/")
    return ["/".join(parts[depth:]) for depth in range(len(parts))]


def _pair_key(name: str) -> str:
    return f"pair:/{name}"  # cannot collide with a path
