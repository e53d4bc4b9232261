"""AV-HuBERT: lip features of a network that was pre-trained on thousands of hours of audio-visual speech.

Shi et al., "Learning audio-visual speech representation by masked multimodal cluster prediction" (ICLR 2022). The names
and shapes of the parameters are those of the published checkpoints. The input is video alone; the audio features are
zero, as in the authors' lip reading.
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

MEAN, DEVIATION = 0.421, 0.165  # of gray values between 0 and 1
AUDIO_FEATURES = 104  # four frames of 26 log filter banks
Size = Literal["base", "large"]

#: unlike wav2vec 2.0, both sizes normalize before each module (``layer_norm_first`` of the authors' settings)
SHAPES: dict[Size, TransformerShape] = {"base": replace(BASE, norm_first=True), "large": LARGE}

_FINE_TUNED = "encoder.w2v_model."
_DECODER = "decoder."  # of a fine-tuned lip reader
_PRE_TRAINING = ("mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias")


class VideoFeatures(nn.Module):
    """Lip crops to one vector per frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resnet = ResNet()
        self.proj = nn.Linear(CHANNELS[-1], width)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, 88, 88)`` to ``(B, T, width)``, zero where ``mask`` is False."""
        return scatter_frames(self.proj(self.resnet(lips, mask)), mask)


class AVHuBERT(nn.Module):
    """Encoder for inference, with fixed batch norms.

    Args:
        shape: sizes of the transformer; ``SHAPES`` has the published ones.
    """

    def __init__(self, shape: TransformerShape = LARGE) -> None:
        super().__init__()
        self.feature_extractor_audio = nn.ModuleDict({"proj": nn.Linear(AUDIO_FEATURES, shape.width)})
        self.feature_extractor_video = VideoFeatures(shape.width)
        self.layer_norm = nn.LayerNorm(2 * shape.width)
        self.post_extract_proj = nn.Linear(2 * shape.width, shape.width)
        self.encoder = Transformer(shape)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """Compute the input of the first layer and the outputs of all layers, for a weighted sum over layers.

        Args:
            lips: standardized pixels ``(B, T, 88, 88)`` at 25 Hz, from ``preprocess``.
            mask: bool ``(B, T)``, True where a frame is real; every clip has at least one.

        Returns:
            ``layers + 1`` tensors ``(B, T, width)``, zero where ``mask`` is False; the last one has the final layer
            norm, as where the authors use it.
        """
        video = self.feature_extractor_video(lips, mask)  # (B, T, D)
        both = torch.cat([torch.zeros_like(video), video], dim=2)  # (B, T, 2 D): audio, video
        x = self.encoder.embed_positions(self.post_extract_proj(self.layer_norm(both)), mask)  # (B, T, D)
        keys = attention_mask(mask)
        outputs = [x]
        for layer in self.encoder.layers:
            x = layer(x, keys)
            outputs.append(x)
        if self.encoder.norm_first:
            outputs[-1] = self.encoder.layer_norm(x)
        return [output.masked_fill(~mask[..., None], 0) for output in outputs]


def preprocess(lips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Crop and standardize gray lip crops, uint8 ``(T, 96, 96)``, for the network: float32 ``(T, 88, 88)``."""
    return np.asarray((center_crop(lips) / np.float32(255) - MEAN) / DEVIATION, np.float32)


def encoder_weights(checkpoint: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Select the encoder's tensors of a pre-trained checkpoint or of a fine-tuned lip reader.

    Tensors that only pre-training or the lip reader's decoder uses are left out by name. All others stay, so that
    loading fails for unknown ones.
    """
    fine_tuned = any(name.startswith(_FINE_TUNED) for name in checkpoint)
    renamed = {
        name: name.removeprefix(_FINE_TUNED) for name in checkpoint if not (fine_tuned and name.startswith(_DECODER))
    }
    return {new: checkpoint[name] for name, new in renamed.items() if new not in _PRE_TRAINING}


def load_avhubert(path: Path, size: Size, instructions: str = "", device: str = "cpu") -> AVHuBERT:
    """Load the encoder with published weights.

    Args:
        path: checkpoint of the authors, pre-trained or fine-tuned, or output of ``import_fairseq``.
        size: ``base`` or ``large``.
        instructions: hint for the error message, on getting the file.
        device: device of the network.

    Raises:
        F2VError: errors of ``fairseq_weights``, or weights of another network or size.
    """
    network = AVHuBERT(SHAPES[size])
    load_weights(network, encoder_weights(fairseq_weights(path, instructions)), path, instructions)
    return network.to(device)
