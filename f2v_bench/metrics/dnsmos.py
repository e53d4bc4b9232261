"""DNSMOS: predicted listener ratings of speech (SIG), background (BAK) and overall quality (OVRL), no reference.

Reddy, Gopal and Cutler, "DNSMOS P.835" (ICASSP 2022) and "DNSMOS" (P.808, ICASSP 2021). The networks are Microsoft's
ONNX files, ported to PyTorch with the same weights, or run by onnxruntime; features, segments and polynomials are
those of the published script, so that the value of a clip equals that of the package ``speechmos``. DNSMOS does not
measure content: real speech of another clip scores like the right one. For raw outputs up to 5 the polynomials end at
SIG 4.01, BAK 4.36 and OVRL 3.93.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.assets import AssetMissing, file_sha256, require_asset
from f2v_bench.errors import ClipFailure
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, Metric, MetricOptions, MetricUnavailable, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from f2v_bench.nn.mos.dnsmos import P808, P835

SEGMENT_S = 9.01
SEGMENT = 144_160  # samples, 9.01 s
N_FFT = 321  # the script's frame of 320 plus one; 320 changes P.808 by 0.09
HOP_LENGTH = 160
N_MELS = 120
PERSONALIZED_ASSET = "dnsmos-p835-personalised"
RENAMED_SETTINGS = {"personalised": "personalized"}  # earlier name to present name
COLUMNS = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")
FRAMES_PER_BATCH = {"cpu": 1032, "cuda": 16 * 1032}  # P.835 network in PyTorch, 0.2 MB per frame
FRAMES_PER_P808_SEGMENT = 129  # P.835 frames with the memory of one P.808 segment: 8 segments per batch on the CPU

#: raw network output to MOS, highest power first, in the network's order SIG, BAK, OVRL
REGULAR = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
PERSONALIZED = (
    (-0.01019296, 0.02751166, 1.19576786, -0.24348726),
    (-0.04976499, 0.44276479, -0.1644611, 0.96883132),
    (-0.00533021, 0.005101, 1.18058466, -0.11236046),
)


@dataclass(frozen=True, slots=True)
class Networks:
    """DNSMOS networks in onnxruntime.

    Attributes:
        p835: onnxruntime session, raw samples ``(1, 144160)`` to raw SIG, BAK, OVRL ``(1, 3)``.
        p808: onnxruntime session, log mel ``(1, 900, 120)`` to MOS ``(1, 1)``.
        polynomials: polynomials of the P.835 network, ``REGULAR`` or ``PERSONALIZED``.
    """

    p835: Any
    p808: Any
    polynomials: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TorchNetworks:
    """DNSMOS networks in PyTorch.

    Attributes:
        p835, p808: networks of raw samples ``(B, 144160)``.
        polynomials: polynomials of the P.835 network, ``REGULAR`` or ``PERSONALIZED``.
        device: device of both networks.
    """

    p835: P835
    p808: P808
    polynomials: tuple[tuple[float, ...], ...]
    device: str


def dnsmos(samples: NDArray[np.float32], networks: Networks, *, all_segments: bool = False) -> dict[str, float]:
    """Return the mean rating over the segments of a clip.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``; samples beyond [-1, 1] are clipped, as in a file.
        networks: networks of ``load_networks``.
        all_segments: True rates each full segment, False those that the published script rates.

    Returns:
        Ratings ``dnsmos_ovrl``, ``dnsmos_sig``, ``dnsmos_bak`` and ``dnsmos_p808``, about 1 to 5.
    """
    clipped = np.clip(samples, -1, 1)
    starts = _starts(len(clipped), all_segments)
    ratings = {start: _rate(_segment(clipped, start), networks) for start in dict.fromkeys(starts)}
    return _mean([ratings[start] for start in starts])


def dnsmos_torch(
    clips: Sequence[NDArray[np.float32]], networks: TorchNetworks, *, all_segments: bool = False
) -> list[dict[str, float]]:
    """Rate clips with the PyTorch networks, equal to ``dnsmos`` within 1e-4 and faster: see ``nn.mos.dnsmos_segments``.

    Args:
        clips: waveforms at 16 kHz, float32 ``(n,)`` each.
        networks: networks of ``load_torch_networks``.
        all_segments: True rates each full segment, see ``dnsmos``.
    """
    import torch

    from f2v_bench.nn.layers.masking import length_batches
    from f2v_bench.nn.layers.precision import reference_precision
    from f2v_bench.nn.mos.dnsmos_segments import rate_segments

    batch_frames = FRAMES_PER_BATCH[networks.device.partition(":")[0]]
    budget = 1 if networks.device == "cpu" else batch_frames  # on the CPU one clip at a time is as fast and bit-equal
    ratings: dict[int, dict[str, float]] = {}
    with reference_precision(), torch.inference_mode():
        for group in length_batches([len(samples) // HOP_LENGTH + 1 for samples in clips], budget):
            waves = [torch.from_numpy(clips[at]).to(networks.device).clamp(-1, 1) for at in group]
            starts = [segment_starts(len(samples), all_segments=all_segments) for samples in waves]
            p835 = rate_segments(networks.p835, waves, starts, batch_frames)
            p808 = _rate_p808(networks.p808, waves, starts, batch_frames // FRAMES_PER_P808_SEGMENT)
            for at, raw_of_clip, p808_of_clip in zip(group, p835, p808, strict=True):
                segments = zip(raw_of_clip.cpu().numpy(), p808_of_clip, strict=True)
                ratings[at] = _mean([[*_to_mos(networks, raw), mos] for raw, mos in segments])
    return [ratings[at] for at in range(len(clips))]


def _rate_p808(
    network: P808, clips: Sequence[torch.Tensor], starts: Sequence[Sequence[int]], batch_size: int
) -> list[list[float]]:
    """Return P.808 of each segment; equal segments of a repeated clip are rated once."""
    import torch

    keys = [[(at, start % len(clips[at])) for start in clip_starts] for at, clip_starts in enumerate(starts)]
    unique = list(dict.fromkeys(key for clip_keys in keys for key in clip_keys))
    segment = torch.arange(SEGMENT, device=clips[0].device)
    ratings: dict[tuple[int, int], float] = {}
    for first in range(0, len(unique), batch_size):
        part = unique[first : first + batch_size]
        segments = torch.stack([clips[at][(start + segment) % len(clips[at])] for at, start in part])
        ratings |= zip(part, network(segments)[:, 0].tolist(), strict=True)
    return [[ratings[key] for key in clip_keys] for clip_keys in keys]


def _starts(length: int, all_segments: bool) -> list[int]:
    # a short clip is repeated, so that segments a multiple of its length apart are equal and are rated once
    return [start % length for start in segment_starts(length, all_segments=all_segments)]


def _to_mos(networks: Networks | TorchNetworks, raw: NDArray[np.float32]) -> list[float]:
    """Return SIG, BAK and OVRL from the raw output of the P.835 network."""
    return [float(np.polyval(powers, value)) for powers, value in zip(networks.polynomials, raw, strict=True)]


def _mean(ratings: Sequence[Sequence[float]]) -> dict[str, float]:
    sig, bak, ovrl, p808 = (float(value) for value in np.mean(ratings, axis=0))
    return dict(zip(COLUMNS, (ovrl, sig, bak, p808), strict=True))


def segment_starts(length: int, *, all_segments: bool = False) -> list[int]:
    """Return the starts of the 9.01 s segments of a clip, one a second; a short clip is repeated by doubling.

    The published script computes the end of a slice in floating point: its segments 7 to 23 and 119 to 122 are one
    sample short and are dropped, and so is the last full segment of many clips. ``all_segments`` counts in integers.

    Args:
        length: samples of the clip at 16 kHz, at least one.
        all_segments: True for each full segment, see ``dnsmos``.

    Raises:
        ValueError: no samples.
    """
    if length < 1:
        raise ValueError("DNSMOS needs at least one sample")
    while length < SEGMENT:
        length *= 2
    rate = SAMPLE_RATE
    if all_segments:
        return list(range(0, length - SEGMENT + 1, rate))
    hops = int(length // rate - SEGMENT_S) + 1
    return [hop * rate for hop in range(hops) if int((hop + SEGMENT_S) * rate) - hop * rate == SEGMENT]


def _segment(samples: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    return np.take(samples, np.arange(start, start + SEGMENT), mode="wrap")


def _rate(segment: NDArray[np.float32], networks: Networks) -> list[float]:
    """Return SIG, BAK, OVRL and P.808 of one segment, float32 ``(144160,)``."""
    raw = networks.p835.run(None, {"input_1": segment[None]})[0][0]
    p808 = networks.p808.run(None, {"input_1": log_mel(segment[:-HOP_LENGTH])[None]})[0][0, 0]
    return [*_to_mos(networks, raw), float(p808)]


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features of the P.808 network, ``(1 + n // 160, 120)``: mel in dB below the maximum, rescaled.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``.
    """
    import librosa

    spectrum = librosa.stft(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, pad_mode="constant")
    decibels = librosa.power_to_db(_mel_filters() @ np.abs(spectrum) ** 2, ref=np.max)
    features: NDArray[np.float32] = ((decibels + 40) / 40).T.astype(np.float32)
    return features


@cache
def _mel_filters() -> NDArray[np.float32]:
    import librosa

    filters: NDArray[np.float32] = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)
    return filters


def load_networks(p835: Path, p808: Path, *, personalized: bool = False) -> Networks:
    """Load the two ONNX files in onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = common.usable_threads()
    options.log_severity_level = 3  # errors only: the opset warnings of the files are expected
    p835_session, p808_session = (
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]) for path in (p835, p808)
    )
    return Networks(p835_session, p808_session, PERSONALIZED if personalized else REGULAR)


def load_torch_networks(p835: Path, p808: Path, *, personalized: bool = False, device: str = "cpu") -> TorchNetworks:
    """Load the two networks in PyTorch with the weights of the ONNX files (needs the package ``onnx``)."""
    from f2v_bench.nn.mos.dnsmos import load_p808, load_p835

    polynomials = PERSONALIZED if personalized else REGULAR
    return TorchNetworks(load_p835(p835, device), load_p808(p808, device), polynomials, device)


def _column(name: str, label: str, definition: str, *, headline: bool = False) -> Column:
    return Column(name, label, "MOS", higher_is_better=True, lower=1, upper=5, definition=definition, headline=headline)


class DNSMOS(Metric):
    """DNSMOS P.835 and P.808.

    Setting ``compat``: ``reference`` (default) rates the segments of the published script, as published values do,
    ``all-segments`` each full one. Setting ``personalized``: ``true`` takes the personalized P.835 network. Setting
    ``backend``: ``torch`` (default), or ``onnx`` for the published files in onnxruntime, on the CPU.
    """

    name = "dnsmos"
    needs = frozenset()
    sample_rate = SAMPLE_RATE
    on_device = True
    batch_size = 64
    columns = (
        _column("dnsmos_ovrl", "DNSMOS OVRL", "DNSMOS P.835, overall; ends at 3.93 for raw 5.", headline=True),
        _column("dnsmos_sig", "DNSMOS SIG", "DNSMOS P.835, speech signal; ends at 4.01 for raw 5."),
        _column("dnsmos_bak", "DNSMOS BAK", "DNSMOS P.835, absence of background; ends at 4.36 for raw 5."),
        _column("dnsmos_p808", "DNSMOS P.808", "DNSMOS P.808, overall.", headline=True),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        settings = common.parse_settings(
            self.options,
            self.name,
            {
                "compat": ("reference", "all-segments"),
                "personalized": ("false", "true"),
                "backend": ("", "onnx", "torch"),
            },
            renamed=RENAMED_SETTINGS,
        )
        self._uses_torch = self._select_torch(settings["backend"])
        self._all_segments = settings["compat"] == "all-segments"
        self._is_personalized = settings["personalized"] == "true"
        try:
            self._p835 = require_asset(PERSONALIZED_ASSET if self._is_personalized else "dnsmos-p835")
            self._p808 = require_asset("dnsmos-p808")
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing

    @cached_property
    def _networks(self) -> Networks:
        return load_networks(self._p835, self._p808, personalized=self._is_personalized)

    def _select_torch(self, backend: str) -> bool:
        has_onnx = find_spec("onnx") is not None
        if backend == "torch" and not has_onnx:
            raise MetricUnavailable(
                self.name, "the package onnx, which reads the weights for torch, is missing", "uv pip install onnx"
            )
        return backend == "torch" or (not backend and has_onnx)

    @cached_property
    def _torch_networks(self) -> TorchNetworks:
        return load_torch_networks(
            self._p835, self._p808, personalized=self._is_personalized, device=self.options.device
        )

    @property
    def signature(self) -> str:
        return common.signature(
            "dnsmos:v1",
            f"p835:{'personalized-' if self._is_personalized else ''}{file_sha256(self._p835)[:12]}",
            f"p808:{file_sha256(self._p808)[:12]}",
            f"compat:{'all-segments' if self._all_segments else 'reference'}",
            "beyond-1:clipped",
            f"backend:{'torch' if self._uses_torch else 'onnx'}",
            packages=("librosa", "torch" if self._uses_torch else "onnxruntime"),
            aggregate="segment-mean/clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.score_valid(batch, _check, self._score_checked)

    def _score_checked(self, batch: Sequence[Sample]) -> list[Scores]:
        clips = [sample.audio.samples for sample in batch]
        if self._uses_torch:
            ratings = dnsmos_torch(clips, self._torch_networks, all_segments=self._all_segments)
        else:
            ratings = [dnsmos(samples, self._networks, all_segments=self._all_segments) for samples in clips]
        return [
            Scores(values, detail={"clipped_samples": int(np.count_nonzero(np.abs(samples) > 1))})
            for values, samples in zip(ratings, clips, strict=True)
        ]


def _check(sample: Sample) -> None:
    """Raise ClipFailure for a silent clip."""
    common.require_sound(sample.audio.samples, "audio")
