"""Settings, construction and chunked inference of the vocoders.

``hifigan`` loads published checkpoints. ``istft``, a source-filter vocoder, is small enough for training on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from f2v_bench.signal.mel import HOP, N_MELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.vocoders.base import Vocoder

CHUNK = 1000  # frames per forward pass, 10 s


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


def build_vocoder(config: VocoderConfig, inputs: int = N_MELS) -> Vocoder:
    """Build a vocoder with random weights, ``(B, T, inputs)`` to ``(B, 160 T)``.

    Args:
        config: kind and sizes.
        inputs: channels of the input: the mel's 80, and further features.

    Raises:
        ValueError: impossible sizes.
    """
    check(config)
    if config.generator == "istft":
        from f2v_bench.nn.vocoders.istft import ISTFTVocoder

        return ISTFTVocoder(config, inputs)
    from f2v_bench.nn.vocoders.hifigan import HiFiGAN

    return HiFiGAN(config, inputs=inputs)


def check(config: VocoderConfig, frame: int = HOP) -> None:
    """Check the sizes of a vocoder.

    Args:
        config: sizes.
        frame: samples of an output frame.

    Raises:
        ValueError: impossible sizes.
    """
    if config.segment < frame or config.segment % frame:
        raise ValueError(f"vocoder.segment is {config.segment} samples, not a multiple of {frame}")
    if config.adversarial_from >= 0 and not (config.periods or config.scales or config.resolutions):
        raise ValueError("vocoder.adversarial_from is not negative, but periods, scales and resolutions are all empty")
    if config.generator == "istft":
        if config.n_fft < 2 * HOP or config.n_fft % (2 * HOP):
            raise ValueError(f"vocoder.n_fft is {config.n_fft}, not an even multiple of {HOP}")
        return
    factors, kernels = config.upsample, config.upsample_kernels
    if prod(factors) != frame:
        raise ValueError(f"vocoder.upsample {factors} has the product {prod(factors)}, not {frame}")
    if len(factors) != len(kernels) or any(k < u or (k - u) % 2 for u, k in zip(factors, kernels, strict=True)):
        raise ValueError(
            f"vocoder.upsample_kernels {kernels} do not fit the factors {factors}: each kernel must be as large as its "
            "factor, or larger by an even number"
        )


def vocode(
    vocoder: Vocoder, mel: NDArray[np.float32], f0: NDArray[np.float32] | None = None, chunk: int = CHUNK
) -> NDArray[np.float32]:
    """Convert the mel spectrogram of one clip to samples, in chunks with enough context to equal the whole.

    Args:
        vocoder: vocoder in evaluation mode, on any device.
        mel: log mel spectrogram of ``f2v_bench.signal.mel``, float32 ``(T, 80)``, natural log; ``(T, inputs)`` with
            further features.
        f0: F0 in Hz, 0 where unvoiced, float32 ``(T,)``, for a source-filter vocoder; None estimates it from the mel.
        chunk: frames of a chunk.

    Returns:
        float32 ``(160 T,)`` at 16 kHz.
    """
    import torch

    if mel.ndim != 2 or mel.shape[1] != vocoder.inputs:
        raise ValueError(f"a mel spectrogram is (T, {vocoder.inputs}), got {mel.shape}")
    context = vocoder.context
    device = next(vocoder.parameters()).device
    samples = np.empty(HOP * len(mel), np.float32)
    with torch.inference_mode():
        whole = torch.from_numpy(mel)[None].to(device, torch.float32)  # (1, T, inputs)
        excitation = vocoder.excitation(whole, None if f0 is None else torch.from_numpy(f0)[None].to(device))
        for start in range(0, len(mel), chunk):
            end = min(start + chunk, len(mel))
            first, last = max(start - context, 0), min(end + context, len(mel))
            first -= first % vocoder.step
            padded = vocoder(whole[:, first:last], excitation.segment(first, last) if excitation else None)
            inner = padded[0, HOP * (start - first) : HOP * (end - first)]
            samples[HOP * start : HOP * end] = inner.float().cpu().numpy()
    return samples
