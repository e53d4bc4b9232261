"""Visual frontends of models: a ResNet that is trained with the model, or features of the frozen lip encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig, normalize
from f2v_bench.nn.layers.augment import AugmentConfig, augment, mask_spans
from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.resnet import CHANNELS, ResNet, silu

FRONTEND_DIM = CHANNELS[-1]  # channels of the output, 512
VIEW = LipEncoderConfig(field=88, size=88)  # part of the crop that the ResNet takes


@dataclass(frozen=True, slots=True)
class VisualFrontendConfig:
    """Choice of the visual frontend.

    Attributes:
        kind: ``resnet``, ResNet-18 on lip crops, trained with the model; or ``frozen``, the lip features of the
            reference model, so that a comparison of models is not one of their frontends.
        mask_prob: approximate fraction of frames that are masked in training, for ``resnet``. SVTS masks up to 0.4 of
            each second, 0.2 on average.
        mask_length: frames of a masked span.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"hidden": "mask_prob", "span": "mask_length"}

    kind: Literal["resnet", "frozen"] = "frozen"
    mask_prob: float = 0.2
    mask_length: int = 5


class VisualFrontend(nn.Module):
    """Lip crops or lip features to 512 channels per video frame.

    Args:
        config: choice of the frontend.
        lips: settings of the frozen encoder, for ``frozen``.
        augment: strength of data augmentation in training, for ``resnet``.
    """

    def __init__(self, config: VisualFrontendConfig, lips: LipEncoderConfig, augment: AugmentConfig) -> None:
        super().__init__()
        self.config, self.augment = config, augment
        self.resnet = ResNet(silu) if config.kind == "resnet" else None
        self.layers = WeightedLayerSum(*lips.outputs, FRONTEND_DIM) if config.kind == "frozen" else None

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Encode the lips of a batch as ``(B, T, 512)``.

        Args:
            batch: ``mask`` ``(B, T)``, and ``features`` ``(B, T, L, D)`` of the frozen encoder or ``lips``, uint8
                ``(B, T, 96, 96)``.
        """
        mask = batch["mask"]
        if self.resnet is not None:
            return scatter_frames(self.resnet(self._preprocess(batch["lips"], mask), mask), mask)
        assert self.layers is not None
        features: torch.Tensor = self.layers(batch["features"])
        return features

    def _preprocess(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return normalize(lips, VIEW)
        masked = mask_spans(mask, self.config.mask_prob, self.config.mask_length)
        return augment(lips, VIEW, self.augment).masked_fill(masked[..., None, None], 0.0)
