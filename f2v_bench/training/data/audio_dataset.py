"""Audio segments for an audio autoencoder, from a folder or from the training clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import clip_audio, pad_or_trim, read_audio_segment, resample
from f2v_bench.metrics.mcep import import_quietly
from f2v_bench.modeling.batch import Example
from f2v_bench.nn.encoders.pretrained import speaker_encoder
from f2v_bench.signal.energy import energy_contour
from f2v_bench.signal.f0 import F0_MAX, F0_MIN
from f2v_bench.signal.mel import FLOOR, log_mel
from f2v_bench.timing import FPS, MEL_FRAMES_PER_VIDEO_FRAME, SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME
from f2v_bench.training.data.dataset import clip_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.training.data.audio_index import AudioIndex
    from f2v_bench.training.data.dataset import ClipDataset

    Arrays = dict[str, NDArray[np.float32]]

AUDIO_PREFIX = "audio_"  # prefix of the arrays of audio segments in batches of video clips
_SILENCE = 1e-4  # largest sample of a segment without speech
_MAX_TRIES = 100  # unreadable segments in a row before a folder is refused


class AudioDataset(ABC):
    """Audio segments by number.

    Args:
        rate: sample rate of the audio in Hz; None for a decoder that predicts mels and needs no audio.
        segment: video frames of a segment, the longest that an example has.
        contours: True to add F0 and energy.

    Attributes:
        groups: numbers of segments of groups that are visited one after the other.
    """

    groups: Sequence[int]

    def __init__(self, rate: int | None, segment: int, *, contours: bool = False) -> None:
        self.rate, self.segment, self.contours = rate, segment, contours

    @abstractmethod
    def load(self, index: int, rng: np.random.Generator) -> Example:
        """Load a segment: ``mel``, ``speaker``, ``audio`` and ``f0`` with a rate, ``f0`` and ``energy`` as contours."""

    @property
    @abstractmethod
    def hours(self) -> float:
        """Total duration of the audio."""

    def sample_padded(self, rng: np.random.Generator) -> Arrays:
        """Load a random segment, padded to ``segment`` frames; names start with ``AUDIO_PREFIX``."""
        example = self.load(int(rng.integers(sum(self.groups))), rng)
        missing = self.segment - example.frames
        fill_values = {"mel": np.log(FLOOR)}
        padded = {
            name: np.pad(
                one,
                [(0, missing * (len(one) // example.frames)), *[(0, 0)] * (one.ndim - 1)],
                constant_values=fill_values.get(name, 0),
            )
            for name, one in example.sequences.items()
        }
        arrays = {**padded, **example.whole, "frames": np.array(example.frames)}
        return {AUDIO_PREFIX + name: one for name, one in arrays.items()}


class ClipAudioDataset(AudioDataset):
    """Audio of the training clips.

    Args:
        clips: training clips.
        rate: sample rate, as for ``AudioDataset``.
        segment: video frames, as for ``AudioDataset``.
        contours: True to add F0 and energy.
    """

    def __init__(self, clips: ClipDataset, rate: int | None, segment: int, *, contours: bool = False) -> None:
        super().__init__(rate, segment, contours=contours)
        self.clips, self.groups = clips, [len(clips)]

    @property
    def hours(self) -> float:
        return self.clips.hours

    def load(self, index: int, rng: np.random.Generator) -> Example:
        features = self.clips[index]
        frames = min(self.segment, features.frames)
        first = int(rng.integers(features.frames - frames + 1))
        arrays = clip_audio_features(self.clips, index, self.rate, contours=self.contours)
        segment = {
            name: one[first * (len(one) // features.frames) :][: frames * (len(one) // features.frames)]
            for name, one in arrays.items()
        }
        return Example(frames, segment, {"speaker": features.speaker})


def clip_audio_features(clips: ClipDataset, index: int, rate: int | None, *, contours: bool = False) -> Arrays:
    """Return audio features of a clip: ``mel``, ``audio`` and ``f0`` with a rate, ``f0`` and ``energy`` as contours.

    Args:
        clips: training clips.
        index: index of the clip.
        rate: sample rate of the audio in Hz; None leaves it out.
        contours: True to add F0 and energy.

    Raises:
        ClipFailure: as ``clip_audio``, at another rate than 16 kHz.
    """
    features = clips[index]
    arrays = {"mel": features.mel}
    if contours:
        arrays |= {"f0": features.f0, "energy": features.energy}
    if rate is None:
        return arrays
    audio = clip_samples(features)
    if rate != SAMPLE_RATE:
        clip = clips.prepared.clips[index]
        audio = pad_or_trim(clip_audio(clip, rate).samples, 0, rate // FPS * features.frames)
    return arrays | {"audio": audio, "f0": features.f0}


class FolderAudioDataset(AudioDataset):
    """Audio files of a folder, decoded when they are needed.

    Choice: speaker embedding, mel and F0 of a segment are computed from the segment itself; F0 by DIO (WORLD), because
    pYIN, which prepares clips, takes about as long as the audio lasts.

    Args:
        index: index of the folder.
        rate: sample rate, as for ``AudioDataset``.
        segment: video frames, as for ``AudioDataset``.
        log: called once for each file that cannot be decoded; another segment takes its place.
        contours: True to add F0 and energy.
    """

    def __init__(
        self,
        index: AudioIndex,
        rate: int | None,
        segment: int,
        log: Callable[[str], None],
        *,
        contours: bool = False,
    ) -> None:
        super().__init__(rate, segment, contours=contours)
        self.index, self.log = index, log
        self.groups = index.info.segments
        self._logged: set[str] = set()

    @property
    def hours(self) -> float:
        return self.index.info.hours

    def load(self, index: int, rng: np.random.Generator) -> Example:
        """Load a segment; an unreadable or silent one is replaced by the next.

        Raises:
            F2VError: many segments in a row are unreadable or silent.
        """
        offset = rng.random()
        for step in range(_MAX_TRIES):
            try:
                return self._load((index + step) % len(self.index), offset)
            except ClipFailure as failure:
                if failure.kind is not FailureKind.SILENT and failure.detail not in self._logged:
                    self._logged.add(failure.detail)
                    self.log(f"left out of pre-training: {failure}")
        raise F2VError(
            f"{_MAX_TRIES} segments in a row of '{self.index.info.folder}' are unreadable or silent", "check its files"
        )

    def _load(self, index: int, offset: float) -> Example:
        source = self.index[index]
        duration = self.segment / FPS
        start = max(0.0, source.seconds - duration) * (source.position + offset) / source.parts
        rate = self.rate or SAMPLE_RATE
        audio = read_audio_segment(source.path, start, duration, rate).samples
        frames = min(self.segment, len(audio) * FPS // rate)
        if not frames:
            raise ClipFailure(FailureKind.TOO_SHORT, f"'{source.path}' has less than a video frame after {start:.2f} s")
        audio = audio[: rate // FPS * frames]
        samples = pad_or_trim(resample(audio, rate, SAMPLE_RATE), 0, SAMPLES_PER_VIDEO_FRAME * frames)
        if np.abs(samples).max() < _SILENCE:
            raise ClipFailure(FailureKind.SILENT, f"'{source.path}' is silent at {start:.2f} s")
        sequences = {"mel": log_mel(samples, SAMPLE_RATE)}
        if self.rate is not None or self.contours:
            sequences["f0"] = dio_f0(samples)
        if self.contours:
            sequences["energy"] = energy_contour(samples, SAMPLE_RATE)
        if self.rate is not None:
            sequences["audio"] = audio
        return Example(frames, sequences, {"speaker": speaker_encoder().embed([samples])[0]})


def dio_f0(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimate F0 with DIO and StoneMask.

    Args:
        samples: audio, float32 ``(n,)`` at 16 kHz.

    Returns:
        F0 in Hz, 0 where unvoiced, float32 ``(n // 160,)``.
    """
    world = import_quietly("pyworld")
    wave = samples.astype(np.float64)
    coarse, times = world.dio(wave, SAMPLE_RATE, f0_floor=F0_MIN, f0_ceil=F0_MAX, frame_period=10.0)
    f0 = world.stonemask(wave, coarse, times, SAMPLE_RATE)
    return np.asarray(f0[: MEL_FRAMES_PER_VIDEO_FRAME * (len(samples) // SAMPLES_PER_VIDEO_FRAME)], np.float32)
