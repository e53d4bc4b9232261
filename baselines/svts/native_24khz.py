"""Frame rates of SVTS as published: 20 video frames, 80 mel frames and 24,000 samples a second.

Four mel frames of 300 samples fit a video frame, as in the mels of public Parallel WaveGANs. The benchmark's videos run
at 25 fps: of every five frames the third is left out. A clip's last frame may reach beyond its video, by 40 ms at most;
real speech is mirrored there, and synthesized speech is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.media import clip_audio, pad_or_trim
from f2v_bench.modeling.batch import Example
from f2v_bench.signal.mel_24k import HOP, SAMPLE_RATE, log_mel
from f2v_bench.timing import FPS, MEL_FRAMES_PER_VIDEO_FRAME
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.prepare import Prepared
from f2v_bench.utils.multiprocessing import set_up_worker, unordered_map
from f2v_bench.utils.paths import atomic_path, cache_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_RATE_20 = 20  # video frames a second
SAMPLES_PER_FRAME_24K = SAMPLE_RATE // FPS  # samples of a 25 fps video frame, 960
_SETTINGS = "24k-1"  # version of the cache; raised whenever values below change


def frames_at_20_fps(frames: int) -> NDArray[np.int64]:
    """Return the indices of a clip's 25 fps frames that make its 20 fps frames, int64 ``(ceil(0.8 T),)``.

    Each is the frame on the screen in the middle of the longer frame's time, as ``media`` resamples.
    """
    ticks = np.arange(-(-frames * FRAME_RATE_20 // FPS))
    return np.minimum(((2 * ticks + 1) * FPS) // (2 * FRAME_RATE_20), frames - 1)


def mel_24k_of_clip(clip: Clip, frames: int) -> NDArray[np.float32]:
    """Return the mel of a clip's real speech, decimal logarithms, float32 ``(4 ceil(0.8 T), 80)``.

    Args:
        clip: clip with audio.
        frames: frames of its video at 25 fps, T.

    Raises:
        ClipFailure: as ``clip_audio``.
    """
    speech = clip_audio(clip, SAMPLE_RATE).validate(f"the speech of {clip.id}").samples
    samples = pad_or_trim(speech, 0, SAMPLES_PER_FRAME_24K * frames)
    beyond = MEL_FRAMES_PER_VIDEO_FRAME * HOP * len(frames_at_20_fps(frames)) - len(samples)
    return log_mel(np.pad(samples, (0, beyond), mode="reflect"), SAMPLE_RATE)


def example_24k(targets: ClipFeatures, mel: NDArray[np.float32]) -> Example:
    """Build a training example of this form: lips at 20 fps, their mel and the clip's own speaker embedding."""
    at = frames_at_20_fps(targets.frames)
    return Example(len(at), {"lips": targets.lips[at], "mel": mel}, {"speaker": targets.speaker})


class Mels24k:
    """Mels of a split's clips on disk, computed once by several processes.

    Args:
        clips: prepared clips.
        workers: number of processes.
        progress: called with (done, all) at the start and after every clip.

    Raises:
        F2VError: a clip can no longer be read, or the cache cannot be written.
    """

    def __init__(self, clips: Prepared, workers: int, progress: Callable[[int, int], None]) -> None:
        folder = cache_folder("mels") / _SETTINGS
        self.files = [folder / f"{file.stem}.npy" for file in clips.files]
        jobs = [
            (clip, source, file)
            for clip, source, file in zip(clips.clips, clips.files, self.files, strict=True)
            if not file.is_file()
        ]
        done = len(self.files) - len(jobs)
        progress(done, len(self.files))
        for count, _ in enumerate(unordered_map(_make, jobs, workers, set_up_worker), done + 1):
            progress(count, len(self.files))

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        mel: NDArray[np.float32] = np.load(self.files[index], allow_pickle=False)
        return mel


def _make(clip: Clip, source: Path, file: Path) -> None:
    with np.load(source, allow_pickle=False) as entry:
        frames = len(entry["lips"])
    try:
        mel = mel_24k_of_clip(clip, frames)
    except ClipFailure as failure:
        raise F2VError(f"clip '{clip.id}': {failure}", "restore the file") from failure
    try:
        with atomic_path(file) as part, part.open("wb") as opened:
            np.save(opened, mel)
    except OSError as error:
        raise F2VError(
            f"the cache of mels '{file.parent}' cannot be written: {error.strerror}",
            "free some space, or set F2V_CACHE to a folder that can be written",
        ) from error
