"""What models look at lips with: a ResNet that is trained with them, or features of the frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig, normalize
from f2v_bench.nn.layers.augment import AugmentConfig, augment, mask_spans
from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.resnet import CHANNELS, ResNet, silu

FRONTEND_DIM = CHANNELS[-1]  # channels of what is seen, 512
VIEW = LipEncoderConfig(field=88, size=88)  # the part of the crop that the ResNet looks at


@dataclass(frozen=True, slots=True)
class VisualFrontendConfig:
    """What a model looks with.

    Attributes:
        kind: ``resnet``, ResNet-18 on the lips, trained with the model; or ``frozen``, the lip features that the
            reference model sees, so that models are compared and not what they look with.
        hidden: share of the frames that ``resnet`` does not see in training. SVTS hides up to 0.4 of each
            second, 0.2 in the mean.
        span: frames of a hidden span.
    """

    kind: Literal["resnet", "frozen"] = "frozen"
    hidden: float = 0.2
    span: int = 5


class VisualFrontend(nn.Module):
    """Lips to 512 channels a video frame.

    Args:
        config: which.
        lips: the frozen encoder, where it is used.
        augment: how pictures are changed in training, where the ResNet looks at them.
    """

    def __init__(self, config: VisualFrontendConfig, lips: LipEncoderConfig, augment: AugmentConfig) -> None:
        super().__init__()
        self.config, self.augment = config, augment
        self.resnet = ResNet(silu) if config.kind == "resnet" else None
        self.layers = WeightedLayerSum(*lips.outputs, FRONTEND_DIM) if config.kind == "frozen" else None

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """``(B, T, 512)``.

        Args:
            batch: ``mask`` ``(B, T)``, and ``features`` ``(B, T, L, D)`` of the frozen encoder or ``lips``, uint8
                ``(B, T, 96, 96)``.
        """
        mask = batch["mask"]
        if self.resnet is not None:
            return scatter_frames(self.resnet(self._pictures(batch["lips"], mask), mask), mask)
        assert self.layers is not None
        seen: torch.Tensor = self.layers(batch["features"])
        return seen

    def _pictures(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return normalize(lips, VIEW)
        hidden = mask_spans(mask, self.config.hidden, self.config.span)
        return augment(lips, VIEW, self.augment).masked_fill(hidden[..., None, None], 0.0)
