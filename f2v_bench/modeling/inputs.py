"""Video inputs of the models: lip crops, expression crops and identity frames of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops

FACE_SIZE = 56  # pixels on a side of the gray face crop that shows the expression
IDENTITY_FRAMES = 8  # face crops that show the identity, spread over the clip


def video_inputs(crops: FaceCrops) -> dict[str, NDArray[np.uint8]]:
    """What models see of a clip: ``lips``, ``face`` and ``identity`` of ``ClipFeatures``."""
    import cv2

    gray = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in crops.face])
    spread = np.linspace(0, len(gray) - 1, IDENTITY_FRAMES).round().astype(int)
    return {
        "lips": crops.lips,
        "face": np.stack([cv2.resize(frame, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA) for frame in gray]),
        "identity": crops.face[spread],
    }
