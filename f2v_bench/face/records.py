"""Record of the face room: the crops of one clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Talking face of one clip at 25 fps.

    Attributes:
        lips: uint8 ``(T, 96, 96)``, gray, upright, centered on the mouth, at the scale of the 256x256 mean face.
        face: uint8 ``(T, 112, 112, 3)``, RGB, aligned to ArcFace's five-point template.
        boxes: float32 ``(T, 4)``, x0 y0 x1 y1 in pixels of the video.
        points: float32 ``(T, 5, 2)``: eyes, nose tip and mouth corners in pixels, left side of the image first.
        visible: bool ``(T,)``; in other frames the face is interpolated from neighboring frames.
        detector: ``cascade``, ``mediapipe`` or ``precomputed``.
    """

    lips: NDArray[np.uint8]
    face: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    detector: str
