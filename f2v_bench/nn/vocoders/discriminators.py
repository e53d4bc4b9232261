"""Discriminators of vocoder training, and the losses of generator and discriminators.

Multi-period and multi-scale discriminators of HiFi-GAN (Kong 2020, the latter from MelGAN), under its names; the
multi-resolution discriminator of UnivNet (Jang 2021). Each returns scores and the feature maps of its layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from f2v_bench.nn.layers.log_mel import magnitude
from f2v_bench.nn.vocoders.config import VocoderConfig

SLOPE = 0.1  # slope of the leaky ReLU
DiscriminatorOutput = tuple[torch.Tensor, list[torch.Tensor]]  # scores (B, n), feature maps


class PeriodDiscriminator(nn.Module):
    """Discriminator of samples a period apart: 2-D convolutions along the columns of ``(n / period, period)``.

    Args:
        period: period in samples.
        width: channels relative to the published 32, 128, 512, 1024, 1024.
    """

    def __init__(self, period: int, width: float) -> None:
        super().__init__()
        self.period = period
        channels = [1, *(_scaled(count, width, 4) for count in (32, 128, 512, 1024, 1024))]
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), (stride, 1), padding=(2, 0)))
            for (before, after), stride in zip(pairwise(channels), (3, 3, 3, 3, 1), strict=True)
        )
        self.conv_post = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, samples: torch.Tensor) -> DiscriminatorOutput:
        """Map samples ``(B, n)``, n above the period, padded by reflection at the end to a multiple of it."""
        x = functional.pad(samples[:, None], (0, -samples.shape[1] % self.period), "reflect")  # (B, 1, n')
        columns = x.view(len(x), 1, -1, self.period)  # (B, 1, n' / p, p)
        return _run_discriminator(columns, self.convs, self.conv_post)


class ScaleDiscriminator(nn.Module):
    """Discriminator of the waveform by grouped convolutions of 41 samples.

    Args:
        width: channels relative to the published ones.
        spectral: spectral norm in place of weight norm.
    """

    # channels, kernel, stride, groups, padding
    LAYERS = (
        (128, 15, 1, 1, 7),
        (128, 41, 2, 4, 20),
        (256, 41, 2, 16, 20),
        (512, 41, 4, 16, 20),
        (1024, 41, 4, 16, 20),
        (1024, 41, 1, 16, 20),
        (1024, 5, 1, 1, 2),
    )

    def __init__(self, width: float, spectral: bool) -> None:
        super().__init__()
        norm = spectral_norm if spectral else weight_norm
        channels = [1, *(_scaled(layer[0], width, 16) for layer in self.LAYERS)]
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(before, after, kernel, stride, padding, groups=groups))
            for (before, after), (_, kernel, stride, groups, padding) in zip(
                pairwise(channels), self.LAYERS, strict=True
            )
        )
        self.conv_post = norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, samples: torch.Tensor) -> DiscriminatorOutput:
        """Map samples ``(B, n)``."""
        return _run_discriminator(samples[:, None], self.convs, self.conv_post)


class MultiScaleDiscriminator(nn.Module):
    """Discriminators of the waveform at its rate, a half, a quarter, ... of it; the first has spectral norm."""

    def __init__(self, scales: int, width: float) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(ScaleDiscriminator(width, spectral=scale == 0) for scale in range(scales))
        self.meanpools = nn.ModuleList(nn.AvgPool1d(4, 2, padding=2) for _ in range(scales - 1))

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """Map samples ``(B, n)``."""
        outputs = [self.discriminators[0](samples)]
        for pool, discriminator in zip(self.meanpools, self.discriminators[1:], strict=True):
            samples = pool(samples[:, None])[:, 0]  # (B, n / 2 + 1)
            outputs.append(discriminator(samples))
        return outputs


class MultiPeriodDiscriminator(nn.Module):
    """Discriminators of several periods."""

    def __init__(self, periods: Sequence[int], width: float) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(PeriodDiscriminator(period, width) for period in periods)

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """Map samples ``(B, n)``."""
        return [discriminator(samples) for discriminator in self.discriminators]


class SpectrogramDiscriminator(nn.Module):
    """Discriminator of the magnitude spectrogram by 2-D convolutions that halve the frequencies.

    Args:
        n_fft: samples of the transform, with a hop of a quarter.
        width: channels relative to the published 32.
    """

    window: torch.Tensor

    def __init__(self, n_fft: int, width: float) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        channels = _scaled(32, width, 4)
        shapes = [(1, 9, 1), *[(channels, 9, 2)] * 3, (channels, 3, 1)]  # channels, kernel and stride in frequency
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(before, channels, (3, kernel), (1, stride), padding=(1, kernel // 2)))
            for before, kernel, stride in shapes
        )
        self.conv_post = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, samples: torch.Tensor) -> DiscriminatorOutput:
        """Map samples ``(B, n)``, n above three eighths of n_fft."""
        magnitudes = spectrogram(samples, self.window)  # (B, T, F)
        return _run_discriminator(magnitudes[:, None], self.convs, self.conv_post)


class MultiResolutionDiscriminator(nn.Module):
    """Discriminators of spectrograms at several resolutions."""

    def __init__(self, resolutions: Sequence[int], width: float) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(SpectrogramDiscriminator(n_fft, width) for n_fft in resolutions)

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """Map samples ``(B, n)``."""
        return [discriminator(samples) for discriminator in self.discriminators]


class Discriminators(nn.Module):
    """All discriminators of a configuration, under HiFi-GAN's names ``mpd`` and ``msd``, and ``mrd``."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        width = config.discriminator_width
        if config.periods:
            self.mpd = MultiPeriodDiscriminator(config.periods, width)
        if config.scales:
            self.msd = MultiScaleDiscriminator(config.scales, width)
        if config.resolutions:
            self.mrd = MultiResolutionDiscriminator(config.resolutions, width)

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """Map samples ``(B, n)`` to the outputs of each discriminator."""
        return [output for kind in self.children() for output in kind(samples)]


class SpectralLoss(nn.Module):
    """Multi-resolution STFT loss (Yamamoto 2020): spectral convergence and L1 of log magnitudes, averaged over sizes.

    ||S - S^||_F / ||S||_F + mean |ln S - ln S^|, with S the magnitudes of the real samples.

    Args:
        sizes: samples of the transforms, each with a hop of a quarter.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        for size in sizes:
            self.register_buffer(f"window{size}", torch.hann_window(size), persistent=False)

    def forward(self, predicted: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Compute the loss of predicted and real samples, ``(B, n)`` each."""
        parts = []
        for window in self.buffers():
            estimate, target = spectrogram(predicted, window), spectrogram(real, window)  # (B, T, F) each
            parts.append(torch.linalg.norm(target - estimate) / torch.linalg.norm(target))
            parts.append(functional.l1_loss(estimate.log(), target.log()))
        return torch.stack(parts).sum() / max(1, len(parts) // 2)


def discriminator_loss(real: Sequence[DiscriminatorOutput], generated: Sequence[DiscriminatorOutput]) -> torch.Tensor:
    """Compute the least-squares loss (Mao 2017) with targets 1 for real and 0 for generated speech."""
    losses = [
        (1 - real_scores.float()).square().mean() + generated_scores.float().square().mean()
        for (real_scores, _), (generated_scores, _) in zip(real, generated, strict=True)
    ]
    return torch.stack(losses).sum()


def adversarial_loss(generated: Sequence[DiscriminatorOutput]) -> torch.Tensor:
    """Compute the generator's least-squares loss with target 1."""
    return torch.stack([(1 - scores.float()).square().mean() for scores, _ in generated]).sum()


def feature_loss(real: Sequence[DiscriminatorOutput], generated: Sequence[DiscriminatorOutput]) -> torch.Tensor:
    """Compute the feature matching loss (Larsen 2016, Kumar 2019): mean L1 of every feature map, summed."""
    losses = [
        functional.l1_loss(estimate.float(), target.float().detach())
        for (_, real_maps), (_, generated_maps) in zip(real, generated, strict=True)
        for target, estimate in zip(real_maps, generated_maps, strict=True)
    ]
    return torch.stack(losses).sum()


def spectrogram(samples: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Compute magnitudes ``(B, T, F)`` of samples ``(B, n)`` with a hop of a quarter of the window."""
    size = len(window)
    return magnitude(samples, window, size // 4, (size - size // 4) // 2)


def _scaled(channels: int, width: float, multiple: int) -> int:
    return max(multiple, round(channels * width / multiple) * multiple)


def _run_discriminator(x: torch.Tensor, convs: nn.ModuleList, last: nn.Module) -> DiscriminatorOutput:
    maps = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        maps.append(x)
    x = last(x)
    return x.flatten(1), [*maps, x]
