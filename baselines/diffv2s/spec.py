"""Weight files of DiffV2S."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.diffv2s.config import DiffV2SConfig
from baselines.diffv2s.diffusion import ddim_timesteps
from baselines.diffv2s.model import DiffV2S
from f2v_bench.config import with_overrides
from f2v_bench.modeling.checkpoint import ModelCheckpoint


class Weights(ModelCheckpoint[DiffV2SConfig]):
    """A weight file of ``diffv2s``."""

    system = "diffv2s"
    title = "DiffV2S"
    head = "diffv2s"
    settings = DiffV2SConfig
    weights_dir = Path(__file__).parent / "shipped"

    @property
    def evaluations(self) -> int:
        return self.config.diffusion.steps

    def model(self) -> DiffV2S:
        """The model, ready for synthesis."""
        return self.filled(DiffV2S(self.config, self.standard["mel"]))

    def sampling(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """``steps`` and ``guidance``, replaced by what texts say.

        Raises:
            F2VError: a value that cannot be.
        """
        found = with_overrides(self.config.diffusion, [f"{name}={value}" for name, value in texts.items()])
        ddim_timesteps(found.times, found.steps)
        return {"steps": found.steps, "guidance": found.guidance}

    def describe(self) -> dict[str, str]:
        sizes, diffusion = self.config.denoiser, self.config.diffusion
        return {
            "denoiser": f"transformer, {sizes.blocks} x {sizes.width}",
            "voice seen in": "lip features and faces" if self.config.voice.faces else "lip features",
            "sampling": said(diffusion.steps, diffusion.guidance),
        }


def said(steps: int, guidance: float) -> str:
    """The sampling in words, with what it costs."""
    cost = "each with its gradient" if guidance else "no gradients"
    return f"DDIM, {steps} evaluations of the denoiser, {cost}, speaker guidance {guidance:g}"
