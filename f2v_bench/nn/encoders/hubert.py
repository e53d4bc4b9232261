"""HuBERT Base and its speech units: clusters of what its sixth layer makes of sound.

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

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.nn.checkpoints.fairseq import fairseq_weights
from f2v_bench.nn.checkpoints.kmeans import read_centres
from f2v_bench.nn.checkpoints.torch import load_weights
from f2v_bench.nn.encoders.wav2vec2 import MIN_SAMPLES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torchaudio.models import Wav2Vec2Model  # type: ignore[import-untyped]

RATE = 50  # units a second
LAYER = 6
_PRE_TRAINING = ("mask_emb", "label_embs_concat", "final_proj.weight", "final_proj.bias")
_TORCHAUDIO = "encoder.transformer."

#: fairseq's names to torchaudio's; the first that matches counts
_RENAMED = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
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
    """Sound to units, clip by clip: the network's first layer normalises over time, so that padding would count.

    Args:
        network: as ``load_hubert`` gives it, or another of its kind.
        centres: float32 ``(clusters, width)``, as ``read_centres`` gives them.
        layer: whose output is clustered, counted from 1.

    Raises:
        F2VError: centres of another network's features, or no such layer.
    """

    def __init__(self, network: Wav2Vec2Model, centers: NDArray[np.float32], layer: int = LAYER) -> None:
        parameter = next(network.encoder.transformer.layer_norm.parameters())
        if centers.shape[1] != len(parameter):
            raise F2VError(
                f"the centres have {centers.shape[1]} dimensions, and HuBERT's features {len(parameter)}",
                "give the centres that were made of this network's features",
            )
        layers = len(network.encoder.transformer.layers)
        if not 1 <= layer <= layers:
            raise F2VError(f"there is no layer {layer} in HuBERT", f"choose one from 1 to {layers}")
        self.network = network.eval()
        self.centers = torch.from_numpy(centers).to(parameter.device, torch.float64)
        self.layer = layer

    def label(self, samples: NDArray[np.float32]) -> NDArray[np.int64]:
        """Units at 50 Hz, int64 ``((n - 400) // 320 + 1,)``.

        Args:
            samples: float32 ``(n,)`` at 16 kHz in [-1, 1], at least 400; not normalised, as HuBERT Base was trained.

        Raises:
            ClipFailure: too short.
        """
        features = self.features(samples).double()  # (T, C)
        # the nearest centre: |x - c|^2 less |x|^2, which is the same for all centres
        distance = self.centers.square().sum(1) - 2 * features @ self.centers.T  # (T, clusters)
        units: NDArray[np.int64] = distance.argmin(1).cpu().numpy()
        return units

    @torch.inference_mode()
    def features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """What the layer makes of a clip, ``(T, C)``; see ``label``."""
        if len(samples) < MIN_SAMPLES:
            raise ClipFailure(FailureKind.TOO_SHORT, f"{len(samples)} samples, HuBERT needs {MIN_SAMPLES}")
        sound = torch.from_numpy(samples)[None].to(self.centers.device, torch.float32)
        layers, _ = self.network.extract_features(sound, num_layers=self.layer)
        found: torch.Tensor = layers[-1][0]
        return found


def from_fairseq(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """From fairseq's names to torchaudio's; what only pre-training uses is left out, by name."""
    return {_renamed(name): tensor for name, tensor in weights.items() if name not in _PRE_TRAINING}


def _renamed(name: str) -> str:
    for theirs, ours in _RENAMED:
        if theirs.match(name):
            return theirs.sub(ours, name, count=1)
    return name


def load_hubert(path: Path, get_again: str, device: str = "cpu") -> Wav2Vec2Model:
    """HuBERT Base with published weights, without the parts of pre-training: 94,370,944 parameters.

    Args:
        path: fairseq's ``hubert_base_ls960.pt``, what ``import_fairseq`` made of it, or torchaudio's own state dict.
        get_again: how a person gets a sound copy, for the error message.
        device: where it runs.

    Raises:
        F2VError: as ``fairseq_weights``, or weights of another network.
    """
    from torchaudio.models import hubert_base

    weights = fairseq_weights(path, get_again)
    if not any(name.startswith(_TORCHAUDIO) for name in weights):
        weights = from_fairseq(weights)
    network = hubert_base()
    load_weights(network, weights, path, get_again)
    return network.to(device)


def load_hubert_units(
    path: Path, centers: Path, get_again: str, *, layer: int = LAYER, device: str = "cpu"
) -> HubertUnits:
    """HuBERT Base and the centres of its units; arguments and errors as ``load_hubert`` and ``read_centres``."""
    return HubertUnits(load_hubert(path, get_again, device), read_centres(centers, get_again), layer)
