"""Preparation of training clips: features of each clip, extracted once in parallel and cached on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """Prepared clips of a split.

    Attributes:
        clips: clips with features.
        files: feature file of each.
        failures: reasons by clip id, for clips without features.
    """

    clips: tuple[Clip, ...]
    files: tuple[Path, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.clips)

    def load(self, index: int) -> ClipFeatures:
        """Load the features of a clip."""
        with np.load(self.files[index], allow_pickle=False) as content:
            return ClipFeatures(**{name: content[name] for name in content.files})

    def first(self, count: int) -> Prepared:
        """Return a subset of ``count`` clips at equal distances, so that all speakers are among them."""
        subset = sorted({round(at) for at in np.linspace(0, len(self) - 1, min(count, len(self)))})
        return Prepared(tuple(self.clips[at] for at in subset), tuple(self.files[at] for at in subset), self.failures)


def prepare(clips: Sequence[Clip], workers: int, progress: Progress | None = None) -> Prepared:
    """Extract the features that are missing in the cache.

    Args:
        clips: clips of one split.
        workers: number of processes.
        progress: called with (done, total) at the start and after every clip.

    Returns:
        The prepared clips; a clip without a usable face or speech is among the failures.

    Raises:
        F2VError: no clip is left, a weight file is missing, or the cache cannot be written.
    """
    store = CropCache()
    files = [_cache_file(clip, store) for clip in clips]
    missing = [index for index, file in enumerate(files) if not file.is_file()]
    done, failures = len(clips) - len(missing), {}
    report = progress or (lambda _done, _total: None)
    report(done, len(clips))
    jobs = [(clips[index], files[index]) for index in missing]
    for job, failure in unordered_map(_prepare_clip, jobs, workers, _start_worker):
        done += 1
        report(done, len(clips))
        if failure:
            failures[clips[missing[job]].id] = failure
    ready = [index for index, clip in enumerate(clips) if clip.id not in failures]
    if not ready:
        clip_id, why = next(iter(failures.items()), ("", "there are no clips"))
        raise F2VError(f"none of {len(clips)} clips can be trained on; {clip_id} {why}", "check the videos")
    return Prepared(tuple(clips[index] for index in ready), tuple(files[index] for index in ready), failures)


def _cache_file(clip: Clip, store: CropCache) -> Path:
    if not clip.video.is_file() or clip.audio is None or not clip.audio.is_file():
        return Path(clip.video.parent / f"{clip.video.name}.missing")  # extraction reports the missing file
    sources = [store.content_sha256(clip.video)] + (
        [store.content_sha256(clip.audio)] if clip.audio != clip.video else []
    )
    key = hashlib.sha256("|".join([*sources, clip.text or "", SETTINGS]).encode()).hexdigest()
    return cache_folder("training") / key[:2] / f"{key}.npz"


def _start_worker() -> None:
    import torch

    set_up_image_worker()
    torch.set_num_threads(1)


def _prepare_clip(clip: Clip, file: Path) -> str:
    """Write the features of a clip; return the reason of a failure, or an empty text."""
    try:
        features = extract_features(clip)
    except ClipFailure as failure:
        return str(failure)
    try:
        with atomic_path(file) as part, part.open("wb") as opened:
            np.savez(opened, **features.arrays())  # type: ignore[arg-type]
    except OSError as error:
        raise F2VError(
            f"the training cache '{file.parent.parent}' cannot be written: {error.strerror}",
            "free some space, or set F2V_CACHE to a folder that can be written",
        ) from error
    return ""
