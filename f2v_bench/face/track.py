"""Face tracks over time, and the choice of the talking face: the largest and most persistent one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.detect import Detection, overlap
from f2v_bench.face.smooth import fill_gaps, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SHARE = 0.6  # smallest share of frames with the face
_MIN_OVERLAP = 0.25  # IoU of two successive boxes of one face
_SIGMA = 3.0  # frames; the box of a head does not change faster


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """Face of one person over a clip.

    Attributes:
        boxes: float32 ``(T, 4)``, x0 y0 x1 y1 in pixels, gaps filled, smoothed over time.
        points: float32 ``(T, 5, 2)`` as detected, NaN for skipped frames and missing points.
        visible: bool ``(T,)``, True where the face was detected, or skipped between two detections.
    """

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    visible: NDArray[np.bool_]


@dataclass(eq=False)
class _Track:
    frames: list[int] = field(default_factory=list)
    faces: list[Detection] = field(default_factory=list)

    @property
    def weight(self) -> float:
        """Size and persistence: the sum over frames of box side times confidence."""
        return sum(float(np.sqrt(np.prod(face.box[2:] - face.box[:2]))) * face.confidence for face in self.faces)


def select_talking_face(detections: Sequence[Sequence[Detection] | None], video: str) -> FaceTrack:
    """Select the talking face: the track with the largest sum of sizes over time.

    Args:
        detections: faces of each frame, None for skipped frames, from ``detect.scan``.
        video: name of the clip in error messages.

    Raises:
        ClipFailure: ``no_face`` without any detection, ``face_lost`` if too few frames have one.
    """
    tracks = _link(detections)
    if not tracks:
        searched = sum(faces is not None for faces in detections)
        raise ClipFailure(FailureKind.NO_FACE, f"no face in any of {searched} searched frames of {video}")
    best = max(tracks, key=lambda track: track.weight)
    boxes = np.full((len(detections), 4), np.nan, np.float32)
    points = np.full((len(detections), 5, 2), np.nan, np.float32)
    for frame, face in zip(best.frames, best.faces, strict=True):
        boxes[frame], points[frame] = face.box, face.points
    visible = _visible(detections, best)
    check_share(visible, video)
    smoothed = smooth(fill_gaps(boxes), _SIGMA, median=5)
    return FaceTrack(smoothed.astype(np.float32), points, visible)


def check_share(visible: NDArray[np.bool_], video: str) -> None:
    """Raise ``face_lost`` if the face is visible in fewer than ``MIN_SHARE`` of the frames, ``no_face`` if in none."""
    share = float(visible.mean())
    if share == 0:
        raise ClipFailure(FailureKind.NO_FACE, f"no face in any frame of {video}")
    if share < MIN_SHARE:
        raise ClipFailure(
            FailureKind.FACE_LOST,
            f"face visible in {share:.0%} of {len(visible)} frames of {video}, at least {MIN_SHARE:.0%} needed",
        )


def _link(detections: Sequence[Sequence[Detection] | None]) -> list[_Track]:
    tracks: list[_Track] = []
    for frame, faces in enumerate(detections):
        free = list(tracks)
        for face in faces or ():
            near = max(free, key=lambda track: overlap(track.faces[-1].box, face.box), default=None)
            if near is None or overlap(near.faces[-1].box, face.box) < _MIN_OVERLAP:
                near = _Track()
                tracks.append(near)
            else:
                free.remove(near)
            near.frames.append(frame)
            near.faces.append(face)
    return tracks


def _visible(detections: Sequence[Sequence[Detection] | None], track: _Track) -> NDArray[np.bool_]:
    visible = np.zeros(len(detections), bool)
    visible[track.frames] = True
    for before, after in zip(track.frames, track.frames[1:], strict=False):
        if all(faces is None for faces in detections[before + 1 : after]):
            visible[before:after] = True
    return visible
