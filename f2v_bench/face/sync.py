"""The face as SyncNet's pipeline cuts it: a square around the detector's box, lower half and chin well inside."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.media import iter_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 224
CROP_SCALE = 0.4  # of the box's half width, added on each side, and twice below
GREY = 110  # beyond the picture's edge
MEDIAN_FRAMES = 13


def sync_faces(video: Path, boxes: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
    """Crops of one face, frame by frame, as ``run_pipeline.py`` of syncnet_python makes them.

    Args:
        video: any file that ``media.iter_frames`` reads.
        boxes: of ``FaceCrops``, ``(T, 4)``, x0 y0 x1 y1 in pixels; a running median over 13 frames steadies them.

    Yields:
        uint8 ``(224, 224, 3)``, blue first, T of them.

    Raises:
        ClipFailure: as ``iter_frames``.
        ValueError: fewer than 13 boxes.
    """
    for frame, square in zip(islice(iter_frames(video), len(boxes)), squares(boxes), strict=True):
        yield _cut(frame[..., ::-1], *square)


def whole_frames(video: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video that is a face crop already, each uint8 ``(224, 224, 3)``, blue first.

    Raises:
        ClipFailure: as ``iter_frames``.
    """
    for frame in iter_frames(video):
        yield _resized(frame[..., ::-1])


def squares(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Centre x, centre y and half the longer side of each box, smoothed, ``(T, 3)``.

    As in the published script, what lies beyond either end counts as zero in the median, so that the first and the last
    six frames lean towards the smaller values of their neighbours.

    Raises:
        ValueError: fewer than 13 boxes, of whose medians some would be zero.
    """
    from scipy.signal import medfilt

    if len(boxes) < MEDIAN_FRAMES:
        raise ValueError(f"the running median needs {MEDIAN_FRAMES} frames, got {len(boxes)}")
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    rows = ((x0 + x1) / 2, (y0 + y1) / 2, np.maximum(x1 - x0, y1 - y0) / 2)
    return np.stack([medfilt(row, MEDIAN_FRAMES) for row in rows], axis=1)


def _cut(frame: NDArray[np.uint8], x: float, y: float, half: float) -> NDArray[np.uint8]:
    border = int(half * (1 + 2 * CROP_SCALE))
    wide = np.pad(frame, ((border, border), (border, border), (0, 0)), constant_values=GREY)
    x, y = x + border, y + border
    rows = slice(int(y - half), int(y + half * (1 + 2 * CROP_SCALE)))
    columns = slice(int(x - half * (1 + CROP_SCALE)), int(x + half * (1 + CROP_SCALE)))
    return _resized(wide[rows, columns])


def _resized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    resized: NDArray[np.uint8] = cv2.resize(np.ascontiguousarray(picture), (SIZE, SIZE)).astype(np.uint8)
    return resized
