"""Vocoders: the suite's mel spectrogram back to samples, by one of two generators under one contract.

A generator maps natural-log mels ``(B, T, 80)`` to samples ``(B, 160 T)`` at 16 kHz and says in ``context`` how many
frames beyond its own a sample may depend on. ``hifigan`` loads published checkpoints; ``istft``, which filters pulses
and noise, is light enough for a CPU to train.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from f2v_bench.errors import F2VError
from f2v_bench.signal.mel import HOP, N_MELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.vocoders.base import Vocoder

CHUNK = 1000  # frames that go through a generator at once, 10 s


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    """A generator, and how it is trained.

    Attributes:
        generator: ``hifigan`` (Kong 2020) or ``istft``, ConvNeXt blocks that filter pulses and noise in the
            domain of the STFT.
        channels: hifigan: channels before the first upsampling; each halves them.
        upsample: hifigan: factors, 160 in all.
        upsample_kernels: hifigan: kernels of the transposed convolutions, one a factor, even or odd as it is.
        resblock_kernels: hifigan: one residual block each, after every upsampling.
        dilations: hifigan: of the convolutions in a residual block.
        width: istft: channels.
        blocks: istft: ConvNeXt blocks.
        hidden: istft: channels inside a block.
        n_fft: istft: samples of an inverse transform, an even multiple of 160.
        pitch_width: istft: channels of the network that hears F0 in the mel.
        pitch_blocks: istft: its ConvNeXt blocks.
        pitch_weight: istft: of its losses of F0 and voicing.
        mel_weight: of the L1 distance of log mels.
        spectral_weight: of the multi-resolution STFT loss.
        spectral_sizes: its transforms, samples; each hops by a quarter.
        adversarial_from: step of training from which the discriminators take part; negative is never.
        adversarial_weight: of the generator's adversarial loss.
        feature_weight: of feature matching.
        discriminator_width: channels of the discriminators as a share of the published ones.
        periods: of the multi-period discriminator; none leaves it out.
        scales: of the multi-scale discriminator; 0 leaves it out.
        resolutions: transforms of the multi-resolution discriminator, samples; none leaves it out.
        segment: samples of each clip that a training step sees, a multiple of 160.
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
    """The generator of a configuration: ``(B, T, inputs)`` to ``(B, 160 T)``.

    Args:
        config: which, and its sizes.
        inputs: channels that it takes: the mel's 80, and what it is told beside them.

    Raises:
        F2VError: sizes that do not make 160 samples of a frame.
    """
    check(config)
    if config.generator == "istft":
        from f2v_bench.nn.vocoders.istft import ISTFTVocoder

        return ISTFTVocoder(config, inputs)
    from f2v_bench.nn.vocoders.hifigan import HiFiGAN

    return HiFiGAN(config, inputs=inputs)


def check(config: VocoderConfig, frame: int = HOP) -> None:
    """Refuse sizes that cannot work.

    Args:
        config: of a generator.
        frame: samples that it makes of a frame.

    Raises:
        F2VError: which one, and what it must be.
    """
    if config.segment < frame or config.segment % frame:
        raise F2VError(
            f"vocoder.segment is {config.segment} samples", f"give a multiple of {frame}, for example {51 * frame}"
        )
    if config.adversarial_from >= 0 and not (config.periods or config.scales or config.resolutions):
        raise F2VError("vocoder.periods, scales and resolutions leave no discriminator", "set adversarial_from to -1")
    if config.generator == "istft":
        if config.n_fft < 2 * HOP or config.n_fft % (2 * HOP):
            raise F2VError(f"vocoder.n_fft is {config.n_fft}", f"give an even multiple of {HOP}")
        return
    factors, kernels = config.upsample, config.upsample_kernels
    if prod(factors) != frame:
        raise F2VError(f"vocoder.upsample {factors} makes {prod(factors)} samples of a frame", f"make {frame}")
    if len(factors) != len(kernels) or any(k < u or (k - u) % 2 for u, k in zip(factors, kernels, strict=True)):
        raise F2VError(
            f"vocoder.upsample_kernels {kernels} do not fit the factors {factors}",
            "give one kernel a factor, at least as large, and larger by an even number",
        )


def vocode(
    generator: Vocoder, mel: NDArray[np.float32], f0: NDArray[np.float32] | None = None, chunk: int = CHUNK
) -> NDArray[np.float32]:
    """Samples of one clip, in pieces that know enough of their neighbours to equal the whole.

    Args:
        generator: in evaluation mode, on any device.
        mel: float32 ``(T, 80)``, natural log, see ``f2v_bench.signal.mel``; ``(T, inputs)`` where the generator takes
            more.
        f0: Hz, 0 where unvoiced, float32 ``(T,)``, for a generator that filters a source; None hears it in the mel.
        chunk: frames of a piece.

    Returns:
        float32 ``(160 T,)`` at 16 kHz.
    """
    import torch

    if mel.ndim != 2 or mel.shape[1] != generator.inputs:
        raise ValueError(f"a mel spectrogram is (T, {generator.inputs}), got {mel.shape}")
    context = generator.context
    device = next(generator.parameters()).device
    samples = np.empty(HOP * len(mel), np.float32)
    with torch.inference_mode():
        whole = torch.from_numpy(mel)[None].to(device, torch.float32)  # (1, T, inputs)
        source = generator.source(whole, None if f0 is None else torch.from_numpy(f0)[None].to(device))
        for start in range(0, len(mel), chunk):
            end = min(start + chunk, len(mel))
            first, last = max(start - context, 0), min(end + context, len(mel))
            first -= first % generator.step
            piece = generator(whole[:, first:last], source.piece(first, last) if source else None)
            made = piece[0, HOP * (start - first) : HOP * (end - first)]
            samples[HOP * start : HOP * end] = made.float().cpu().numpy()
    return samples
