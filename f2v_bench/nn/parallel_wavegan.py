"""Parallel WaveGAN's generator, with the names of kan-bayashi's public checkpoints.

Yamamoto, Song, Kim, "Parallel WaveGAN: a fast waveform generation model based on generative adversarial networks with
multi-resolution spectrogram" (ICASSP 2020): a WaveNet without recursion that filters noise, told by a mel spectrogram
that is upsampled to the rate of samples. Here at 24 kHz, hop 300, as its LibriTTS and VCTK recipes train it.

It is read, not trained, so weights are plain: weight norm's ``weight_g`` and ``weight_v`` are folded on loading. Mean
and deviation of the corpus's mels, which the checkpoints want subtracted and divided, are the buffers ``mean`` and
``scale``, as ``register_stats`` of the published code makes them.
"""

from __future__ import annotations

import math
import tarfile
import zlib
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoint import load_weights, read_checkpoint
from f2v_bench.signal.mel_24k import HOP, N_MELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

UPSAMPLE = (4, 5, 3, 5)  # 300 samples of a frame
NEAR = 2  # frames on either side that the first layer over the mel sees
KERNEL = 3
CHUNK = 400  # frames that go through the generator at once, 5 s
_STATS = "stats.h5"
_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError)
_GET_READER = "install h5py: uv sync --extra pwg"


class ResidualBlock(nn.Module):
    """A dilated convolution with a gate that the mel opens; what it says goes on and, beside that, straight to the end.

    Args:
        channels: of what goes on; the convolution makes twice as many.
        dilation: of its taps.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 2 * channels, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation)
        self.conv1x1_aux = nn.Conv1d(N_MELS, 2 * channels, 1, bias=False)
        self.conv1x1_out = nn.Conv1d(channels, channels, 1)
        self.conv1x1_skip = nn.Conv1d(channels, channels, 1)

    def forward(self, x: torch.Tensor, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(B, C, n)`` and the mel ``(B, 80, n)`` to what goes on and what is kept, ``(B, C, n)`` each."""
        value, gate = (self.conv(x) + self.conv1x1_aux(mel)).chunk(2, dim=1)
        said = torch.tanh(value) * torch.sigmoid(gate)
        return (self.conv1x1_out(said) + x) * math.sqrt(0.5), self.conv1x1_skip(said)


class Upsampling(nn.Module):
    """Mels at the rate of samples: repeated, and smoothed over time by one kernel for all bins, factor by factor."""

    def __init__(self) -> None:
        super().__init__()
        self.up_layers = nn.Sequential()
        for factor in UPSAMPLE:
            self.up_layers.append(nn.Upsample(scale_factor=(1, factor)))
            self.up_layers.append(nn.Conv2d(1, 1, (1, 2 * factor + 1), padding=(0, factor), bias=False))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """``(B, 80, T)`` to ``(B, 80, 300 T)``."""
        out: torch.Tensor = self.up_layers(mel[:, None])[:, 0]
        return out


class Conditioning(nn.Module):
    """Five frames at a time, then upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv1d(N_MELS, N_MELS, 2 * NEAR + 1, bias=False)
        self.upsample = Upsampling()

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """``(B, 80, T)`` to ``(B, 80, 300 T)``; the first and the last frame go on beyond their ends."""
        out: torch.Tensor = self.upsample(self.conv_in(functional.pad(mel, (NEAR, NEAR), mode="replicate")))
        return out


class ParallelWaveGAN(nn.Module):
    """Decimal-log mel ``(B, T, 80)`` and noise ``(B, 300 T)`` to samples ``(B, 300 T)`` at 24 kHz.

    Args:
        layers: residual blocks.
        stacks: rounds of dilations 1, 2, 4, ...; they divide the layers.
        channels: of a block.

    Attributes:
        context: frames on either side of its own that a sample depends on at most.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, layers: int = 30, stacks: int = 3, channels: int = 64) -> None:
        super().__init__()
        dilations = [2 ** (layer % (layers // stacks)) for layer in range(layers)]
        self.context = context_frames(dilations)
        self.register_buffer("mean", torch.zeros(N_MELS))
        self.register_buffer("scale", torch.ones(N_MELS))
        self.first_conv = nn.Conv1d(1, channels, 1)
        self.upsample_net = Conditioning()
        self.conv_layers = nn.ModuleList(ResidualBlock(channels, dilation) for dilation in dilations)
        self.last_conv_layers = nn.Sequential(
            nn.ReLU(), nn.Conv1d(channels, channels, 1), nn.ReLU(), nn.Conv1d(channels, 1, 1)
        )

    def forward(self, mel: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        told = self.upsample_net(((mel - self.mean) / self.scale).transpose(1, 2))  # (B, 80, 300 T)
        x = self.first_conv(noise[:, None])  # (B, C, 300 T)
        kept = torch.zeros_like(x)
        for block in self.conv_layers:
            x, skip = block(x, told)
            kept = kept + skip
        samples: torch.Tensor = self.last_conv_layers(kept * math.sqrt(1 / len(self.conv_layers)))[:, 0]
        return samples.float()


def context_frames(dilations: list[int]) -> int:
    """Frames on either side that reach a sample, counted back from the samples through every layer."""
    reach = KERNEL // 2 * sum(dilations)  # samples
    for factor in reversed(UPSAMPLE):
        reach = -(-(reach + factor) // factor)  # a kernel of 2 factor + 1, then repetition
    return reach + NEAR


def vocode(
    generator: ParallelWaveGAN, mel: NDArray[np.float32], rng: np.random.Generator, chunk: int = CHUNK
) -> NDArray[np.float32]:
    """Samples of one clip, in pieces that know enough of their neighbours to equal the whole.

    Args:
        generator: in evaluation mode, on any device.
        mel: float32 ``(T, 80)``, decimal logarithms, see ``f2v_bench.signal.mel_24k``.
        rng: draws the noise.
        chunk: frames of a piece.

    Returns:
        float32 ``(300 T,)`` at 24 kHz, in [-1, 1].
    """
    if mel.ndim != 2 or mel.shape[1] != N_MELS:
        raise ValueError(f"a mel spectrogram is (T, {N_MELS}), got {mel.shape}")
    samples = np.empty(HOP * len(mel), np.float32)
    device = generator.mean.device
    with torch.inference_mode():
        told = torch.from_numpy(mel)[None].to(device, torch.float32)  # (1, T, 80)
        noise = torch.from_numpy(rng.standard_normal((1, HOP * len(mel)), np.float32)).to(device)
        for start in range(0, len(mel), chunk):
            end = min(start + chunk, len(mel))
            first, last = max(start - generator.context, 0), min(end + generator.context, len(mel))
            piece = generator(told[:, first:last], noise[:, HOP * first : HOP * last])
            made = piece[0, HOP * (start - first) : HOP * (end - first)]
            samples[HOP * start : HOP * end] = made.clamp(-1, 1).cpu().numpy()
    return samples


def load_parallel_wavegan(path: Path, get_again: str) -> ParallelWaveGAN:
    """The generator of a public archive, ready for inference.

    Args:
        path: the archive as it is published, ``.tar.gz``: a checkpoint, and ``stats.h5`` unless the checkpoint holds
            the statistics itself.
        get_again: how a person gets a sound copy, for the error message.

    Raises:
        F2VError: another file, other sizes, or h5py is missing.
    """
    with TemporaryDirectory() as folder:
        checkpoint, stats = _unpacked(path, Path(folder), get_again)
        state = _generator_of(read_checkpoint(checkpoint, get_again))
        if stats is not None:
            state |= _statistics(stats, path, get_again)
    generator = ParallelWaveGAN()
    load_weights(generator, folded(state), path, get_again)
    return generator


def check_archive(path: Path, get_again: str) -> None:
    """Refuse, before the long work, an archive that cannot be read here.

    Raises:
        F2VError: no archive of a checkpoint, or h5py is missing.
    """
    with _opened(path, get_again) as archive:
        members = _members(archive, path, get_again)
    if _STATS in members and find_spec("h5py") is None:
        raise F2VError(f"the statistics '{_STATS}' in '{path}' need the package h5py, which is not here", _GET_READER)


def folded(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights without weight norm: ``weight`` = ``weight_g`` ``weight_v`` / |``weight_v``|; others stay as they are."""
    plain = {name: one for name, one in state.items() if not name.endswith((".weight_g", ".weight_v"))}
    for name, direction in state.items():
        length = state.get(f"{name.removesuffix('_v')}_g")
        if name.endswith(".weight_v") and length is not None:
            norm = direction.flatten(1).norm(dim=1).view(length.shape)
            plain[name.removesuffix("_v")] = length * direction / norm
    return plain


def _opened(path: Path, get_again: str) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except _UNREADABLE as error:
        raise F2VError(f"'{path}' cannot be read as an archive: {error}", get_again) from error


def _members(archive: tarfile.TarFile, path: Path, get_again: str) -> dict[str, tarfile.TarInfo]:
    """The checkpoint of the most steps as ``checkpoint``, and ``stats.h5`` where it is there, in whatever folder."""
    try:
        files = {Path(member.name).name: member for member in archive.getmembers() if member.isreg()}
    except _UNREADABLE as error:
        raise F2VError(f"'{path}' cannot be read as an archive: {error}", get_again) from error
    steps = sorted((name for name in files if fnmatch(name, "checkpoint*.pkl")), key=lambda name: (len(name), name))
    if not steps:
        raise F2VError(f"'{path}' holds no checkpoint*.pkl", get_again)
    return {"checkpoint": files[steps[-1]]} | {name: files[name] for name in (_STATS,) if name in files}


def _unpacked(path: Path, folder: Path, get_again: str) -> tuple[Path, Path | None]:
    """Checkpoint and statistics of an archive as files of a folder."""
    with _opened(path, get_again) as archive:
        members = _members(archive, path, get_again)
        for name, member in members.items():
            content = archive.extractfile(member)
            assert content is not None  # regular files alone
            (folder / name).write_bytes(content.read())
    return folder / "checkpoint", folder / _STATS if _STATS in members else None


def _generator_of(content: Any) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint's generator; none where it is another kind of checkpoint."""
    for part in ("model", "generator"):
        content = content.get(part) if isinstance(content, dict) else None
    found = content if isinstance(content, dict) else {}
    return {name: one for name, one in found.items() if isinstance(one, torch.Tensor)}


def _statistics(file: Path, path: Path, get_again: str) -> dict[str, torch.Tensor]:
    """``mean`` and ``scale``, float32 ``(80,)`` each."""
    try:
        import h5py
    except ImportError as error:
        raise F2VError(f"the statistics '{_STATS}' in '{path}' need the package h5py", _GET_READER) from error
    try:
        with h5py.File(file, "r") as opened:
            return {name: torch.from_numpy(np.ravel(opened[name][()])).float() for name in ("mean", "scale")}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise F2VError(f"'{_STATS}' in '{path}' cannot be read: {error}", get_again) from error
