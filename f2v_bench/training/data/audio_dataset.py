"""Pieces of sound that an audio autoencoder learns from: of a folder, or of the training clips themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import clip_audio, pad_or_trim, read_audio_piece, resample
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

AUDIO_PREFIX = "heard_"  # begins the names of what is heard beside the clips of a batch
_QUIET = 1e-4  # largest sample of a piece in which nobody speaks
_TRIES = 100  # pieces in a row that cannot be heard, before a folder is given up


class AudioDataset(ABC):
    """Pieces by number.

    Args:
        rate: of the samples, Hz; None where a decoder says mels and wants no samples.
        segment: video frames of a piece, the most that an item has.
        contours: whether F0 and energy are wanted.

    Attributes:
        groups: pieces of each group that is gone through before the next.
    """

    groups: Sequence[int]

    def __init__(self, rate: int | None, segment: int, *, contours: bool = False) -> None:
        self.rate, self.segment, self.contours = rate, segment, contours

    @abstractmethod
    def load(self, at: int, rng: np.random.Generator) -> Example:
        """A piece: ``mel``, ``speaker``, ``audio`` and ``f0`` for samples, ``f0`` and ``energy`` for contours."""

    @property
    @abstractmethod
    def hours(self) -> float:
        """Of sound in all."""

    def beside(self, rng: np.random.Generator) -> Arrays:
        """Any piece, in one shape for all, to stand beside a video clip: names begin with ``heard_``."""
        item = self.load(int(rng.integers(sum(self.groups))), rng)
        missing = self.segment - item.frames
        filling = {"mel": np.log(FLOOR)}
        long = {
            name: np.pad(
                one,
                [(0, missing * (len(one) // item.frames)), *[(0, 0)] * (one.ndim - 1)],
                constant_values=filling.get(name, 0),
            )
            for name, one in item.sequences.items()
        }
        return {
            AUDIO_PREFIX + name: one for name, one in {**long, **item.whole, "frames": np.array(item.frames)}.items()
        }


class ClipAudioDataset(AudioDataset):
    """The sound of training clips.

    Args:
        clips: with their targets.
        rate: as ``AudioDataset``.
        segment: as ``AudioDataset``.
        contours: as ``AudioDataset``.
    """

    def __init__(self, clips: ClipDataset, rate: int | None, segment: int, *, contours: bool = False) -> None:
        super().__init__(rate, segment, contours=contours)
        self.clips, self.groups = clips, [len(clips)]

    @property
    def hours(self) -> float:
        return self.clips.hours

    def load(self, at: int, rng: np.random.Generator) -> Example:
        targets = self.clips[at]
        frames = min(self.segment, targets.frames)
        first = int(rng.integers(targets.frames - frames + 1))
        found = clip_audio_features(self.clips, at, self.rate, contours=self.contours)
        cut = {
            name: one[first * (len(one) // targets.frames) :][: frames * (len(one) // targets.frames)]
            for name, one in found.items()
        }
        return Example(frames, cut, {"speaker": targets.speaker})


def clip_audio_features(clips: ClipDataset, at: int, rate: int | None, *, contours: bool = False) -> Arrays:
    """``mel`` of a clip, ``audio`` and ``f0`` where a rate is named, ``f0`` and ``energy`` where contours are wanted.

    Raises:
        ClipFailure: as ``clip_audio``, at another rate than the targets'.
    """
    targets = clips[at]
    found = {"mel": targets.mel}
    if contours:
        found |= {"f0": targets.f0, "energy": targets.energy}
    if rate is None:
        return found
    audio = clip_samples(targets)
    if rate != SAMPLE_RATE:
        clip = clips.prepared.clips[at]
        audio = pad_or_trim(clip_audio(clip, rate).samples, 0, rate // FPS * targets.frames)
    return found | {"audio": audio, "f0": targets.f0}


class FolderAudioDataset(AudioDataset):
    """Files of a folder, decoded as they are needed and forgotten.

    Choice: voice, mel and F0 of a piece are taken from the piece itself; F0 by DIO (WORLD), because pYIN, by which
    clips are prepared, takes about as long as the sound lasts.

    Args:
        shards: of the folder.
        rate: as ``AudioDataset``.
        segment: as ``AudioDataset``.
        notice: is told, once, of each file that cannot be decoded; another piece takes its place.
        contours: as ``AudioDataset``.
    """

    def __init__(
        self,
        shards: AudioIndex,
        rate: int | None,
        segment: int,
        notice: Callable[[str], None],
        *,
        contours: bool = False,
    ) -> None:
        super().__init__(rate, segment, contours=contours)
        self.shards, self.notice = shards, notice
        self.groups = shards.index.pieces
        self._told: set[str] = set()

    @property
    def hours(self) -> float:
        return self.shards.index.hours

    def load(self, at: int, rng: np.random.Generator) -> Example:
        """As ``Sounds.load``; where the piece cannot be heard, the next one that can.

        Raises:
            F2VError: many pieces in a row cannot be heard.
        """
        share = rng.random()
        for step in range(_TRIES):
            try:
                return self._load((at + step) % len(self.shards), share)
            except ClipFailure as failure:
                if failure.kind is not FailureKind.SILENT and failure.detail not in self._told:
                    self._told.add(failure.detail)
                    self.notice(f"left out of pre-training: {failure}")
        raise F2VError(f"{_TRIES} pieces in a row of '{self.shards.index.folder}' cannot be heard", "look at its files")

    def _load(self, at: int, share: float) -> Example:
        piece = self.shards[at]
        wanted = self.segment / FPS
        start = max(0.0, piece.seconds - wanted) * (piece.place + share) / piece.pieces
        rate = self.rate or SAMPLE_RATE
        audio = read_audio_piece(piece.path, start, wanted, rate).samples
        frames = min(self.segment, len(audio) * FPS // rate)
        if not frames:
            raise ClipFailure(FailureKind.TOO_SHORT, f"'{piece.path}' has less than a video frame after {start:.2f} s")
        audio = audio[: rate // FPS * frames]
        heard = pad_or_trim(resample(audio, rate, SAMPLE_RATE), 0, SAMPLES_PER_VIDEO_FRAME * frames)
        if np.abs(heard).max() < _QUIET:
            raise ClipFailure(FailureKind.SILENT, f"'{piece.path}' is silent at {start:.2f} s")
        sequences = {"mel": log_mel(heard, SAMPLE_RATE)}
        if self.rate is not None or self.contours:
            sequences["f0"] = dio_f0(heard)
        if self.contours:
            sequences["energy"] = energy_contour(heard, SAMPLE_RATE)
        if self.rate is not None:
            sequences["audio"] = audio
        return Example(frames, sequences, {"speaker": speaker_encoder().embed([heard])[0]})


def dio_f0(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """F0 in Hz by DIO and StoneMask, 0 where unvoiced, float32 ``(n // 160,)`` of ``(n,)`` at 16 kHz."""
    world = import_quietly("pyworld")
    wave = samples.astype(np.float64)
    rough, times = world.dio(wave, SAMPLE_RATE, f0_floor=F0_MIN, f0_ceil=F0_MAX, frame_period=10.0)
    found = world.stonemask(wave, rough, times, SAMPLE_RATE)
    return np.asarray(found[: MEL_FRAMES_PER_VIDEO_FRAME * (len(samples) // SAMPLES_PER_VIDEO_FRAME)], np.float32)
