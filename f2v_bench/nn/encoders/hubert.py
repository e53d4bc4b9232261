"""HuBERT Base and its speech units: clusters of the outputs of its sixth layer.

Hsu et al., "HuBERT: self-supervised speech representation learning by masked prediction of hidden units" (TASLP 2021);
units as in Lakhotia et al., "On generative spoken language modeling from raw audio" (TACL 2021), whose k-means is
published. The network is torchaudio's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from f2v_bench.errors import ClipFailure, FailureKind, user_error
from f2v_bench.nn.checkpoints.fairseq import fairseq_weights
from f2v_bench.nn.checkpoints.kmeans import read_centers
from f2v_bench.nn.checkpoints.torch import load_weights
from f2v_bench.nn.encoders.wav2vec2 import MIN_SAMPLES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torchaudio.models import Wav2Vec2Model  # type: ignore[import-untyped]

RATE = 50  # units per second
LAYER = 6
_PRE_TRAINING = ("mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias")
_TORCHAUDIO = "encoder.transformer."

#: fairseq's names and torchaudio's; the first match applies
_RENAMED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
        (r"feature_extractor\.conv_layers\.(\d+)\.2\.", r"feature_extractor.conv_layers.\1.layer_norm."),
        (r"layer_norm\.", "encoder.feature_projection.layer_norm."),
        (r"post_extract_proj\.", "encoder.feature_projection.projection."),
        (r"encoder\.pos_conv\.0\.", f"{_TORCHAUDIO}pos_conv_embed.conv."),
        (r"encoder\.layers\.(\d+)\.self_attn\.", rf"{_TORCHAUDIO}layers.\1.attention."),
        (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", rf"{_TORCHAUDIO}layers.\1.layer_norm."),
        (r"encoder\.layers\.(\d+)\.fc1\.", rf"{_TORCHAUDIO}layers.\1.feed_forward.intermediate_dense."),
        (r"encoder\.layers\.(\d+)\.fc2\.", rf"{_TORCHAUDIO}layers.\1.feed_forward.output_dense."),
        (r"encoder\.", _TORCHAUDIO),
    )
)


class HubertUnits:
    """Speech units of audio, clip by clip: the network's first layer normalizes over time, and padding would count.

    Args:
        network: network of ``load_hubert``, or one of the same class.
        centers: cluster centers, float32 ``(clusters, width)``, from ``read_centers``.
        layer: layer whose output is clustered, counted from 1.

    Raises:
        ValueError: centers of another size, or no such layer.
    """

    def __init__(self, network: Wav2Vec2Model, centers: NDArray[np.float32], layer: int = LAYER) -> None:
        parameter = next(network.encoder.transformer.layer_norm.parameters())
        if centers.shape[1] != len(parameter):
            raise ValueError(f"cluster centers have {centers.shape[1]} dimensions, HuBERT's features {len(parameter)}")
        layers = len(network.encoder.transformer.layers)
        if not 1 <= layer <= layers:
            raise ValueError(f"HuBERT has no layer {layer}, only 1 to {layers}")
        self.network = network.eval()
        self.centers = torch.from_numpy(centers).to(parameter.device, torch.float64)
        self.layer = layer

    def label(self, samples: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a clip with units at 50 Hz, int64 ``((n - 400) // 320 + 1,)``.

        Args:
            samples: float32 ``(n,)`` at 16 kHz in [-1, 1], at least 400; not normalized, as in training of HuBERT Base.

        Raises:
            ClipFailure: too short.
        """
        features = self.features(samples).double()  # (T, C)
        # the nearest center: |x - c|^2 minus |x|^2, which is the same for all centers
        distance = self.centers.square().sum(1) - 2 * features @ self.centers.T  # (T, clusters)
        units: NDArray[np.int64] = distance.argmin(1).cpu().numpy()
        return units

    @torch.inference_mode()
    def features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Compute the layer's output for a clip, ``(T, C)``, with the arguments of ``label``."""
        if len(samples) < MIN_SAMPLES:
            raise ClipFailure(FailureKind.TOO_SHORT, f"{len(samples)} samples, HuBERT needs {MIN_SAMPLES}")
        batch = torch.from_numpy(samples)[None].to(self.centers.device, torch.float32)
        layers, _ = self.network.extract_features(batch, num_layers=self.layer)
        features: torch.Tensor = layers[-1][0]
        return features


def from_fairseq(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename fairseq's tensors to torchaudio's names; tensors of pre-training alone are left out by name."""
    return {_renamed(name): tensor for name, tensor in weights.items() if name not in _PRE_TRAINING}


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        if pattern.match(name):
            return pattern.sub(replacement, name, count=1)
    return name


def load_hubert(path: Path, instructions: str, device: str = "cpu") -> Wav2Vec2Model:
    """Load HuBERT Base with published weights, without those of pre-training alone: 94,370,944 parameters.

    Args:
        path: fairseq's ``hubert_base_ls960.pt``, output of ``import_fairseq``, or torchaudio's own state dict.
        instructions: hint for the error message, on getting the file.
        device: device of the network.

    Raises:
        F2VError: errors of ``fairseq_weights``, or weights of another network.
    """
    from torchaudio.models import hubert_base

    weights = fairseq_weights(path, instructions)
    if not any(name.startswith(_TORCHAUDIO) for name in weights):
        weights = from_fairseq(weights)
    network = hubert_base()
    load_weights(network, weights, path, instructions)
    return network.to(device)


def load_hubert_units(
    path: Path, centers: Path, instructions: str, *, layer: int = LAYER, device: str = "cpu"
) -> HubertUnits:
    """Load HuBERT Base and its cluster centers.

    Raises:
        F2VError: errors of ``load_hubert`` and ``read_centers``, centers of another network, or no such layer.
    """
    network, points = load_hubert(path, instructions, device), read_centers(centers, instructions)
    with user_error(instructions):
        return HubertUnits(network, points, layer)
