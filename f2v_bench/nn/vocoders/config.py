"""Settings of the vocoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    """Sizes of a vocoder and settings of its training.

    Attributes:
        generator: ``hifigan`` (Kong 2020), or ``istft``, ConvNeXt blocks that filter pulses and noise in the domain of
            the STFT.
        channels: hifigan: channels before the first upsampling, each of which halves them.
        upsample: hifigan: upsampling factors with the product 160.
        upsample_kernels: hifigan: kernel sizes of the transposed convolutions, one per factor and of its parity.
        resblock_kernels: hifigan: kernel sizes of the residual blocks after every upsampling, one block each.
        dilations: hifigan: dilations of the convolutions in a residual block.
        width: istft: channels.
        blocks: istft: number of ConvNeXt blocks.
        hidden: istft: channels inside a block.
        n_fft: istft: samples of an inverse transform, an even multiple of 160.
        pitch_width: istft: channels of the network that estimates F0 from the mel.
        pitch_blocks: istft: number of its ConvNeXt blocks.
        pitch_weight: istft: weight of its losses of F0 and voicing.
        mel_weight: weight of the L1 distance of log mels.
        spectral_weight: weight of the multi-resolution STFT loss.
        spectral_sizes: transforms of that loss, samples, each with a hop of a quarter.
        adversarial_from: training step from which the discriminators are used; negative for never.
        adversarial_weight: weight of the generator's adversarial loss.
        feature_weight: weight of the feature matching loss.
        discriminator_width: channels of the discriminators relative to the published ones.
        periods: periods of the multi-period discriminator; none leaves it out.
        scales: number of scales of the multi-scale discriminator; 0 leaves it out.
        resolutions: transforms of the multi-resolution discriminator, samples; none leaves it out.
        segment: samples of each clip in a training step, a multiple of 160.
    """

    generator: Literal["hifigan", "istft"] = "hifigan"
    channels: int = 512
    upsample: tuple[int, ...] = (5, 4, 2, 2, 2)
    upsample_kernels: tuple[int, ...] = (11, 8, 4, 4, 4)
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    width: int = 256
    blocks: int = 8
    hidden: int = 768
    n_fft: int = 640
    pitch_width: int = 128
    pitch_blocks: int = 4
    pitch_weight: float = 1.0
    mel_weight: float = 45.0
    spectral_weight: float = 0.0
    spectral_sizes: tuple[int, ...] = (320, 640, 1280)
    adversarial_from: int = 0
    adversarial_weight: float = 1.0
    feature_weight: float = 2.0
    discriminator_width: float = 1.0
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    scales: int = 3
    resolutions: tuple[int, ...] = ()
    segment: int = 8160
