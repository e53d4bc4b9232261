"""DiffV2S: lips and the voice that the picture has, to a mel spectrogram by diffusion.

f_v, s_v = prompts on frozen lip features              25 Hz, and a unit vector of 256
s_a      = prompts on the mel                          a unit vector of 256; training and guidance alone
x_0      = mel between -1 and 1, four frames a video frame  25 Hz, 320 channels
x_0^     = transformer([x_t; f_v; s_v], t)
loss     = |x_0^ - x_0| + weight (N(s_v, s_G) + N(s_a, s_G) + N(s_v, s_a) + N(s_a, s_v)),  N is InfoNCE, s_G GE2E
guidance = slope of 1 - cos(s_v, s_a(x_0^)) at x_t, which the sampler goes down
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from baselines.diffv2s.config import DiffV2SConfig
from baselines.diffv2s.denoiser import Denoiser
from baselines.diffv2s.diffusion import alphas_cumprod, ddim, q_sample
from baselines.diffv2s.prompts import PromptReader
from f2v_bench.modeling.base import Model, ModelOutput
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.face_encoder import FACE_DIM, FaceEncoder, downsample2
from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.losses.infonce import info_nce
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME

STACKED = MEL_FRAMES_PER_VIDEO_FRAME * N_MELS  # channels of a video frame of mel, 320


class DiffV2S(Model[ModelOutput]):
    """Lips to a natural-log mel spectrogram.

    Args:
        config: sizes.
        standard: of the training corpus's log mels, the value that becomes 0 and the distance from it that becomes 1.

    Raises:
        F2VError: a width that does not split into the heads.
    """

    bars: torch.Tensor

    def __init__(self, config: DiffV2SConfig, standard: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.config, self.standard = config, standard
        self.layers = WeightedLayerSum(*config.lips.outputs, config.video.width)
        self.video = PromptReader(config.video)
        self.face: nn.Module | None = None
        if config.voice.face_channels:
            self.face = FaceEncoder(config.voice.face_channels)
            self.face_in = nn.Linear(FACE_DIM, config.video.width)
        self.audio_in = nn.Linear(STACKED, config.audio.width)
        self.audio = PromptReader(config.audio)
        self.denoiser = Denoiser(config.denoiser, STACKED, config.video.width)
        self.register_buffer("bars", alphas_cumprod(config.diffusion.num_timesteps), persistent=False)

    def see(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """What is seen, f_v ``(B, T, F)``, and whose voice that should have, s_v ``(B, 256)``.

        Args:
            batch: ``features`` ``(B, T, L, D)``, ``mask`` ``(B, T)`` and, where faces are looked at, ``identity``,
                uint8 ``(B, K, 112, 112, 3)``.
        """
        faces = None
        if self.face is not None:
            vectors = self.face(downsample2(batch["identity"]))
            faces = self.face_in(vectors).view(*batch["identity"].shape[:2], -1)  # (B, K, F)
        seen, speaker = self.video(self.layers(batch["features"]), batch["mask"], faces)
        return seen, speaker

    def hear(self, clean: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Whose voice a scaled mel ``(B, T, 320)`` has, s_a ``(B, 256)``."""
        _, speaker = self.audio(self.audio_in(clean), mask)
        found: torch.Tensor = speaker
        return found

    def scaled(self, mel: torch.Tensor) -> torch.Tensor:
        """Log mels ``(B, 4 T, 80)`` in [-1, 1], four frames in a row, ``(B, T, 320)``; louder ones are cut."""
        center, reach = self.standard
        return stacked(((mel - center) / reach).clamp(-1, 1))

    def unscaled(self, clean: torch.Tensor) -> torch.Tensor:
        """``(B, T, 320)`` back to log mels ``(B, 4 T, 80)``."""
        center, reach = self.standard
        return center + reach * clean.reshape(len(clean), -1, N_MELS)

    def denoised(
        self, x: torch.Tensor, t: torch.Tensor, seen: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """x_0^ of x_t ``(B, T, 320)`` and t, int64 ``(B,)``."""
        out: torch.Tensor = self.denoiser(x, t / self.config.diffusion.num_timesteps, seen, speaker, mask)
        return out

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        config, mask = self.config.voice, batch["mask"]
        clean = self.scaled(batch["mel"])
        seen, face = self.see(batch)
        heard, teacher = self.hear(clean, mask), batch["speaker"]
        pairs = {
            "face_teacher": (face, teacher), "voice_teacher": (heard, teacher),
            "face_voice": (face, heard), "voice_face": (heard, face),
        }  # fmt: skip
        parts = {name: info_nce(*pair, batch["person"], config.temperature) for name, pair in pairs.items()}
        speaker = face
        if self.training:  # the heard voice as it is: what it may say of the mel is not for the denoiser to decide
            swapped = torch.rand(len(clean), 1, device=clean.device) < config.audio_prob
            speaker = torch.where(swapped, heard.detach(), face)
        t = torch.randint(1, len(self.bars), (len(clean),), device=clean.device)
        x = q_sample(clean, torch.randn_like(clean), self.bars[t])
        error = (self.denoised(x, t, seen, speaker, mask) - clean).abs() * mask[..., None]
        parts["l1"] = error.sum() / (mask.sum() * STACKED)
        contrasts = torch.stack([parts[name] for name in pairs]).sum()
        return parts | {"loss": parts["l1"] + config.weight * contrasts}

    @torch.no_grad()
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        return ModelOutput(self.sample(batch, noise, **settings))

    def sample(
        self, batch: Batch, noise: torch.Tensor, *, steps: int | None = None, guidance: float | None = None
    ) -> torch.Tensor:
        """Log mels ``(B, 4 T, 80)``; each clip's follows from its own noise and condition alone.

        Args:
            batch: as ``see`` takes it; ``voice`` ``(B, 256)``, of ``hear``, takes the place of the face's.
            noise: standard normal ``(B, 4 T, 80)``.
            steps: instead of the configuration's.
            guidance: instead of the configuration's.

        Raises:
            F2VError: no step, or more steps than the diffusion has times.
        """
        config, mask = self.config.diffusion, batch["mask"]
        scale = config.guidance if guidance is None else guidance
        seen, face = self.see(batch)
        speaker = batch.get("voice", face)

        def predict(x: torch.Tensor, t: int) -> torch.Tensor:
            times = torch.full((len(x),), t, device=x.device)
            if scale == 0:
                return self.denoised(x, times, seen, speaker, mask).clamp(-1, 1)
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                clean = self.denoised(x, times, seen, speaker, mask)
                apart = 1 - (speaker * self.hear(clean, mask)).sum(1)  # (B,)
                (slope,) = torch.autograd.grad(apart.sum(), x)
            bar = self.bars[t]
            return (clean.detach() - scale * (1 - bar) / bar.sqrt() * slope).clamp(-1, 1)

        x = ddim(predict, stacked(noise), self.bars, config.steps if steps is None else steps)
        return self.unscaled(x)


def stacked(mel: torch.Tensor) -> torch.Tensor:
    """``(B, 4 T, 80)`` with the four frames of a video frame in a row, ``(B, T, 320)``."""
    return mel.reshape(len(mel), -1, STACKED)
