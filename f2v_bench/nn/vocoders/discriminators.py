"""What tells made speech from real in training, and the losses of both sides.

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
from f2v_bench.nn.vocoders.build import VocoderConfig

SLOPE = 0.1  # of the leaky ReLU
DiscriminatorOutput = tuple[torch.Tensor, list[torch.Tensor]]  # scores (B, n), feature maps


class PeriodDiscriminator(nn.Module):
    """Sees samples that lie a period apart: 2-D convolutions along the columns of ``(n / period, period)``.

    Args:
        period: samples.
        width: channels as a share of the published 32, 128, 512, 1024, 1024.
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
        """``(B, n)``, n above the period, reflected at its end to a multiple of it."""
        x = functional.pad(samples[:, None], (0, -samples.shape[1] % self.period), "reflect")  # (B, 1, n')
        columns = x.view(len(x), 1, -1, self.period)  # (B, 1, n' / p, p)
        return _run_discriminator(columns, self.convs, self.conv_post)


class ScaleDiscriminator(nn.Module):
    """Sees the waveform through grouped convolutions of 41 samples.

    Args:
        width: channels as a share of the published ones.
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
        """``(B, n)``."""
        return _run_discriminator(samples[:, None], self.convs, self.conv_post)


class MultiScaleDiscriminator(nn.Module):
    """The waveform as it is, and averaged to a half, a quarter, ... of the rate; the first with spectral norm."""

    def __init__(self, scales: int, width: float) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(ScaleDiscriminator(width, spectral=scale == 0) for scale in range(scales))
        self.meanpools = nn.ModuleList(nn.AvgPool1d(4, 2, padding=2) for _ in range(scales - 1))

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """``(B, n)``."""
        judgements = [self.discriminators[0](samples)]
        for pool, discriminator in zip(self.meanpools, self.discriminators[1:], strict=True):
            samples = pool(samples[:, None])[:, 0]  # (B, n / 2 + 1)
            judgements.append(discriminator(samples))
        return judgements


class MultiPeriodDiscriminator(nn.Module):
    """One discriminator a period."""

    def __init__(self, periods: Sequence[int], width: float) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(PeriodDiscriminator(period, width) for period in periods)

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """``(B, n)``."""
        return [discriminator(samples) for discriminator in self.discriminators]


class SpectrogramDiscriminator(nn.Module):
    """Sees the magnitude spectrogram through 2-D convolutions that halve the frequencies.

    Args:
        n_fft: samples of its transform, which hops by a quarter.
        width: channels as a share of the published 32.
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
        """``(B, n)``, n above three eighths of n_fft."""
        spectrogram = spectrum(samples, self.window)  # (B, T, F)
        return _run_discriminator(spectrogram[:, None], self.convs, self.conv_post)


class MultiResolutionDiscriminator(nn.Module):
    """One spectrogram discriminator a resolution."""

    def __init__(self, resolutions: Sequence[int], width: float) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(SpectrogramDiscriminator(n_fft, width) for n_fft in resolutions)

    def forward(self, samples: torch.Tensor) -> list[DiscriminatorOutput]:
        """``(B, n)``."""
        return [discriminator(samples) for discriminator in self.discriminators]


class Discriminators(nn.Module):
    """All that a configuration asks for, under HiFi-GAN's names ``mpd`` and ``msd``, and ``mrd``."""

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
        """``(B, n)`` to the judgements of each discriminator."""
        return [judgement for kind in self.children() for judgement in kind(samples)]


class SpectralLoss(nn.Module):
    """Multi-resolution STFT loss (Yamamoto 2020): spectral convergence and L1 of log magnitudes, averaged over sizes.

    ||S - S^||_F / ||S||_F + mean |ln S - ln S^|, with S of the real samples.

    Args:
        sizes: of the transforms, samples; each hops by a quarter.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        for size in sizes:
            self.register_buffer(f"window{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """``(B, n)`` each."""
        parts = []
        for window in self.buffers():
            ours, theirs = spectrum(made, window), spectrum(real, window)  # (B, T, F) each
            parts.append(torch.linalg.norm(theirs - ours) / torch.linalg.norm(theirs))
            parts.append(functional.l1_loss(ours.log(), theirs.log()))
        return torch.stack(parts).sum() / max(1, len(parts) // 2)


def discriminator_loss(real: Sequence[DiscriminatorOutput], made: Sequence[DiscriminatorOutput]) -> torch.Tensor:
    """Least squares (Mao 2017): real speech should score 1 and made speech 0."""
    losses = [
        (1 - of_real.float()).square().mean() + of_made.float().square().mean()
        for (of_real, _), (of_made, _) in zip(real, made, strict=True)
    ]
    return torch.stack(losses).sum()


def adversarial_loss(made: Sequence[DiscriminatorOutput]) -> torch.Tensor:
    """Least squares of the generator: made speech should score 1."""
    return torch.stack([(1 - scores.float()).square().mean() for scores, _ in made]).sum()


def feature_loss(real: Sequence[DiscriminatorOutput], made: Sequence[DiscriminatorOutput]) -> torch.Tensor:
    """Feature matching (Larsen 2016, Kumar 2019): mean L1 of every feature map, summed."""
    losses = [
        functional.l1_loss(ours.float(), theirs.float().detach())
        for (_, of_real), (_, of_made) in zip(real, made, strict=True)
        for theirs, ours in zip(of_real, of_made, strict=True)
    ]
    return torch.stack(losses).sum()


def spectrum(samples: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Magnitudes ``(B, T, F)`` of samples ``(B, n)`` at a quarter of the window's length apart."""
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
