"""Networks of DNSMOS in PyTorch, with the weights of Microsoft's ONNX files, for CPUs and GPUs.

Transcribed from the graphs of ``sig_bak_ovr.onnx`` (P.835) and ``model_v8.onnx`` (P.808): samples or mel spectrogram to
3x3 convolutions, the maximum over time and frequency, and three dense layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.timing import SAMPLE_RATE

FRAME = 320
HOP_LENGTH = 160
FRAMES = 900
FLOOR = 1e-12  # smallest power
N_FFT = 321  # samples, of the P.808 features
N_MELS = 120
DYNAMIC_DB = 80.0


class MOSNet(nn.Module):
    """Convolutions with ReLU, some followed by 2x2 pooling, global maximum, and dense layers.

    Args:
        channels: output channels of each convolution.
        pooled: indices of the convolutions with pooling.
        dense: outputs of each dense layer.
    """

    def __init__(self, channels: Sequence[int], pooled: Sequence[int], dense: Sequence[int]) -> None:
        super().__init__()
        self.pooled = frozenset(pooled)
        before = (1, *channels[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(before, channels, strict=True))
        before = (channels[-1], *dense[:-1])
        self.dense = nn.ModuleList(nn.Linear(i, o) for i, o in zip(before, dense, strict=True))

    def rate(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Map ``(B, frames, bands)`` to ratings ``(B, outputs)``."""
        return self.rate_features(functional.relu_(self.convs[0](spectrogram[:, None])), 0)

    def rate_features(self, x: torch.Tensor, done: int) -> torch.Tensor:
        """Map the output of convolution ``done``, ``(B, channels, frames, bands)``, to ratings ``(B, outputs)``."""
        for index, conv in enumerate(self.convs):
            if index > done:
                x = functional.relu_(conv(x))
            if index >= done and index in self.pooled:
                x = functional.max_pool2d(x, 2)
        x = x.amax((2, 3))
        for layer in self.dense[:-1]:
            x = functional.relu(layer(x))
        out: torch.Tensor = self.dense[-1](x)
        return out


class P835(MOSNet):
    """Samples ``(B, 144160)`` at 16 kHz to raw SIG, BAK and OVRL ``(B, 3)``."""

    def __init__(self) -> None:
        super().__init__((128, 64, 64, 32, 32, 32, 64), (3, 4, 5), (128, 64, 3))
        # a learned transform, initialized as a discrete Fourier transform
        self.real = nn.Parameter(torch.zeros(FRAME // 2 + 1, FRAME))
        self.imaginary = nn.Parameter(torch.zeros(FRAME // 2 + 1, FRAME))

    def log_power(self, samples: torch.Tensor) -> torch.Tensor:
        """Compute the log power spectrogram of samples ``(B, n)``, ``(B, n // 160 - 1, 161)``."""
        frames = samples.unfold(1, FRAME, HOP_LENGTH)
        power = functional.linear(frames, self.real).square() + functional.linear(frames, self.imaginary).square()
        return power.clamp(min=FLOOR).log10()

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.rate(self.log_power(samples))  # 900 frames


class P808(MOSNet):
    """Samples ``(B, 144160)`` at 16 kHz to the P.808 rating ``(B, 1)``; the last 160 samples are not used."""

    def __init__(self) -> None:
        super().__init__((32, 32, 32, 32, 64), (0, 1, 3), (64, 64, 1))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.rate(log_mel(samples[:, :-HOP_LENGTH]))


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Compute ``metrics.dnsmos.log_mel`` of a batch ``(B, n)``: ``(B, 1 + n // 160, 120)``, 0 dB at each maximum."""
    window = torch.hann_window(N_FFT, device=samples.device)
    spectrum = torch.stft(samples, N_FFT, HOP_LENGTH, window=window, pad_mode="constant", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    mel = torch.from_numpy(_mel_filters()).to(samples.device) @ power
    decibels = 10 * mel.clamp(min=1e-10).log10()
    decibels = (decibels - decibels.amax((1, 2), keepdim=True)).clamp(min=-DYNAMIC_DB)
    return ((decibels + 40) / 40).transpose(1, 2)


@cache
def _mel_filters() -> np.ndarray[Any, np.dtype[np.float32]]:
    import librosa

    filters: np.ndarray[Any, np.dtype[np.float32]] = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)
    return filters


def load_p835(path: Path, device: str = "cpu") -> P835:
    """Load the P.835 network with the weights of its ONNX file, regular or personalized.

    Raises:
        F2VError: the file is another network.
    """
    network = P835()
    _fill(network, path, spectra=("real", "imaginary"))
    return network.to(device)


def load_p808(path: Path, device: str = "cpu") -> P808:
    """Load the P.808 network with the weights of its ONNX file.

    Raises:
        F2VError: the file is another network.
    """
    network = P808()
    _fill(network, path)
    return network.to(device)


def _fill(network: MOSNet, path: Path, spectra: Sequence[str] = ()) -> None:
    """Load the constants of the graph's convolutions, ``spectra`` first, and of its matrix products, in order."""
    convolutions, products = _read_constants(path)
    state = {name: kernel[0].squeeze(-1) for name, kernel in zip(spectra, convolutions, strict=False)}
    for at, constants in enumerate(convolutions[len(spectra) :]):
        state |= {f"convs.{at}.{kind}": tensor for kind, tensor in zip(("weight", "bias"), constants, strict=False)}
    for at, (matrix, *bias) in enumerate(products):
        state |= {f"dense.{at}.weight": matrix.T, **{f"dense.{at}.bias": tensor for tensor in bias}}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise F2VError(
            f"'{path}' is no {type(network).__name__} network of DNSMOS: {str(error).splitlines()[-1].strip()}",
            "uv pip install --reinstall speechmos",
        ) from error
    network.requires_grad_(False).eval()
    for conv in network.convs:
        conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs


def _read_constants(path: Path) -> tuple[list[list[torch.Tensor]], list[list[torch.Tensor]]]:
    """Read the constants of each convolution, and of each matrix product with its bias, in the graph's order."""
    import onnx

    graph = onnx.load(str(path)).graph
    values = {item.name: torch.from_numpy(onnx.numpy_helper.to_array(item).copy()) for item in graph.initializer}
    convolutions: list[list[torch.Tensor]] = []
    products: list[list[torch.Tensor]] = []
    for node in graph.node:
        constants = [values[name] for name in node.input if name in values]
        if node.op_type == "Conv":
            convolutions.append(constants)
        elif node.op_type == "MatMul":
            products.append(constants)
        elif node.op_type == "Add" and products:
            products[-1] += constants
    return convolutions, products
