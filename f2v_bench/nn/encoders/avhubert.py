"""AV-HuBERT: lip features of a network that learned from silent and sounding video of thousands of hours.

Shi et al., "Learning audio-visual speech representation by masked multimodal cluster prediction" (ICLR 2022). The names
and shapes of the parameters are those of the published checkpoints. Only the video is given here; the place of the
audio features is zero, as when the authors read lips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from f2v_bench.face.crops import center_crop
from f2v_bench.nn.checkpoints.fairseq import fairseq_weights
from f2v_bench.nn.checkpoints.torch import load_weights
from f2v_bench.nn.encoders.wav2vec2 import BASE, LARGE, Transformer, TransformerShape, attention_mask
from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.resnet import CHANNELS, ResNet

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN, DEVIATION = 0.421, 0.165  # of grey values between 0 and 1
AUDIO_FEATURES = 104  # four frames of 26 log filter banks
Size = Literal["base", "large"]

#: unlike wav2vec 2.0, both sizes normalise before each part (``layer_norm_first`` of the authors' settings)
SHAPES: dict[Size, TransformerShape] = {"base": replace(BASE, norm_first=True), "large": LARGE}

_FINE_TUNED = "encoder.w2v_model."
_DECODER = "decoder."  # of a fine-tuned lip reader
_PRE_TRAINING = ("mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias")


class VideoFeatures(nn.Module):
    """Pictures of lips to one vector a frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resnet = ResNet()
        self.proj = nn.Linear(CHANNELS[-1], width)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, 88, 88)`` to ``(B, T, width)``, zero where ``mask`` is False."""
        return scatter_frames(self.proj(self.resnet(lips, mask)), mask)


class AVHuBERT(nn.Module):
    """The encoder, for inference: its batch norms hold what training saw.

    Args:
        shape: of the transformer; ``SHAPES`` has the published ones.
    """

    def __init__(self, shape: TransformerShape = LARGE) -> None:
        super().__init__()
        self.feature_extractor_audio = nn.ModuleDict({"proj": nn.Linear(AUDIO_FEATURES, shape.width)})
        self.feature_extractor_video = VideoFeatures(shape.width)
        self.layer_norm = nn.LayerNorm(2 * shape.width)
        self.post_extract_proj = nn.Linear(2 * shape.width, shape.width)
        self.encoder = Transformer(shape)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """What the first layer is given, and what each layer makes of it, for a weighted sum over layers.

        Args:
            lips: ``(B, T, 88, 88)`` at 25 Hz, as ``preprocess`` makes them.
            mask: bool ``(B, T)``, True where a frame is real; every clip has at least one.

        Returns:
            ``layers + 1`` tensors ``(B, T, width)``, zero where ``mask`` is False; the last one is normalised, as it
            is where the authors use it.
        """
        video = self.feature_extractor_video(lips, mask)  # (B, T, D)
        both = torch.cat([torch.zeros_like(video), video], dim=2)  # (B, T, 2 D): audio, video
        x = self.encoder.placed(self.post_extract_proj(self.layer_norm(both)), mask)  # (B, T, D)
        heard = attention_mask(mask)
        outputs = [x]
        for layer in self.encoder.layers:
            x = layer(x, heard)
            outputs.append(x)
        if self.encoder.norm_first:
            outputs[-1] = self.encoder.layer_norm(x)
        return [output.masked_fill(~mask[..., None], 0) for output in outputs]


def preprocess(lips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey crops of lips, uint8 ``(T, 96, 96)``, as the network sees them: the centre, float32 ``(T, 88, 88)``."""
    return np.asarray((center_crop(lips) / np.float32(255) - MEAN) / DEVIATION, np.float32)


def encoder_weights(checkpoint: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The encoder's tensors in a pre-trained checkpoint or in a fine-tuned lip reader.

    Left out, by name, is what only pre-training or the lip reader's decoder uses; all else stays, so that the network
    refuses what it does not know.
    """
    fine_tuned = any(name.startswith(_FINE_TUNED) for name in checkpoint)
    names = {
        name: name.removeprefix(_FINE_TUNED) for name in checkpoint if not (fine_tuned and name.startswith(_DECODER))
    }
    return {ours: checkpoint[name] for name, ours in names.items() if ours not in _PRE_TRAINING}


def load_avhubert(path: Path, size: Size, get_again: str = "", device: str = "cpu") -> AVHuBERT:
    """The encoder with published weights.

    Args:
        path: a checkpoint of the authors, pre-trained or fine-tuned, or what ``import_fairseq`` made of it.
        size: ``base`` or ``large``.
        get_again: how a person gets a sound copy, for the error message.
        device: where it runs.

    Raises:
        F2VError: as ``fairseq_weights``, or weights of another network or size.
    """
    network = AVHuBERT(SHAPES[size])
    load_weights(network, encoder_weights(fairseq_weights(path, get_again)), path, get_again)
    return network.to(device)
