"""Weight files of the reference model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from f2v_bench.training.settings import with_texts
from f2v_bench.training.weights import WeightFile
from reference_model.conditioned import Standard
from reference_model.config import ReferenceConfig
from reference_model.model import ReferenceModel
from reference_model.solvers import ORDERS


class Weights(WeightFile[ReferenceConfig]):
    """A weight file of ``ours``."""

    system = "ours"
    title = "the reference model"
    head = "reference_model"
    settings = ReferenceConfig
    shelf = Path(__file__).parent / "shipped"

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
        if flow.solver not in ORDERS:
            return None
        return ORDERS[flow.solver] * flow.steps * (1 if flow.guidance == 1 else 2)

    def model(self) -> ReferenceModel:
        """The model, ready for synthesis."""
        return self.filled(ReferenceModel(self.config, Standard(**self.standard)))

    def flow_settings(self, names: Sequence[str], texts: Mapping[str, str]) -> dict[str, Any]:
        """Named settings of the flow's sampling, with some of them replaced by what texts say.

        Raises:
            F2VError: a value that cannot be.
        """
        flow = with_texts(self.config.flow, [f"{name}={value}" for name, value in texts.items()])
        return {name: getattr(flow, name) for name in names}

    def describe(self) -> dict[str, str]:
        flow = self.config.flow
        sampling = f"{flow.solver}, {flow.steps} steps, guidance {flow.guidance:g}, temperature {flow.temperature:g}"
        return {"decoder": flow.decoder, "sampling": sampling}
