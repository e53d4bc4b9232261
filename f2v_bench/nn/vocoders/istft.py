"""From mel to samples as a voice does it: pulses and noise, filtered in the domain of the short-time Fourier transform.

ConvNeXt blocks at the frame rate and one inverse transform: Siuzdak, "Vocos: closing the gap between time-domain and
Fourier-based neural vocoders" (ICLR 2024), so that no layer runs at the sample rate and a CPU trains it. What the
transform is of: the source of ``nn.excitation`` (HiFTNet, Li et al. 2023). A network that must make every phase itself
needs days before its vowels are periodic; pulses are so from the first step.

    S = exp(e + a) P exp(i b) + exp(e + c) N      per frame and bin

with P and N the transforms of pulses and noise, e the mel's own envelope, and a, b, c what the blocks say. Choices of
ours: the gains are residuals on the mel's envelope, which an untrained network would take thousands of steps to copy;
beyond a clip's ends the mel is silence, not zeros; blocks are the suite's own.
"""

from __future__ import annotations

from math import log

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.transformer import ConvBlock
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.nn.vocoders.build import VocoderConfig
from f2v_bench.nn.vocoders.excitation import (
    KERNEL,
    Excitation,
    PitchNet,
    excitation_inputs,
    pad_silence,
    standardize_log_f0,
)
from f2v_bench.signal.mel import F_MAX, F_MIN, HOP, N_FFT, N_MELS, mel_filters
from f2v_bench.timing import SAMPLE_RATE

PARTS = 3  # numbers a bin: gain and turn of the pulses, gain of the noise


def envelope(n_fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What makes a flat spectrum's log magnitudes of a log mel: ``(mel - offset) @ shares``.

    A filter of weights W turns a magnitude s that is even over its band into s sum(W): the offset is ln sum(W). Between
    the centres of two filters the shares draw a line.

    Args:
        n_fft: of the transform wanted; a longer one has larger magnitudes than the mel's.

    Returns:
        offset ``(80,)`` and shares ``(80, n_fft / 2 + 1)``, which sum to 1 for each bin.
    """
    import librosa

    lines = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX, norm=None)
    lines[0, 0] = lines[-1, -1] = 1.0  # the outermost bins lie in no filter
    offset = torch.from_numpy(mel_filters().sum(1)).log() - log(n_fft / N_FFT)
    return offset, torch.from_numpy(lines / lines.sum(0)).float()


class InverseSTFT(nn.Module):
    """Spectra to samples by overlap-add, T frames to exactly 160 T samples.

    With frames every 160 samples and n_fft / 2 - 80 samples cut from both ends, frame t is centred on the samples
    160 t to 160 (t + 1), as the frames of ``f2v_bench.signal.mel`` are.

    Args:
        n_fft: samples of a frame, an even multiple of 160.
    """

    window: torch.Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Complex ``(B, T, n_fft / 2 + 1)`` to ``(B, 160 T)``."""
        count = spectrum.shape[1]
        frames = torch.fft.irfft(spectrum, dim=2) * self.window  # (B, T, n_fft)
        energy = self.window.square().expand(1, count, -1)  # (1, T, n_fft)
        cut = (len(self.window) - HOP) // 2
        inside = slice(cut, cut + HOP * count)
        return overlapped(frames)[:, inside] / overlapped(energy)[:, inside]


def overlapped(frames: torch.Tensor) -> torch.Tensor:
    """Frames ``(B, T, n)`` summed where they overlap, each 160 samples after the one before: ``(B, 160 (T - 1) + n)``.

    A frame is n / 160 hops; the k-th hops of all frames form a signal that begins at hop k.
    """
    batch, count, size = frames.shape
    parts = size // HOP
    hops = frames.view(batch, count, parts, HOP)
    out = frames.new_zeros(batch, count + parts - 1, HOP)
    for part in range(parts):
        out[:, part : part + count] += hops[:, :, part]
    return out.flatten(1)


class ForwardSTFT(nn.Module):
    """Samples to spectra, 160 T samples to T frames, cut as ``InverseSTFT`` puts them together; zeros lie beyond.

    White noise of variance 1 has magnitudes of about 1.

    Args:
        n_fft: samples of a frame, an even multiple of 160.
    """

    window: torch.Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        window = torch.hann_window(n_fft)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """``(B, 160 T)`` to complex ``(B, T, n_fft / 2 + 1)``."""
        cut = (len(self.window) - HOP) // 2
        frames = functional.pad(samples, (cut, cut)).unfold(1, len(self.window), HOP)  # (B, T, n_fft)
        spectra: torch.Tensor = torch.fft.rfft(frames * self.window, dim=2)
        return spectra


class ISTFTVocoder(Vocoder):
    """Mel ``(B, T, 80)`` to samples ``(B, 160 T)``: blocks, then what becomes of pulses and noise in every bin.

    Args:
        config: sizes.
        inputs: channels that it takes, the mel's first; the mel alone has F0 and envelope.

    Attributes:
        context: frames on either side of its own that a sample depends on at most, the source apart.
    """

    offset: torch.Tensor
    shares: torch.Tensor

    def __init__(self, config: VocoderConfig, inputs: int = N_MELS) -> None:
        super().__init__()
        self.inputs = inputs
        offset, shares = envelope(config.n_fft)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("shares", shares, persistent=False)
        self.loudest = log(config.n_fft / 2)  # samples within 1 have no magnitude above the window's sum
        self.pitch = PitchNet(config.pitch_width, config.pitch_blocks)
        self.embed = nn.Conv1d(inputs, config.width, KERNEL)
        self.embed_pitch = nn.Linear(2, config.width, bias=False)
        self.embed_norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(ConvBlock(config.width, KERNEL, hidden=config.hidden) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, PARTS * (config.n_fft // 2 + 1))
        self.transform = ForwardSTFT(config.n_fft)
        self.inverse = InverseSTFT(config.n_fft)
        self.context = (config.blocks + 1) * (KERNEL // 2) + config.n_fft // HOP // 2
        for layer in (self.embed, self.head):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def source(self, mel: torch.Tensor, f0: torch.Tensor | None = None) -> Excitation:
        return excitation_inputs(self.pitch.f0(mel[..., :N_MELS]) if f0 is None else f0, vary=self.training)

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.pitch.losses(mel[..., :N_MELS], f0)

    def forward(self, mel: torch.Tensor, source: Excitation | None = None) -> torch.Tensor:
        f0, pulses, noise = source or self.source(mel)
        voiced = f0 > 0
        heard = torch.stack([standardize_log_f0(f0) * voiced, voiced], dim=2)  # (B, T, 2)
        x = self.embed(pad_silence(mel, KERNEL // 2)).transpose(1, 2)  # (B, T, C)
        x = self.embed_norm(x + self.embed_pitch(heard.to(mel.dtype)))
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        for block in self.blocks:
            x = block(x, mask)
        of_pulses, turn, of_noise = self.head(self.norm(x)).float().chunk(PARTS, dim=2)  # (B, T, n_fft / 2 + 1) each
        with torch.autocast(mel.device.type, enabled=False):  # no bfloat16 in transforms and phases
            even = (mel[..., :N_MELS].float() - self.offset) @ self.shares
            filtered = torch.polar(self._gain(even + of_pulses), turn) * self.transform(pulses)
            samples: torch.Tensor = self.inverse(filtered + self._gain(even + of_noise) * self.transform(noise))
        return samples

    def _gain(self, logarithm: torch.Tensor) -> torch.Tensor:
        return logarithm.clamp(max=self.loudest).exp()
