"""Video inputs of the models: lip crops, expression crops and identity frames of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.records import FaceCrops

FACE_SIZE = 56  # pixels on a side of the gray expression crop
IDENTITY_FRAMES = 8  # face crops of the identity, spread over the clip


def video_inputs(crops: FaceCrops) -> dict[str, NDArray[np.uint8]]:
    """Return the video inputs of a clip: ``lips``, ``face`` and ``identity`` of ``ClipFeatures``.

    Args:
        crops: face crops of the clip.
    """
    import cv2

    gray = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in crops.face])
    frames = np.linspace(0, len(gray) - 1, IDENTITY_FRAMES).round().astype(int)
    return {
        "lips": crops.lips,
        "face": np.stack([cv2.resize(frame, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA) for frame in gray]),
        "identity": crops.face[frames],
    }
