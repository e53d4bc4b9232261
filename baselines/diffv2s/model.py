"""DiffV2S: lips and a speaker embedding from the video to a mel spectrogram, by diffusion.

f_v, s_v = prompts on frozen lip features              25 Hz, and a unit vector of 256
s_a      = prompts on the mel                          a unit vector of 256; in training and guidance alone
x_0      = mel between -1 and 1, four frames a video frame  25 Hz, 320 channels
x_0^     = transformer([x_t; f_v; s_v], t)
loss     = |x_0^ - x_0| + weight (N(s_v, s_G) + N(s_a, s_G) + N(s_v, s_a) + N(s_a, s_v)),  N is InfoNCE, s_G GE2E
guidance = gradient of 1 - cos(s_v, s_a(x_0^)) at x_t, which the sampler descends
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from baselines.diffv2s.config import DiffV2SConfig
from baselines.diffv2s.denoiser import Denoiser
from baselines.diffv2s.diffusion import alphas_cumprod, ddim, q_sample
from baselines.diffv2s.prompts import PromptEncoder
from f2v_bench.modeling.base import Model, ModelOutput
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.face_encoder import FACE_DIM, FaceEncoder, downsample2
from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.losses.infonce import info_nce
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME

MEL_DIM = MEL_FRAMES_PER_VIDEO_FRAME * N_MELS  # channels of a video frame of mel, 320


class DiffV2S(Model[ModelOutput]):
    """Lips to a natural-log mel spectrogram.

    Args:
        config: settings of the model.
        mel_range: log mel value that becomes 0, and the distance from it that becomes 1, of the training corpus.

    Raises:
        F2VError: a width that does not split into the heads.
    """

    alphas: torch.Tensor

    def __init__(self, config: DiffV2SConfig, mel_range: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.config, self.mel_range = config, mel_range
        self.layers = WeightedLayerSum(*config.lips.outputs, config.video.width)
        self.video = PromptEncoder(config.video)
        self.face: nn.Module | None = None
        if config.voice.face_channels:
            self.face = FaceEncoder(config.voice.face_channels)
            self.face_in = nn.Linear(FACE_DIM, config.video.width)
        self.audio_in = nn.Linear(MEL_DIM, config.audio.width)
        self.audio = PromptEncoder(config.audio)
        self.denoiser = Denoiser(config.denoiser, MEL_DIM, config.video.width)
        self.register_buffer("alphas", alphas_cumprod(config.diffusion.num_timesteps), persistent=False)

    def encode_video(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return visual features f_v ``(B, T, F)`` and their speaker embeddings s_v ``(B, 256)``.

        Args:
            batch: ``features`` ``(B, T, L, D)``, ``mask`` ``(B, T)`` and, for a model with a face encoder,
                ``identity``, uint8 ``(B, K, 112, 112, 3)``.
        """
        faces = None
        if self.face is not None:
            vectors = self.face(downsample2(batch["identity"]))
            faces = self.face_in(vectors).view(*batch["identity"].shape[:2], -1)  # (B, K, F)
        visual, speaker = self.video(self.layers(batch["features"]), batch["mask"], faces)
        return visual, speaker

    def encode_audio(self, clean: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return speaker embeddings s_a ``(B, 256)`` of scaled mels ``(B, T, 320)``."""
        _, speaker = self.audio(self.audio_in(clean), mask)
        embedding: torch.Tensor = speaker
        return embedding

    def scale(self, mel: torch.Tensor) -> torch.Tensor:
        """Scale log mels ``(B, 4 T, 80)`` to [-1, 1], four frames in a row, ``(B, T, 320)``; louder ones are cut."""
        center, reach = self.mel_range
        return stack_frames(((mel - center) / reach).clamp(-1, 1))

    def unscale(self, clean: torch.Tensor) -> torch.Tensor:
        """Scale ``(B, T, 320)`` back to log mels ``(B, 4 T, 80)``."""
        center, reach = self.mel_range
        return center + reach * clean.reshape(len(clean), -1, N_MELS)

    def predict_x0(
        self, x: torch.Tensor, t: torch.Tensor, visual: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Predict x_0^ from x_t ``(B, T, 320)`` and t, int64 ``(B,)``."""
        out: torch.Tensor = self.denoiser(x, t / self.config.diffusion.num_timesteps, visual, speaker, mask)
        return out

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        config, mask = self.config.voice, batch["mask"]
        clean = self.scale(batch["mel"])
        visual, face = self.encode_video(batch)
        audio, teacher = self.encode_audio(clean, mask), batch["speaker"]
        pairs = {
            "face_teacher": (face, teacher), "voice_teacher": (audio, teacher),
            "face_voice": (face, audio), "voice_face": (audio, face),
        }  # fmt: skip
        parts = {name: info_nce(*pair, batch["person"], config.temperature) for name, pair in pairs.items()}
        speaker = face
        if self.training:  # the audio's embedding is detached: the denoiser must not put the mel into it
            swapped = torch.rand(len(clean), 1, device=clean.device) < config.audio_prob
            speaker = torch.where(swapped, audio.detach(), face)
        t = torch.randint(1, len(self.alphas), (len(clean),), device=clean.device)
        x = q_sample(clean, torch.randn_like(clean), self.alphas[t])
        error = (self.predict_x0(x, t, visual, speaker, mask) - clean).abs() * mask[..., None]
        parts["l1"] = error.sum() / (mask.sum() * MEL_DIM)
        contrasts = torch.stack([parts[name] for name in pairs]).sum()
        return parts | {"loss": parts["l1"] + config.weight * contrasts}

    @torch.no_grad()
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        return ModelOutput(self.sample(batch, noise, **settings))

    def sample(
        self, batch: Batch, noise: torch.Tensor, *, steps: int | None = None, guidance: float | None = None
    ) -> torch.Tensor:
        """Sample log mels ``(B, 4 T, 80)``; a clip's mel depends on its own noise and condition alone.

        Args:
            batch: inputs of ``encode_video``; ``voice`` ``(B, 256)``, an output of ``encode_audio``, replaces the
                video's speaker embedding.
            noise: standard normal samples ``(B, 4 T, 80)``.
            steps: number of DDIM steps; None takes that of the settings.
            guidance: scale of the speaker guidance; None takes that of the settings.

        Raises:
            F2VError: no step, or more steps than time steps.
        """
        config, mask = self.config.diffusion, batch["mask"]
        scale = config.guidance if guidance is None else guidance
        visual, face = self.encode_video(batch)
        speaker = batch.get("voice", face)

        def predict(x: torch.Tensor, t: int) -> torch.Tensor:
            times = torch.full((len(x),), t, device=x.device)
            if scale == 0:
                return self.predict_x0(x, times, visual, speaker, mask).clamp(-1, 1)
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                clean = self.predict_x0(x, times, visual, speaker, mask)
                distance = 1 - (speaker * self.encode_audio(clean, mask)).sum(1)  # (B,)
                (gradient,) = torch.autograd.grad(distance.sum(), x)
            alpha = self.alphas[t]
            return (clean.detach() - scale * (1 - alpha) / alpha.sqrt() * gradient).clamp(-1, 1)

        x = ddim(predict, stack_frames(noise), self.alphas, config.steps if steps is None else steps)
        return self.unscale(x)


def stack_frames(mel: torch.Tensor) -> torch.Tensor:
    """Reshape ``(B, 4 T, 80)`` to ``(B, T, 320)``, the four mel frames of a video frame in a row."""
    return mel.reshape(len(mel), -1, MEL_DIM)
