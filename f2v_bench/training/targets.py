"""What a training clip is made of: its pictures, and everything that a model may be asked to predict from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import FPS, Clip
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.crops import FaceCrops, face_crops
from f2v_bench.media import clip_audio, placed
from f2v_bench.training.identity import speaker_encoder
from f2v_bench.training.labels import UNITS
from f2v_bench.training.phones import align_phones
from f2v_bench.training.units import features as unit_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
SAMPLES = SAMPLE_RATE // FPS  # a video frame
MELS = 4  # mel frames a video frame
FACE = 56  # pixels on a side of the grey face that shows the expression
IDENTITIES = 8  # frames that show who it is
SETTINGS = "targets:1"  # counts up whenever a value below changes
_SILENCE = 1e-4  # largest sample of what counts as no speech
_FULL_SCALE = 32_767


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
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


def targets_of(clip: Clip) -> Targets:
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
    samples = placed(clip_audio(clip, SAMPLE_RATE).checked(f"the speech of {clip.id}").samples, 0, SAMPLES * count)
    if np.abs(samples).max() < _SILENCE:
        raise ClipFailure(FailureKind.SILENT, f"clip '{clip.id}' has no speech to learn from")
    f0, _ = f0_contour(samples, SAMPLE_RATE)
    return Targets(
        **pictures_of(crops),
        audio=np.rint(np.clip(samples, -1, 1) * _FULL_SCALE).astype(np.int16),
        mel=log_mel(samples, SAMPLE_RATE),
        f0=f0[: MELS * count],
        energy=energy_contour(samples, SAMPLE_RATE),
        cepstra=unit_features(samples),
        phones=align_phones(samples, clip.text, UNITS * count),
        speaker=speaker_encoder().embed([samples])[0],
    )


def pictures_of(crops: FaceCrops) -> dict[str, NDArray[np.uint8]]:
    """What models see of a clip: ``lips``, ``face`` and ``identity`` of ``Targets``."""
    import cv2

    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in crops.face])
    spread = np.linspace(0, len(grey) - 1, IDENTITIES).round().astype(int)
    return {
        "lips": crops.lips,
        "face": np.stack([cv2.resize(frame, (FACE, FACE), interpolation=cv2.INTER_AREA) for frame in grey]),
        "identity": crops.face[spread],
    }
