"""Training clips on disk: crops, mel, F0, energy, phonemes and voice of each, made once, several at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.face.cache import CropCache
from f2v_bench.training.data.features import SETTINGS, ClipFeatures, extract_features
from f2v_bench.utils.multiprocessing import set_up_image_worker, unordered_map
from f2v_bench.utils.paths import atomic_path, cache_folder

Progress = Callable[[int, int], None]
_Stream = Iterator[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The clips of a split that can be trained on.

    Attributes:
        clips: those that are ready.
        files: of each.
        failures: clip id to the reason why it is not among them.
    """

    clips: tuple[Clip, ...]
    files: tuple[Path, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.clips)

    def load(self, index: int) -> ClipFeatures:
        """Read one clip."""
        with np.load(self.files[index], allow_pickle=False) as entry:
            return ClipFeatures(**{name: entry[name] for name in entry.files})

    def first(self, count: int) -> Prepared:
        """The clips of a smaller set: every n-th, so that all speakers are among them."""
        chosen = sorted({round(at) for at in np.linspace(0, len(self) - 1, min(count, len(self)))})
        return Prepared(tuple(self.clips[at] for at in chosen), tuple(self.files[at] for at in chosen), self.failures)


def prepare(clips: Sequence[Clip], workers: int, progress: Progress | None = None) -> Prepared:
    """Make what is not made yet.

    Args:
        clips: of one split.
        workers: processes.
        progress: called with (done, all) at the start and after every clip.

    Returns:
        The clips that are ready; a clip without a usable face or speech is left out and named.

    Raises:
        F2VError: not a single clip is left, a weight file is missing, or the cache cannot be written.
    """
    store = CropCache()
    files = [_entry(clip, store) for clip in clips]
    todo = [at for at, file in enumerate(files) if not file.is_file()]
    done, failures = len(clips) - len(todo), {}
    report = progress or (lambda _done, _all: None)
    report(done, len(clips))
    jobs = [(clips[at], files[at]) for at in todo]
    for place, failure in unordered_map(_make, jobs, workers, _start_worker):
        at, done = todo[place], done + 1
        report(done, len(clips))
        if failure:
            failures[clips[at].id] = failure
    ready = [at for at, clip in enumerate(clips) if clip.id not in failures]
    if not ready:
        first = next(iter(failures.items()), ("", "there are no clips"))
        raise F2VError(f"none of {len(clips)} clips can be trained on; {first[0]} {first[1]}", "look at the videos")
    return Prepared(tuple(clips[at] for at in ready), tuple(files[at] for at in ready), failures)


def _entry(clip: Clip, store: CropCache) -> Path:
    if not clip.video.is_file() or clip.audio is None or not clip.audio.is_file():
        return Path(clip.video.parent / f"{clip.video.name}.missing")  # which making it will say in full
    sources = [store.content(clip.video)] + ([store.content(clip.audio)] if clip.audio != clip.video else [])
    key = hashlib.sha256("|".join([*sources, clip.text or "", SETTINGS]).encode()).hexdigest()
    return cache_folder("training") / key[:2] / f"{key}.npz"


def _start_worker() -> None:
    import torch

    set_up_image_worker()
    torch.set_num_threads(1)


def _make(clip: Clip, file: Path) -> str:
    """Make one entry; returns why it cannot be made, or nothing."""
    try:
        targets = extract_features(clip)
    except ClipFailure as failure:
        return str(failure)
    try:
        with atomic_path(file) as part, part.open("wb") as opened:
            np.savez(opened, **targets.arrays())  # type: ignore[arg-type]
    except OSError as error:
        raise F2VError(
            f"the training cache '{file.parent.parent}' cannot be written: {error.strerror}",
            "free some space, or set F2V_CACHE to a folder that can be written",
        ) from error
    return ""
