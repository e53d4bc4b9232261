"""SVTS: a ResNet and a Conformer from lips and a speaker embedding straight to a mel spectrogram.

    seen  = ResNet-18(lips), or a weighted sum of frozen features       25 Hz, 512 channels
    x     = linear([seen; speaker])                                     25 Hz
    mel   = linear(Conformer(x)), four frames of 80 bins a video frame  100 Hz
    loss  = |mel' - mel| + convergence |mel' - mel|_F / |mel|_F         log mels of real frames

The paper works on 20 video frames and 80 mel frames a second: so does the form ``pwg``, in ``published.py``. The form
``suite`` has 25 and 100, with the suite's mel. The network is the same.
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
    """Lips and a voice to a log mel spectrogram: natural logarithms in the form ``suite``, decimal ones in ``pwg``.

    Args:
        config: sizes.
        standard: mean and deviation of the training corpus's log mels: zero and unit of the last layer.

    Raises:
        F2VError: the width does not split into the heads, or the kernel has no centre.
    """

    def __init__(self, config: SVTSConfig, standard: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.config, self.standard = config, standard
        self.frontend = VisualFrontend(config.frontend, config.lips, config.lip_encoder_training.augment)
        self.conformer = Conformer(FRONTEND_DIM + config.speaker, config.conformer)
        self.out_proj = nn.Linear(config.conformer.width, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)

    def forward(self, batch: Batch, speaker: torch.Tensor) -> torch.Tensor:
        """Log mels ``(B, 4 T, 80)``.

        Args:
            batch: as ``VisualFrontend`` takes it.
            speaker: unit vectors ``(B, 256)``.
        """
        seen, mask = self.frontend(batch), batch["mask"]
        voice = speaker[:, None].expand(-1, mask.shape[1], -1).to(seen.dtype)
        x = self.conformer(torch.cat([seen, voice], dim=2), mask)
        mel: torch.Tensor = self.out_proj(x).float().view(len(mask), -1, N_MELS)  # (B, 4 T, 80)
        return self.standard[0] + self.standard[1] * mel

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        parts = mel_losses(self(batch, batch["speaker"]), batch["mel"], batch["mask"])
        return parts | {"loss": parts["l1"] + self.config.convergence * parts["convergence"]}

    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        return ModelOutput(self(batch, batch["voice"] if "voice" in batch else batch["speaker"]))
