"""Source-filter vocoder: pulses and noise, filtered in the domain of the short-time Fourier transform.

ConvNeXt blocks at the frame rate and one inverse transform: Siuzdak, "Vocos: closing the gap between time-domain and
Fourier-based neural vocoders" (ICLR 2024). No layer runs at the sample rate, so that training on a CPU is possible. The
input of the filters is the excitation of ``nn.vocoders.excitation`` (HiFTNet, Li et al. 2023): a network that generates
all phases needs days of training before its vowels are periodic, and pulses are periodic from the first step.

    S = exp(e + a) P exp(i b) + exp(e + c) N      per frame and bin

with P and N the transforms of pulses and noise, e the envelope of the mel, and a, b, c the outputs of the blocks.
Choices: the gains are residuals on the mel's envelope, which an untrained network would need thousands of steps to
copy; beyond a clip's ends the mel is silence, not zeros; blocks are those of ``nn.layers.transformer``.
"""

from __future__ import annotations

from math import log

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.transformer import ConvBlock
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.nn.vocoders.config import VocoderConfig
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

PARTS = 3  # outputs per bin: gain and phase of the pulses, gain of the noise


def envelope(n_fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the linear map from a log mel to the log magnitudes of its envelope, ``(mel - offset) @ weights``.

    A filter of weights W maps a magnitude s that is constant over its band to s sum(W): the offset is ln sum(W).
    Between the centers of two filters the envelope is linear.

    Args:
        n_fft: samples of the transform; a longer one has larger magnitudes than the mel's.

    Returns:
        Offset ``(80,)`` and weights ``(80, n_fft / 2 + 1)``, whose sum is 1 for each bin.
    """
    import librosa

    lines = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX, norm=None)
    lines[0, 0] = lines[-1, -1] = 1.0  # the outermost bins are in no filter
    offset = torch.from_numpy(mel_filters().sum(1)).log() - log(n_fft / N_FFT)
    return offset, torch.from_numpy(lines / lines.sum(0)).float()


class InverseSTFT(nn.Module):
    """Inverse short-time Fourier transform by overlap-add, T frames to exactly 160 T samples.

    With frames every 160 samples and n_fft / 2 - 80 samples cut from both ends, frame t is centered on the samples
    160 t to 160 (t + 1), like the frames of ``f2v_bench.signal.mel``.

    Args:
        n_fft: samples of a frame, an even multiple of 160.
    """

    window: torch.Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Map complex spectra ``(B, T, n_fft / 2 + 1)`` to samples ``(B, 160 T)``."""
        count = spectrum.shape[1]
        frames = torch.fft.irfft(spectrum, dim=2) * self.window  # (B, T, n_fft)
        energy = self.window.square().expand(1, count, -1)  # (1, T, n_fft)
        cut = (len(self.window) - HOP) // 2
        inside = slice(cut, cut + HOP * count)
        return overlap_add(frames)[:, inside] / overlap_add(energy)[:, inside]


def overlap_add(frames: torch.Tensor) -> torch.Tensor:
    """Sum overlapping frames ``(B, T, n)`` at a distance of 160 samples: ``(B, 160 (T - 1) + n)``.

    A frame has n / 160 hops; the k-th hops of all frames form a signal that starts at hop k.
    """
    batch, count, size = frames.shape
    parts = size // HOP
    hops = frames.view(batch, count, parts, HOP)
    out = frames.new_zeros(batch, count + parts - 1, HOP)
    for part in range(parts):
        out[:, part : part + count] += hops[:, :, part]
    return out.flatten(1)


class ForwardSTFT(nn.Module):
    """Short-time Fourier transform, 160 T samples to T frames at the positions of ``InverseSTFT``, with zero padding.

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
        """Map samples ``(B, 160 T)`` to complex spectra ``(B, T, n_fft / 2 + 1)``."""
        cut = (len(self.window) - HOP) // 2
        frames = functional.pad(samples, (cut, cut)).unfold(1, len(self.window), HOP)  # (B, T, n_fft)
        spectra: torch.Tensor = torch.fft.rfft(frames * self.window, dim=2)
        return spectra


class ISTFTVocoder(Vocoder):
    """Log mel spectrogram ``(B, T, 80)`` to samples ``(B, 160 T)`` by filters on pulses and noise.

    Args:
        config: sizes.
        inputs: channels of the input, the mel's first; F0 and envelope are those of the mel.
    """

    offset: torch.Tensor
    weights: torch.Tensor

    def __init__(self, config: VocoderConfig, inputs: int = N_MELS) -> None:
        super().__init__()
        self.inputs = inputs
        offset, weights = envelope(config.n_fft)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.max_log_gain = log(config.n_fft / 2)  # magnitudes of samples in [-1, 1] are at most the window's sum
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

    def excitation(self, mel: torch.Tensor, f0: torch.Tensor | None = None) -> Excitation:
        return excitation_inputs(self.pitch.f0(mel[..., :N_MELS]) if f0 is None else f0, vary=self.training)

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.pitch.losses(mel[..., :N_MELS], f0)

    def forward(self, mel: torch.Tensor, excitation: Excitation | None = None) -> torch.Tensor:
        f0, pulses, noise = excitation or self.excitation(mel)
        voiced = f0 > 0
        pitch = torch.stack([standardize_log_f0(f0) * voiced, voiced], dim=2)  # (B, T, 2)
        x = self.embed(pad_silence(mel, KERNEL // 2)).transpose(1, 2)  # (B, T, C)
        x = self.embed_norm(x + self.embed_pitch(pitch.to(mel.dtype)))
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        for block in self.blocks:
            x = block(x, mask)
        pulse_gain, phase, noise_gain = self.head(self.norm(x)).float().chunk(PARTS, dim=2)  # (B, T, F) each
        with torch.autocast(mel.device.type, enabled=False):  # no bfloat16 in transforms and phases
            base = (mel[..., :N_MELS].float() - self.offset) @ self.weights
            filtered = torch.polar(self._gain(base + pulse_gain), phase) * self.transform(pulses)
            samples: torch.Tensor = self.inverse(filtered + self._gain(base + noise_gain) * self.transform(noise))
        return samples

    def _gain(self, log_gain: torch.Tensor) -> torch.Tensor:
        return log_gain.clamp(max=self.max_log_gain).exp()
