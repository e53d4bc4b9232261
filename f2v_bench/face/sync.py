"""Face crops of the SyncNet pipeline: a square around the box of the detector, extended below the chin."""

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
CROP_SCALE = 0.4  # margin in half widths of the box, on each side, and twice below
GRAY = 110  # padding beyond the frame
MEDIAN_FRAMES = 13


def iter_sync_crops(video: Path, boxes: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
    """Yield crops of one face, frame by frame, equal to those of ``run_pipeline.py`` of syncnet_python.

    Args:
        video: video file in any format of ``media.iter_frames``.
        boxes: face boxes of ``FaceCrops``, ``(T, 4)``, x0 y0 x1 y1 in pixels; smoothed by a median over 13 frames.

    Yields:
        T crops, uint8 BGR ``(224, 224, 3)``.

    Raises:
        ClipFailure: as ``iter_frames``.
        ValueError: fewer than 13 boxes.
    """
    for frame, square in zip(islice(iter_frames(video), len(boxes)), sync_squares(boxes), strict=True):
        yield _crop(frame[..., ::-1], *square)


def iter_full_frames(video: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video of face crops, uint8 BGR ``(224, 224, 3)``.

    Raises:
        ClipFailure: as ``iter_frames``.
    """
    for frame in iter_frames(video):
        yield _resize(frame[..., ::-1])


def sync_squares(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return center x, center y and half the longer side of each box, smoothed, ``(T, 3)``.

    As in the published script, the median is padded with zeros, which biases the first and the last six frames towards
    smaller values.

    Raises:
        ValueError: fewer than 13 boxes: some medians would be zero.
    """
    from scipy.signal import medfilt

    if len(boxes) < MEDIAN_FRAMES:
        raise ValueError(f"the running median needs {MEDIAN_FRAMES} frames, got {len(boxes)}")
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    rows = ((x0 + x1) / 2, (y0 + y1) / 2, np.maximum(x1 - x0, y1 - y0) / 2)
    return np.stack([medfilt(row, MEDIAN_FRAMES) for row in rows], axis=1)


def _crop(frame: NDArray[np.uint8], x: float, y: float, half: float) -> NDArray[np.uint8]:
    border = int(half * (1 + 2 * CROP_SCALE))
    padded = np.pad(frame, ((border, border), (border, border), (0, 0)), constant_values=GRAY)
    x, y = x + border, y + border
    rows = slice(int(y - half), int(y + half * (1 + 2 * CROP_SCALE)))
    columns = slice(int(x - half * (1 + CROP_SCALE)), int(x + half * (1 + CROP_SCALE)))
    return _resize(padded[rows, columns])


def _resize(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    resized: NDArray[np.uint8] = cv2.resize(np.ascontiguousarray(image), (SIZE, SIZE)).astype(np.uint8)
    return resized
