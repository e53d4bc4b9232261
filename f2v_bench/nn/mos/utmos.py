"""UTMOS22 strong learner without phonemes: wav2vec 2.0, embeddings of listener and data set, and a BLSTM.

Saeki et al., "UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge 2022" (Interspeech 2022). Two published files hold
the same weights: that of SpeechMOS, whose names this module has, and the authors' own Lightning checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint
from f2v_bench.nn.encoders.wav2vec2 import BASE, TransformerShape, Wav2Vec2
from f2v_bench.nn.layers.masking import valid_mask

VECTOR = 128  # channels of the embeddings of listener and data set
DOMAIN = 0  # data set of the authors' demonstration, the main track; SpeechMOS stores this row alone
JUDGE = 288  # listener of the authors' demonstration; SpeechMOS stores this row alone

#: prefixes of names in the authors' checkpoint and in SpeechMOS
_OFFICIAL = {
    "feature_extractors.0.ssl_model.": "wav2vec2.",
    "output_layers.0.decoder_rnn.": "blstm.",
    "output_layers.1.net.0.": "projection.0.",
    "output_layers.1.net.3.": "projection.2.",  # number 2 is a dropout there
}
_OFFICIAL_ROWS = {
    "feature_extractors.1.embedding.weight": ("domain_emb", DOMAIN),
    "output_layers.0.judge_embedding.weight": ("judge_emb", JUDGE),
}


class UTMOS22Strong(nn.Module):
    """Waveforms to predicted mean opinion scores.

    Args:
        shape: sizes of the transformer; the published weights are of the base model.
    """

    def __init__(self, shape: TransformerShape = BASE) -> None:
        super().__init__()
        self.domain_emb = nn.Parameter(torch.zeros(1, VECTOR))
        self.judge_emb = nn.Parameter(torch.zeros(1, VECTOR))
        self.wav2vec2 = Wav2Vec2(shape)
        self.blstm = nn.LSTM(shape.width + 2 * VECTOR, 512, batch_first=True, bidirectional=True)
        self.projection = nn.Sequential(nn.Linear(1024, 2048), nn.ReLU(), nn.Linear(2048, 1))

    def forward(self, samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Predict scores ``(B,)`` of samples ``(B, n)`` at 16 kHz; ``lengths`` of them are real, at least 400."""
        features, frames = self.wav2vec2(samples, lengths)
        rater = torch.cat([self.domain_emb, self.judge_emb], dim=1)
        x = torch.cat([features, rater.expand(*features.shape[:2], -1)], dim=2)
        packed = pack_padded_sequence(x, frames.cpu(), batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.blstm(packed)[0], batch_first=True, total_length=features.shape[1])
        scores = self.projection(x)[..., 0] * valid_mask(frames, features.shape[1])
        mean: torch.Tensor = scores.sum(1) / frames
        return mean * 2 + 3  # trained on scores scaled from [1, 5] to [-1, 1]


def load_utmos(path: Path, instructions: str, device: str = "cpu") -> UTMOS22Strong:
    """Load the network with the weights of either published file.

    Raises:
        F2VError: another file, or one with more than weights.
    """
    content = read_checkpoint(path, instructions, with_settings=True)
    weights = from_official(content["state_dict"]) if isinstance(content.get("state_dict"), dict) else content
    network = UTMOS22Strong()
    load_weights(network, weights, path, instructions)
    return network.to(device)


def from_official(state: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the authors' tensors to the names of SpeechMOS; unknown names stay, so that loading fails for them."""
    renamed: dict[str, Any] = {}
    for name, tensor in state.items():
        if name in _OFFICIAL_ROWS:
            row, index = _OFFICIAL_ROWS[name]
            renamed[row] = tensor[index : index + 1]
            continue
        prefix = next((prefix for prefix in _OFFICIAL if name.startswith(prefix)), "")
        renamed[_OFFICIAL.get(prefix, "") + name.removeprefix(prefix)] = tensor
    return renamed
