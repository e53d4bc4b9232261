"""Synthesis of DiffV2S from face crops, or with the voice of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from baselines.diffv2s.model import DiffV2S
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.synthesizer import Synthesizer, VideoInputs
from f2v_bench.signal.mel import log_mel
from f2v_bench.timing import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DiffV2SSynthesizer(Synthesizer):
    """Synthesizer from lips and identity frames; the audio prompts embed a recording's voice."""

    def build_example(self, video: VideoInputs, noise: NDArray[np.float32]) -> Example:
        plain = super().build_example(video, noise)
        return Example(plain.frames, plain.sequences, {"identity": video["identity"]})

    @torch.no_grad()
    def embed_speaker(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        assert isinstance(self.model, DiffV2S)
        padded = np.pad(samples, (0, -len(samples) % SAMPLES_PER_VIDEO_FRAME))  # to whole video frames
        mel = self.model.scale(torch.from_numpy(log_mel(padded, SAMPLE_RATE))[None].to(self.device))
        mask = torch.ones(mel.shape[:2], dtype=torch.bool, device=self.device)
        embedding: NDArray[np.float32] = self.model.encode_audio(mel, mask)[0].cpu().numpy()
        return embedding
