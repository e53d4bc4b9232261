"""LSE-C and LSE-D: how sure SyncNet is that lips and speech belong together, and how far apart it finds them.

Chung and Zisserman, "Out of time: automated lip sync in the wild" (ACCV 2016); as measures of generated speech or lips
by Prajwal et al., "A lip sync expert is all you need" (ACM MM 2020). Both fall or rise with the way the face is cut and
with the range of offsets: numbers of another pipeline are not comparable, and real LRS2 speech has been published with
LSE-C 6.8 and 8.2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
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
from f2v_bench.metrics.base import Column, Metric, MetricOptions, MetricUnavailable, Need, Sample, Scores
from f2v_bench.timing import FPS, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.encoders.syncnet import SyncNet

ASSET = "syncnet-v2"
VSHIFTS = ("15", "10")  # largest offset in frames; the published scripts take 15, their helper 10
MIN_FRAMES = 13  # 0.52 s; the published pipeline tracks faces over a running median of 13
EDGE = 5  # frames at the end that begin no window
SAMPLES_A_FRAME = SAMPLE_RATE // FPS
FRAMES_AT_ONCE = {"cpu": 25, "cuda": 200}
VIDEOS_KEPT = 128  # their lip embeddings, 4 KB a frame: all systems share them
_DISTANCE_EPS = 1e-6  # added to each difference by torch's pairwise_distance
_INF = float("inf")


@dataclass(frozen=True, slots=True)
class SyncErrors:
    """What the distances of two sequences of embeddings say.

    Attributes:
        confidence: LSE-C, the median over offsets minus the least.
        distance: LSE-D, the least over offsets.
        offset: where that is, in frames; positive where the sound is early, as the published script counts.
    """

    confidence: float
    distance: float
    offset: int


def lse(lips: NDArray[np.float32], sound: NDArray[np.float32], vshift: int = 15) -> SyncErrors:
    """Mean distance of lips and sound at each offset, and what stands out of it.

    Args:
        lips: embeddings of five-frame windows one frame apart, ``(n, 1024)``.
        sound: of the same windows; beyond its ends it is taken for zeros, which pulls on large offsets.
        vshift: largest offset in frames.

    Raises:
        ValueError: no windows, or unlike numbers of them.
    """
    if not len(lips) or lips.shape != sound.shape:
        raise ValueError(f"LSE needs two equal sequences of windows, got {lips.shape} and {sound.shape}")
    still, moved = lips.astype(np.float64), np.pad(sound.astype(np.float64), ((vshift, vshift), (0, 0)))
    shifted = (moved[first : first + len(still)] for first in range(2 * vshift + 1))
    distances = [float(np.linalg.norm(still - one + _DISTANCE_EPS, axis=1).mean()) for one in shifted]
    least = int(np.argmin(distances))
    return SyncErrors(float(np.median(distances)) - distances[least], distances[least], vshift - least)


def lip_embeddings(faces: Iterator[NDArray[np.uint8]], network: SyncNet, device: str = "cpu") -> NDArray[np.float32]:
    """Embeddings of every five consecutive frames, ``(T - 4, 1024)``, block by block, whatever the video's length.

    Args:
        faces: uint8 ``(224, 224, 3)`` each, blue first, at least five.
        network: from ``nn.syncnet.load_syncnet``, on ``device``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    import torch

    from f2v_bench.nn.encoders.syncnet import WINDOW
    from f2v_bench.nn.layers.precision import reference_precision

    found: list[NDArray[np.float32]] = []
    block = list(islice(faces, WINDOW - 1))
    with reference_precision():
        while more := list(islice(faces, FRAMES_AT_ONCE[device.partition(":")[0]])):
            block = [*block[-(WINDOW - 1) :], *more]
            found.append(network.lips(torch.from_numpy(np.stack(block)).to(device)).cpu().numpy())
    return np.concatenate(found)


def sound_embeddings(samples: NDArray[np.float32], network: SyncNet, device: str = "cpu") -> NDArray[np.float32]:
    """Embeddings of every 0.2 s, one video frame apart, ``(windows, 1024)``, of float32 ``(n,)`` at 16 kHz."""
    import torch

    from f2v_bench.nn.layers.precision import reference_precision
    from f2v_bench.signal.mfcc import mfcc

    with reference_precision():
        out: NDArray[np.float32] = network.sound(torch.from_numpy(mfcc(samples)).float().to(device)).cpu().numpy()
    return out


class LSE(Metric):
    """LSE-C and LSE-D.

    Setting ``vshift``: the largest offset in frames, ``15`` (default) or ``10``. Setting ``faces``: ``detected``
    (default) cuts the talking face as SyncNet's pipeline does; ``whole`` takes the frames as they are, for corpora
    whose videos are face crops already (the practice on LRS2 and LRS3).
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
            definition="SyncNet's confidence: median over offsets of the mean lip-sound distance, minus the least.",
        ),
        Column(
            "lse_d",
            "LSE-D",
            "",
            higher_is_better=False,
            lower=0,
            upper=_INF,
            definition="Least mean distance of SyncNet's lip and sound embeddings over offsets within the window.",
        ),
    )

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        settings = common.parse_settings(options, self.name, {"vshift": VSHIFTS, "faces": ("detected", "whole")})
        self._vshift, self._whole = int(settings["vshift"]), settings["faces"] == "whole"
        try:
            self._weights = require_asset(ASSET)
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing
        self._known: OrderedDict[tuple[Path, int, int], NDArray[np.float32] | ClipFailure] = OrderedDict()

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
            "faces:whole-frame" if self._whole else f"faces:{get_detector().name}-crop-{CROP_SCALE:g}",
            "fps:25",
            "mfcc:13@100Hz",
            "precision:fp32",
            aggregate="clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.per_clip(batch, self._score_one)

    def _score_one(self, sample: Sample) -> Scores:
        video = sample.video
        if video is None or is_audio_name(video):
            raise ClipFailure(FailureKind.NO_VIDEO, f"clip '{sample.clip_id}' has no video")
        samples = sample.audio.samples
        common.require_sound(samples, "audio")
        lips = self._lips(video)
        frames = min(len(lips) + EDGE - 1, len(samples) // SAMPLES_A_FRAME)
        if frames < MIN_FRAMES:
            raise ClipFailure(FailureKind.TOO_SHORT, f"{frames} frames of video and audio, LSE needs {MIN_FRAMES}")
        windows = frames - EDGE
        errors = lse(
            lips[:windows], sound_embeddings(samples, self._network, self.options.device)[:windows], self._vshift
        )
        return Scores(
            {"lse_c": errors.confidence, "lse_d": errors.distance},
            detail={"av_offset_frames": errors.offset, "windows": windows},
        )

    def _lips(self, video: Path) -> NDArray[np.float32]:
        """Lip embeddings of a video, once for all systems; so is the reason why there are none."""
        if not video.is_file():
            raise ClipFailure(FailureKind.FILE_MISSING, f"'{video}' is not a file")
        stat = video.stat()
        key = video, stat.st_size, stat.st_mtime_ns
        if key not in self._known:
            try:
                self._known[key] = lip_embeddings(self._faces(video), self._network, self.options.device)
            except ClipFailure as failure:
                self._known[key] = failure.with_traceback(None)
            if len(self._known) > VIDEOS_KEPT:
                self._known.popitem(last=False)
        known = self._known[key]
        if isinstance(known, ClipFailure):
            raise ClipFailure(known.kind, known.detail)
        return known

    def _faces(self, video: Path) -> Iterator[NDArray[np.uint8]]:
        from f2v_bench.face.crops import face_crops
        from f2v_bench.face.sync import iter_full_frames, iter_sync_crops

        if self._whole:
            return _enough(iter_full_frames(video), video)
        boxes = face_crops(video).boxes
        if len(boxes) < MIN_FRAMES:
            raise ClipFailure(FailureKind.TOO_SHORT, f"'{video}' has {len(boxes)} frames, LSE needs {MIN_FRAMES}")
        return iter_sync_crops(video, boxes)


def _enough(frames: Iterator[NDArray[np.uint8]], video: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames, where there are enough of them for LSE."""
    first = list(islice(frames, MIN_FRAMES))
    if len(first) < MIN_FRAMES:
        raise ClipFailure(FailureKind.TOO_SHORT, f"'{video}' has {len(first)} frames, LSE needs {MIN_FRAMES}")
    yield from first
    yield from frames
