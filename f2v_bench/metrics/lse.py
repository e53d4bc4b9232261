"""LSE-C and LSE-D: confidence and distance of lip synchrony by SyncNet.

Chung and Zisserman, "Out of time: automated lip sync in the wild" (ACCV 2016); as measures of generated speech or lips
by Prajwal et al., "A lip sync expert is all you need" (ACM MM 2020). Both depend on the face crop and on the range of
offsets: values of another pipeline are not comparable. Published values of LSE-C for real LRS2 speech are 6.8 and 8.2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.assets import AssetMissing, file_sha256, require_asset
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import is_audio_name
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, MetricOptions, MetricUnavailable, Need, PerClipMetric, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.encoders.syncnet import SyncNet

ASSET = "syncnet-v2"
VSHIFTS = ("15", "10")  # largest offset in frames; 15 in the published scripts, 10 in their helper
MIN_FRAMES = 13  # 0.52 s; the published pipeline tracks faces over a running median of 13
EDGE = 5  # frames at the end in which no window starts
FRAMES_PER_BATCH = {"cpu": 25, "cuda": 200}
CACHE_SIZE = 128  # videos whose lip embeddings, 4 KB a frame, are shared by all systems
_DISTANCE_EPS = 1e-6  # added to each difference by torch's pairwise_distance
_INF = float("inf")


@dataclass(frozen=True, slots=True)
class SyncErrors:
    """Distances of lip and audio embeddings over offsets.

    Attributes:
        confidence: LSE-C, median over offsets minus the minimum.
        distance: LSE-D, minimum over offsets.
        offset: offset of the minimum in frames, positive where the audio is early, as in the published script.
    """

    confidence: float
    distance: float
    offset: int


def lse(lips: NDArray[np.float32], audio: NDArray[np.float32], vshift: int = 15) -> SyncErrors:
    """Return LSE-C and LSE-D from the mean distance of lip and audio embeddings at each offset.

    Args:
        lips: embeddings of five-frame windows one frame apart, ``(n, 1024)``.
        audio: embeddings of the same windows, zero-padded beyond the ends, which affects large offsets.
        vshift: largest offset in frames.

    Raises:
        ValueError: no windows, or unequal numbers of them.
    """
    if not len(lips) or lips.shape != audio.shape:
        raise ValueError(f"LSE needs two equal sequences of windows, got {lips.shape} and {audio.shape}")
    fixed, padded = lips.astype(np.float64), np.pad(audio.astype(np.float64), ((vshift, vshift), (0, 0)))
    shifted = (padded[first : first + len(fixed)] for first in range(2 * vshift + 1))
    distances = [float(np.linalg.norm(fixed - one + _DISTANCE_EPS, axis=1).mean()) for one in shifted]
    best = int(np.argmin(distances))
    return SyncErrors(float(np.median(distances)) - distances[best], distances[best], vshift - best)


def embed_lips(faces: Iterator[NDArray[np.uint8]], network: SyncNet, device: str = "cpu") -> NDArray[np.float32]:
    """Return embeddings of each five consecutive frames, ``(T - 4, 1024)``; memory does not grow with the video.

    Args:
        faces: face crops, uint8 BGR ``(224, 224, 3)``, at least five.
        network: SyncNet of ``nn.encoders.syncnet.load_syncnet``, on ``device``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    import torch

    from f2v_bench.nn.encoders.syncnet import WINDOW
    from f2v_bench.nn.layers.precision import reference_precision

    embeddings: list[NDArray[np.float32]] = []
    block = list(islice(faces, WINDOW - 1))
    with reference_precision():
        while more := list(islice(faces, FRAMES_PER_BATCH[device.partition(":")[0]])):
            block = [*block[-(WINDOW - 1) :], *more]
            embeddings.append(network.embed_lips(torch.from_numpy(np.stack(block)).to(device)).cpu().numpy())
    return np.concatenate(embeddings)


def embed_audio(samples: NDArray[np.float32], network: SyncNet, device: str = "cpu") -> NDArray[np.float32]:
    """Return embeddings of windows of 0.2 s, one video frame apart, ``(windows, 1024)``.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``.
        network: SyncNet on ``device``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    import torch

    from f2v_bench.nn.layers.precision import reference_precision
    from f2v_bench.signal.mfcc import mfcc

    with reference_precision():
        out: NDArray[np.float32] = network.embed_audio(torch.from_numpy(mfcc(samples)).float().to(device)).cpu().numpy()
    return out


class LSE(PerClipMetric):
    """LSE-C and LSE-D.

    Setting ``vshift``: the largest offset in frames, ``15`` (default) or ``10``. Setting ``faces``: ``detected``
    (default) crops the talking face as SyncNet's pipeline does; ``whole`` uses full frames, for corpora whose videos
    are face crops (common on LRS2 and LRS3).
    """

    name = "lse"
    needs = frozenset({Need.VIDEO})
    sample_rate = SAMPLE_RATE
    on_device = True
    columns = (
        Column(
            "lse_c",
            "LSE-C",
            "",
            higher_is_better=True,
            lower=0,
            upper=_INF,
            definition="SyncNet's confidence: median over offsets of the mean lip-audio distance, minus the minimum.",
        ),
        Column(
            "lse_d",
            "LSE-D",
            "",
            higher_is_better=False,
            lower=0,
            upper=_INF,
            definition="Smallest mean distance of SyncNet's lip and audio embeddings over offsets within the window.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        settings = common.parse_settings(self.options, self.name, {"vshift": VSHIFTS, "faces": ("detected", "whole")})
        self._vshift, self._uses_full_frames = int(settings["vshift"]), settings["faces"] == "whole"
        try:
            self._weights = require_asset(ASSET)
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing
        self._embeddings: OrderedDict[tuple[Path, int, int], NDArray[np.float32] | ClipFailure] = OrderedDict()

    @cached_property
    def _network(self) -> SyncNet:
        from f2v_bench.nn.encoders.syncnet import load_syncnet

        return load_syncnet(self._weights, f"fetch it again: f2v-bench assets pull {ASSET}", self.options.device)

    @cached_property
    def signature(self) -> str:
        from f2v_bench.face.detect import get_detector
        from f2v_bench.face.sync import CROP_SCALE

        return common.signature(
            "lse:v1",
            f"model:syncnet-v2-{file_sha256(self._weights)[:12]}",
            f"vshift:{self._vshift}",
            "beyond-ends:zeros",
            "faces:whole-frame" if self._uses_full_frames else f"faces:{get_detector().name}-crop-{CROP_SCALE:g}",
            "fps:25",
            "mfcc:13@100Hz",
            "precision:fp32",
            aggregate="clip-mean",
        )

    def score_clip(self, sample: Sample) -> Scores:
        video = sample.video
        if video is None or is_audio_name(video):
            raise ClipFailure(FailureKind.NO_VIDEO, f"clip '{sample.clip_id}' has no video")
        samples = sample.audio.samples
        common.require_sound(samples, "audio")
        lips = self._lip_embeddings(video)
        frames = min(len(lips) + EDGE - 1, len(samples) // SAMPLES_PER_VIDEO_FRAME)
        if frames < MIN_FRAMES:
            raise ClipFailure(FailureKind.TOO_SHORT, f"{frames} frames of video and audio, LSE needs {MIN_FRAMES}")
        windows = frames - EDGE
        audio = embed_audio(samples, self._network, self.options.device)
        errors = lse(lips[:windows], audio[:windows], self._vshift)
        return Scores(
            {"lse_c": errors.confidence, "lse_d": errors.distance},
            detail={"av_offset_frames": errors.offset, "windows": windows},
        )

    def _lip_embeddings(self, video: Path) -> NDArray[np.float32]:
        """Return the lip embeddings of a video; they, or the failure, are computed once for all systems."""
        if not video.is_file():
            raise ClipFailure(FailureKind.FILE_MISSING, f"'{video}' is not a file")
        stat = video.stat()
        key = video, stat.st_size, stat.st_mtime_ns
        if key not in self._embeddings:
            try:
                self._embeddings[key] = embed_lips(self._faces(video), self._network, self.options.device)
            except ClipFailure as failure:
                self._embeddings[key] = failure.with_traceback(None)
            if len(self._embeddings) > CACHE_SIZE:
                self._embeddings.popitem(last=False)
        cached = self._embeddings[key]
        if isinstance(cached, ClipFailure):
            raise ClipFailure(cached.kind, cached.detail)
        return cached

    def _faces(self, video: Path) -> Iterator[NDArray[np.uint8]]:
        from f2v_bench.face.crops import face_crops
        from f2v_bench.face.sync import iter_full_frames, iter_sync_crops

        if self._uses_full_frames:
            return _require_frames(iter_full_frames(video), video)
        boxes = face_crops(video).boxes
        if len(boxes) < MIN_FRAMES:
            raise ClipFailure(FailureKind.TOO_SHORT, f"'{video}' has {len(boxes)} frames, LSE needs {MIN_FRAMES}")
        return iter_sync_crops(video, boxes)


def _require_frames(frames: Iterator[NDArray[np.uint8]], video: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames, or raise ClipFailure ``too_short``."""
    first = list(islice(frames, MIN_FRAMES))
    if len(first) < MIN_FRAMES:
        raise ClipFailure(FailureKind.TOO_SHORT, f"'{video}' has {len(first)} frames, LSE needs {MIN_FRAMES}")
    yield from first
    yield from frames
