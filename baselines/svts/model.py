"""SVTS: a ResNet and a Conformer from lips and a speaker embedding straight to a mel spectrogram.

    visual = ResNet-18(lips), or a weighted sum of frozen features        25 Hz, 512 channels
    x      = linear([visual; speaker])                                    25 Hz
    mel    = linear(Conformer(x)), four frames of 80 bins a video frame   100 Hz
    loss   = |mel' - mel| + convergence |mel' - mel|_F / |mel|_F          log mels of real frames

The paper has 20 video frames and 80 mel frames a second, as the form ``24khz-pwg`` in ``native_24khz.py``. The form
``16khz`` has the frame rates of all models of the benchmark.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from baselines.svts.config import SVTSConfig
from f2v_bench.modeling.base import Model, ModelOutput
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.visual_frontend import FRONTEND_DIM, VisualFrontend
from f2v_bench.nn.layers.conformer import Conformer
from f2v_bench.nn.losses.mel import mel_losses
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME


class SVTS(Model[ModelOutput]):
    """Lips and speaker embedding to a log mel spectrogram; the logarithm is decimal in the form ``24khz-pwg``.

    Args:
        config: settings of the model.
        mel_stats: mean and deviation of the training corpus's log mels, which scale the last layer.

    Raises:
        ValueError: a width that is not divisible by the heads, or an even kernel.
    """

    def __init__(self, config: SVTSConfig, mel_stats: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.config, self.mel_stats = config, mel_stats
        self.frontend = VisualFrontend(config.frontend, config.lips, config.lip_encoder_training.augment)
        self.conformer = Conformer(FRONTEND_DIM + config.speaker, config.conformer)
        self.out_proj = nn.Linear(config.conformer.width, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)

    def forward(self, batch: Batch, speaker: torch.Tensor) -> torch.Tensor:
        """Predict log mels ``(B, 4 T, 80)``.

        Args:
            batch: inputs of ``VisualFrontend``.
            speaker: speaker embeddings, unit vectors ``(B, 256)``.
        """
        visual, mask = self.frontend(batch), batch["mask"]
        speaker = speaker[:, None].expand(-1, mask.shape[1], -1).to(visual.dtype)
        x = self.conformer(torch.cat([visual, speaker], dim=2), mask)
        mel: torch.Tensor = self.out_proj(x).float().view(len(mask), -1, N_MELS)  # (B, 4 T, 80)
        return self.mel_stats[0] + self.mel_stats[1] * mel

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        parts = mel_losses(self(batch, batch["speaker"]), batch["mel"], batch["mask"])
        return parts | {"loss": parts["l1"] + self.config.convergence * parts["convergence"]}

    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        return ModelOutput(self(batch, batch["voice"] if "voice" in batch else batch["speaker"]))
