"""Features of a training clip: video inputs, and everything that a model may predict from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.crops import face_crops
from f2v_bench.media import clip_audio, pad_or_trim
from f2v_bench.modeling.inputs import video_inputs
from f2v_bench.nn.encoders.pretrained import speaker_encoder
from f2v_bench.timing import (
    MEL_FRAMES_PER_VIDEO_FRAME,
    SAMPLE_RATE,
    SAMPLES_PER_VIDEO_FRAME,
    UNITS_PER_VIDEO_FRAME,
)
from f2v_bench.training.data.alignment import align_phones
from f2v_bench.training.data.units import mfcc_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETTINGS = "targets:1"  # part of cache keys; incremented whenever a value below changes
_SILENCE = 1e-4  # largest sample of a clip without speech
_FULL_SCALE = 32_767


@dataclass(frozen=True, slots=True, eq=False)
class ClipFeatures:
    """Features of one clip of T video frames.

    Attributes:
        lips: gray lip crops, uint8 ``(T, 96, 96)``.
        face: gray aligned faces, uint8 ``(T, 56, 56)``.
        identity: aligned RGB faces at equal distances, uint8 ``(8, 112, 112, 3)``.
        audio: audio at 16 kHz, int16 ``(640 T,)``.
        mel: log mel spectrogram of ``signal.mel``, float32 ``(4 T, 80)``.
        f0: F0 of ``signal.f0`` in Hz, 0 where unvoiced, float32 ``(4 T,)``.
        energy: energy of ``signal.energy``, float32 ``(4 T,)``.
        cepstra: MFCC features that units are clusters of, float32 ``(2 T, 39)``.
        phones: phonemes as indices into ``alignment.PHONES``, or ``IGNORE_INDEX``, int64 ``(2 T,)``.
        speaker: GE2E embedding of the clip, float32 ``(256,)``.
    """

    lips: NDArray[np.uint8]
    face: NDArray[np.uint8]
    identity: NDArray[np.uint8]
    audio: NDArray[np.int16]
    mel: NDArray[np.float32]
    f0: NDArray[np.float32]
    energy: NDArray[np.float32]
    cepstra: NDArray[np.float32]
    phones: NDArray[np.int64]
    speaker: NDArray[np.float32]

    @property
    def frames(self) -> int:
        """Number of video frames, T."""
        return len(self.lips)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every field by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def extract_features(clip: Clip) -> ClipFeatures:
    """Extract crops and audio features of a clip.

    Raises:
        ClipFailure: as ``face_crops`` and ``clip_audio``; ``silent`` for a clip without speech.
        AssetMissing: the GE2E weights are missing.
    """
    from f2v_bench.signal.energy import energy_contour
    from f2v_bench.signal.f0 import f0_contour
    from f2v_bench.signal.mel import log_mel

    crops = face_crops(clip.video)
    count = len(crops.lips)
    samples = pad_or_trim(
        clip_audio(clip, SAMPLE_RATE).validate(f"the audio of {clip.id}").samples, 0, SAMPLES_PER_VIDEO_FRAME * count
    )
    if np.abs(samples).max() < _SILENCE:
        raise ClipFailure(FailureKind.SILENT, f"clip '{clip.id}' has no speech to train on")
    f0, _ = f0_contour(samples, SAMPLE_RATE)
    return ClipFeatures(
        **video_inputs(crops),
        audio=np.rint(np.clip(samples, -1, 1) * _FULL_SCALE).astype(np.int16),
        mel=log_mel(samples, SAMPLE_RATE),
        f0=f0[: MEL_FRAMES_PER_VIDEO_FRAME * count],
        energy=energy_contour(samples, SAMPLE_RATE),
        cepstra=mfcc_features(samples),
        phones=align_phones(samples, clip.text, UNITS_PER_VIDEO_FRAME * count),
        speaker=speaker_encoder().embed([samples])[0],
    )
