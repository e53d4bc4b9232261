"""DNSMOS: predicted listener ratings of speech (SIG), background (BAK) and the whole (OVRL), without a reference.

Reddy, Gopal and Cutler, "DNSMOS P.835" (ICASSP 2022) and "DNSMOS" (P.808, ICASSP 2021). The networks are Microsoft's
ONNX files, transcribed to PyTorch with the same weights, or run through onnxruntime; features, segments and
polynomials are those of the published script, so that a clip's value is that of the package ``speechmos``. DNSMOS
cannot hear content: real speech of another clip scores like the right one. With raw outputs up to 5 the polynomials
end at SIG 4.01, BAK 4.36 and OVRL 3.93.
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
N_FFT = 321  # the script's frame of 320 plus one; 320 would move P.808 by 0.09
HOP_LENGTH = 160
N_MELS = 120
COLUMNS = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")
FRAMES_AT_ONCE = {"cpu": 1032, "cuda": 16 * 1032}  # of the P.835 network in PyTorch, where a frame takes 0.2 MB
P808_SHARE = 129  # frames of the one for a segment of the other: 8 segments at once on the processor

#: raw network output to MOS, highest power first, in the network's order SIG, BAK, OVRL
REGULAR = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
PERSONALISED = (
    (-0.01019296, 0.02751166, 1.19576786, -0.24348726),
    (-0.04976499, 0.44276479, -0.1644611, 0.96883132),
    (-0.00533021, 0.005101, 1.18058466, -0.11236046),
)


@dataclass(frozen=True, slots=True)
class Networks:
    """The two networks and the polynomials that belong to the first.

    Attributes:
        p835: onnxruntime session, raw samples ``(1, 144160)`` to raw SIG, BAK, OVRL ``(1, 3)``.
        p808: onnxruntime session, log-mel ``(1, 900, 120)`` to MOS ``(1, 1)``.
        polynomials: ``REGULAR`` or ``PERSONALISED``.
    """

    p835: Any
    p808: Any
    polynomials: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TorchNetworks:
    """The same in PyTorch.

    Attributes:
        p835, p808: both know raw samples ``(B, 144160)``.
        polynomials: as ``Networks``.
        device: where the two are.
    """

    p835: P835
    p808: P808
    polynomials: tuple[tuple[float, ...], ...]
    device: str


def dnsmos(samples: NDArray[np.float32], networks: Networks, *, all_segments: bool = False) -> dict[str, float]:
    """Mean of the segments' ratings.

    Args:
        samples: float32 ``(n,)`` at 16 kHz; what exceeds [-1, 1] is clipped, as it would be in a file.
        networks: from ``load_networks``.
        all_segments: rate every whole segment, instead of those that the published script rates.

    Returns:
        ``dnsmos_ovrl``, ``dnsmos_sig``, ``dnsmos_bak`` and ``dnsmos_p808``, about 1 to 5.
    """
    clipped = np.clip(samples, -1, 1)
    starts = _starts(len(clipped), all_segments)
    ratings = {start: _rate(_segment(clipped, start), networks) for start in dict.fromkeys(starts)}
    return _mean([ratings[start] for start in starts])


def dnsmos_torch(
    clips: Sequence[NDArray[np.float32]], networks: TorchNetworks, *, all_segments: bool = False
) -> list[dict[str, float]]:
    """``dnsmos`` of many clips by the PyTorch networks, within 1e-4, with less work: see ``nn.dnsmos_segments``.

    Args:
        clips: float32 ``(n,)`` each, as ``dnsmos`` takes them.
        networks: from ``load_torch_networks``.
        all_segments: see ``dnsmos``.
    """
    import torch

    from f2v_bench.nn.layers.masking import length_batches
    from f2v_bench.nn.layers.precision import reference_precision
    from f2v_bench.nn.mos.dnsmos_segments import rate_segments

    at_once = FRAMES_AT_ONCE[networks.device.partition(":")[0]]
    together = 1 if networks.device == "cpu" else at_once  # clip by clip is as fast there, and the same to the last bit
    found: dict[int, dict[str, float]] = {}
    with reference_precision(), torch.inference_mode():
        for group in length_batches([len(samples) // HOP_LENGTH + 1 for samples in clips], together):
            heard = [torch.from_numpy(clips[at]).to(networks.device).clamp(-1, 1) for at in group]
            starts = [segment_starts(len(samples), all_segments=all_segments) for samples in heard]
            raw = rate_segments(networks.p835, heard, starts, at_once)
            p808 = _p808(networks.p808, heard, starts, at_once // P808_SHARE)
            for at, three, one in zip(group, raw, p808, strict=True):
                values = zip(three.cpu().numpy(), one, strict=True)
                found[at] = _mean([[*_rated(networks, p835), last] for p835, last in values])
    return [found[at] for at in range(len(clips))]


def _p808(
    network: P808, clips: Sequence[torch.Tensor], starts: Sequence[Sequence[int]], at_once: int
) -> list[list[float]]:
    """P.808 of each segment; those an exact number of repeats apart are the same, and are rated once."""
    import torch

    places = [[(at, start % len(clips[at])) for start in begins] for at, begins in enumerate(starts)]
    apart = list(dict.fromkeys(place for some in places for place in some))
    segment = torch.arange(SEGMENT, device=clips[0].device)
    rated: dict[tuple[int, int], float] = {}
    for first in range(0, len(apart), at_once):
        part = apart[first : first + at_once]
        heard = torch.stack([clips[at][(start + segment) % len(clips[at])] for at, start in part])
        rated |= zip(part, network(heard)[:, 0].tolist(), strict=True)
    return [[rated[place] for place in some] for some in places]


def _starts(length: int, all_segments: bool) -> list[int]:
    # A short clip repeats itself, so that segments an exact number of repeats apart are the same: rate them once.
    return [start % length for start in segment_starts(length, all_segments=all_segments)]


def _rated(networks: Networks | TorchNetworks, raw: NDArray[np.float32]) -> list[float]:
    """SIG, BAK and OVRL of the P.835 network's raw output."""
    return [float(np.polyval(powers, value)) for powers, value in zip(networks.polynomials, raw, strict=True)]


def _mean(ratings: Sequence[Sequence[float]]) -> dict[str, float]:
    sig, bak, ovrl, p808 = (float(value) for value in np.mean(ratings, axis=0))
    return dict(zip(COLUMNS, (ovrl, sig, bak, p808), strict=True))


def segment_starts(length: int, *, all_segments: bool = False) -> list[int]:
    """Where the 9.01 s segments of a clip begin, one a second, counted in the clip repeated by doubling.

    The published script computes a slice's end in floating point: its segments 7 to 23 and 119 to 122 come out one
    sample short and are dropped, and so is the last whole segment of many clips. ``all_segments`` counts in integers.

    Args:
        length: samples of the clip at 16 kHz, at least one.
        all_segments: see ``dnsmos``.

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
    """SIG, BAK, OVRL and P.808 of float32 ``(144160,)``."""
    raw = networks.p835.run(None, {"input_1": segment[None]})[0][0]
    p808 = networks.p808.run(None, {"input_1": log_mel(segment[:-HOP_LENGTH])[None]})[0][0, 0]
    return [*_rated(networks, raw), float(p808)]


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The P.808 network's features of float32 ``(n,)``: ``(1 + n // 160, 120)``, 0 dB at the maximum, affine."""
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


def load_networks(p835: Path, p808: Path, *, personalised: bool = False) -> Networks:
    """Open the two ONNX files on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = common.usable_threads()
    options.log_severity_level = 3  # errors: the files' opset warnings are no news
    raw, mel = (
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]) for path in (p835, p808)
    )
    return Networks(raw, mel, PERSONALISED if personalised else REGULAR)


def load_torch_networks(p835: Path, p808: Path, *, personalised: bool = False, device: str = "cpu") -> TorchNetworks:
    """The two networks in PyTorch with the weights of the ONNX files (needs the package ``onnx``)."""
    from f2v_bench.nn.mos.dnsmos import load_p808, load_p835

    polynomials = PERSONALISED if personalised else REGULAR
    return TorchNetworks(load_p835(p835, device), load_p808(p808, device), polynomials, device)


def _column(name: str, label: str, definition: str, *, headline: bool = False) -> Column:
    return Column(name, label, "MOS", higher_is_better=True, lower=1, upper=5, definition=definition, headline=headline)


class DNSMOS(Metric):
    """DNSMOS P.835 and P.808.

    Setting ``compat``: ``reference`` (default) rates the segments that the published script and the papers' numbers
    rest on, ``all-segments`` every one. Setting ``personalised``: ``true`` takes the personalised P.835 network.
    Setting ``backend``: ``torch`` (default), or ``onnx`` for the published files in onnxruntime, on the CPU.
    """

    name = "dnsmos"
    needs = frozenset()
    sample_rate = SAMPLE_RATE
    on_device = True
    batch_size = 64
    columns = (
        _column("dnsmos_ovrl", "DNSMOS OVRL", "DNSMOS P.835, overall; ends at 3.93 for raw 5.", headline=True),
        _column("dnsmos_sig", "DNSMOS SIG", "DNSMOS P.835, the speech itself; ends at 4.01 for raw 5."),
        _column("dnsmos_bak", "DNSMOS BAK", "DNSMOS P.835, absence of background; ends at 4.36 for raw 5."),
        _column("dnsmos_p808", "DNSMOS P.808", "DNSMOS P.808, overall.", headline=True),
    )

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        settings = common.parse_settings(
            options,
            self.name,
            {
                "compat": ("reference", "all-segments"),
                "personalised": ("false", "true"),
                "backend": ("", "onnx", "torch"),
            },
        )
        self._torch = self._takes_torch(settings["backend"])
        self._all_segments = settings["compat"] == "all-segments"
        self._personalised = settings["personalised"] == "true"
        try:
            self._p835 = require_asset("dnsmos-p835-personalised" if self._personalised else "dnsmos-p835")
            self._p808 = require_asset("dnsmos-p808")
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing

    @cached_property
    def _networks(self) -> Networks:
        return load_networks(self._p835, self._p808, personalised=self._personalised)

    def _takes_torch(self, wanted: str) -> bool:
        readable = find_spec("onnx") is not None
        if wanted == "torch" and not readable:
            raise MetricUnavailable(
                self.name, "the package onnx, which reads the weights for torch, is missing", "uv pip install onnx"
            )
        return wanted == "torch" or (not wanted and readable)

    @cached_property
    def _torch_networks(self) -> TorchNetworks:
        return load_torch_networks(self._p835, self._p808, personalised=self._personalised, device=self.options.device)

    @property
    def signature(self) -> str:
        return common.signature(
            "dnsmos:v1",
            f"p835:{'personalised-' if self._personalised else ''}{file_sha256(self._p835)[:12]}",
            f"p808:{file_sha256(self._p808)[:12]}",
            f"compat:{'all-segments' if self._all_segments else 'reference'}",
            "beyond-1:clipped",
            f"backend:{'torch' if self._torch else 'onnx'}",
            packages=("librosa", "torch" if self._torch else "onnxruntime"),
            aggregate="segment-mean/clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.score_valid(batch, _checked, self._score_checked)

    def _score_checked(self, batch: Sequence[Sample]) -> list[Scores]:
        clips = [sample.audio.samples for sample in batch]
        if self._torch:
            rated = dnsmos_torch(clips, self._torch_networks, all_segments=self._all_segments)
        else:
            rated = [dnsmos(samples, self._networks, all_segments=self._all_segments) for samples in clips]
        return [
            Scores(values, detail={"clipped_samples": int(np.count_nonzero(np.abs(samples) > 1))})
            for values, samples in zip(rated, clips, strict=True)
        ]


def _checked(sample: Sample) -> Scores:
    """No rating yet, but a clip that can have one; else a ClipFailure."""
    common.require_sound(sample.audio.samples, "audio")
    return Scores({})
