"""What a training clip is made of: its pictures, and everything that a model may be asked to predict from them."""

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
from f2v_bench.training.data.units import features as unit_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETTINGS = "targets:1"  # counts up whenever a value below changes
_SILENCE = 1e-4  # largest sample of what counts as no speech
_FULL_SCALE = 32_767


@dataclass(frozen=True, slots=True, eq=False)
class ClipFeatures:
    """One clip, ready for training; T video frames.

    Attributes:
        lips: uint8 ``(T, 96, 96)``, grey.
        face: uint8 ``(T, 56, 56)``, grey, aligned.
        identity: uint8 ``(8, 112, 112, 3)``, RGB, aligned, spread over the clip.
        audio: int16 ``(640 T,)`` at 16 kHz.
        mel: float32 ``(4 T, 80)``, ``signal.mel``.
        f0: float32 ``(4 T,)``, Hz, 0 where unvoiced, ``signal.f0``.
        energy: float32 ``(4 T,)``, ``signal.energy``.
        cepstra: float32 ``(2 T, 39)``, what units are clusters of.
        phones: int64 ``(2 T,)``, ``phones.PHONES`` or ``UNKNOWN``.
        speaker: float32 ``(256,)``, GE2E's embedding of the clip.
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
        """Video frames."""
        return len(self.lips)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every field by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def extract_features(clip: Clip) -> ClipFeatures:
    """Crops, sound and what is measured of it.

    Raises:
        ClipFailure: as ``face_crops`` and ``clip_audio``; ``silent`` where there is no speech.
        AssetMissing: the GE2E weights are not here.
    """
    from f2v_bench.signal.energy import energy_contour
    from f2v_bench.signal.f0 import f0_contour
    from f2v_bench.signal.mel import log_mel

    crops = face_crops(clip.video)
    count = len(crops.lips)
    samples = pad_or_trim(
        clip_audio(clip, SAMPLE_RATE).validate(f"the speech of {clip.id}").samples, 0, SAMPLES_PER_VIDEO_FRAME * count
    )
    if np.abs(samples).max() < _SILENCE:
        raise ClipFailure(FailureKind.SILENT, f"clip '{clip.id}' has no speech to learn from")
    f0, _ = f0_contour(samples, SAMPLE_RATE)
    return ClipFeatures(
        **video_inputs(crops),
        audio=np.rint(np.clip(samples, -1, 1) * _FULL_SCALE).astype(np.int16),
        mel=log_mel(samples, SAMPLE_RATE),
        f0=f0[: MEL_FRAMES_PER_VIDEO_FRAME * count],
        energy=energy_contour(samples, SAMPLE_RATE),
        cepstra=unit_features(samples),
        phones=align_phones(samples, clip.text, UNITS_PER_VIDEO_FRAME * count),
        speaker=speaker_encoder().embed([samples])[0],
    )
