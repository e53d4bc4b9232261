"""Weight files of the reference model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from f2v_bench.config import with_overrides
from f2v_bench.modeling.checkpoint import ModelCheckpoint
from reference_model.config import FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.solvers import NFE_PER_STEP


class Weights(ModelCheckpoint[FacesToVoicesConfig]):
    """A weight file of ``ours``."""

    system = "ours"
    title = "the reference model"
    head = "reference_model"
    settings = FacesToVoicesConfig
    weights_dir = Path(__file__).parent / "shipped"

    @property
    def ablation(self) -> str:
        return self.config.ablate

    @property
    def provenance(self) -> str:
        how = self.config.transfer
        return super().provenance + ("" if how == "scratch" else f", {self.config.pretraining.told(how)}")

    @property
    def evaluations(self) -> int | None:
        flow = self.config.flow
        if flow.solver not in NFE_PER_STEP:
            return None
        return NFE_PER_STEP[flow.solver] * flow.steps * (1 if flow.guidance == 1 else 2)

    def model(self) -> FacesToVoices:
        """The model, ready for synthesis."""
        return self.filled(FacesToVoices(self.config, DataStatistics(**self.standard)))

    def flow_settings(self, names: Sequence[str], texts: Mapping[str, str]) -> dict[str, Any]:
        """Named settings of the flow's sampling, with some of them replaced by what texts say.

        Raises:
            F2VError: a value that cannot be.
        """
        flow = with_overrides(self.config.flow, [f"{name}={value}" for name, value in texts.items()])
        return {name: getattr(flow, name) for name in names}

    def describe(self) -> dict[str, str]:
        flow = self.config.flow
        sampling = f"{flow.solver}, {flow.steps} steps, guidance {flow.guidance:g}, temperature {flow.temperature:g}"
        return {"decoder": flow.decoder, "sampling": sampling}
