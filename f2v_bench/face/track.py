"""The talking face over time: detections linked into tracks, and the one that is largest and most constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.detect import Detection, overlap
from f2v_bench.face.smooth import filled, smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SHARE = 0.6  # of the frames must show the face
_MIN_OVERLAP = 0.25  # of two boxes in a row that are one face
_SIGMA = 3.0  # frames; a head's box changes no faster


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One face through a clip.

    Attributes:
        boxes: float32 ``(T, 4)``, x0 y0 x1 y1 in pixels, gaps filled, smoothed over time.
        points: float32 ``(T, 5, 2)`` as detected, NaN where a frame was not searched or a point not found.
        seen: bool ``(T,)``, whether the face was found in the frame, or before and after it without a break.
    """

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    seen: NDArray[np.bool_]


@dataclass(eq=False)
class _Link:
    frames: list[int] = field(default_factory=list)
    faces: list[Detection] = field(default_factory=list)

    @property
    def weight(self) -> float:
        """Size and continuity in one number: the sum over frames of side length, unsure frames counting less."""
        return sum(float(np.sqrt(np.prod(face.box[2:] - face.box[:2]))) * face.confidence for face in self.faces)


def talking_face(found: Sequence[Sequence[Detection] | None], video: str) -> FaceTrack:
    """The face that talks: the track with the largest sum of sizes over time.

    Args:
        found: for each frame its faces, or None where it was not searched, as ``detect.scan`` returns them.
        video: what error messages call the clip.

    Raises:
        ClipFailure: ``no_face`` where no frame shows one, ``face_lost`` where too few do.
    """
    links = _linked(found)
    if not links:
        searched = sum(faces is not None for faces in found)
        raise ClipFailure(FailureKind.NO_FACE, f"no face in any of {searched} searched frames of {video}")
    best = max(links, key=lambda link: link.weight)
    boxes = np.full((len(found), 4), np.nan, np.float32)
    points = np.full((len(found), 5, 2), np.nan, np.float32)
    for frame, face in zip(best.frames, best.faces, strict=True):
        boxes[frame], points[frame] = face.box, face.points
    seen = _seen(found, best)
    check_share(seen, video)
    calm = smoothed(filled(boxes), _SIGMA, median=5)
    return FaceTrack(calm.astype(np.float32), points, seen)


def check_share(seen: NDArray[np.bool_], video: str) -> None:
    """Raise ``face_lost`` where fewer than ``MIN_SHARE`` of the frames are seen, ``no_face`` where none is."""
    share = float(seen.mean())
    if share == 0:
        raise ClipFailure(FailureKind.NO_FACE, f"no face in any frame of {video}")
    if share < MIN_SHARE:
        raise ClipFailure(
            FailureKind.FACE_LOST,
            f"the face is seen in {share:.0%} of {len(seen)} frames of {video}, {MIN_SHARE:.0%} needed",
        )


def _linked(found: Sequence[Sequence[Detection] | None]) -> list[_Link]:
    links: list[_Link] = []
    for frame, faces in enumerate(found):
        free = list(links)
        for face in faces or ():
            near = max(free, key=lambda link: overlap(link.faces[-1].box, face.box), default=None)
            if near is None or overlap(near.faces[-1].box, face.box) < _MIN_OVERLAP:
                near = _Link()
                links.append(near)
            else:
                free.remove(near)
            near.frames.append(frame)
            near.faces.append(face)
    return links


def _seen(found: Sequence[Sequence[Detection] | None], link: _Link) -> NDArray[np.bool_]:
    seen = np.zeros(len(found), bool)
    seen[link.frames] = True
    for before, after in zip(link.frames, link.frames[1:], strict=False):
        if all(faces is None for faces in found[before + 1 : after]):
            seen[before:after] = True
    return seen
