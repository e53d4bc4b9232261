"""One declaration per model: weights, System and training follow from it.

A package offers its models as entry points of the group ``f2v_bench.models``, one per name and alias:

    [project.entry-points."f2v_bench.models"]
    svts = "baselines.svts.spec:SPEC"

Classes and functions that need torch are given as import paths ``"package.module:NAME"``, so that a declaration is
cheap to import. Hooks take the model's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from f2v_bench.config import with_overrides
from f2v_bench.errors import user_error
from f2v_bench.systems.base import SpeakerReference
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from f2v_bench.modeling.base import Model, Statistics
    from f2v_bench.modeling.checkpoint import ModelCheckpoint
    from f2v_bench.modeling.shared_config import SharedConfig
    from f2v_bench.modeling.synthesizer import Synthesizer
    from f2v_bench.modeling.system import NeuralSystem
    from f2v_bench.nn.vocoders.base import Vocoder

#: prefixes of the parts of a weight file
LIPS, VOCODER, MODEL = "lips.", "vocoder.", "model."
_CHECKPOINT = "f2v_bench.modeling.checkpoint"  # resolved by name: that module imports this one
OWN_VOCODER = "voice."  # vocoder of one model, which shared weights do not hold
SIZES_HINT = "change the sizes in the settings: --set NAME=VALUE"


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Declaration of a model.

    Attributes:
        name: name for ``--model``, and of its folder of packaged weights.
        title: name in messages and model cards.
        summary: one line for tables and help.
        config: import path of the settings, a subclass of ``SharedConfig``.
        presets: import path of a mapping from preset names to settings.
        model: import path of the network, a subclass of ``Model``.
        experiment: import path of the training, a subclass of ``Experiment``.
        voices: sources of the speaker embedding, the default first.
        aliases: other names for ``--model``; each is an entry point too.
        stages: parts of synthesis whose time is measured apart.
        settings: sampling settings that ``--set`` can replace.
        sampling_group: group of the model's settings that holds the sampling settings.
        system: import path of the System.
        synthesizer: import path of a function of checkpoint, sampling settings and device.
        vocoder: import path of a function from settings to the untrained vocoder.
        vocoder_part: part of the weight file that makes samples: ``VOCODER``, ``OWN_VOCODER``, or ``MODEL`` for a model
            without a vocoder.
        waveform: import path of a function of one clip's output, vocoder and random generator to samples.
        sample_rate: hook for Hz of the samples.
        assets: hook for names of assets that synthesis needs beside the weights.
        check: hook that raises an F2VError where synthesis cannot run here.
        check_sampling: hook that raises an F2VError for sampling settings out of range.
        ablation: hook for the part that is left out, ``none`` for the whole model.
        nfe: hook for the number of decoder evaluations per clip; None for an adaptive solver.
        vocoder_name: hook for the vocoder's name where it is not the trained one; None otherwise.
        describe: hook for rows of the model card.
        provenance: hook for a text about the weights' origin, for tables.
        describe_sampling: hook of the sampling settings in use for a text about their cost, for tables.
        renamed_keys: patterns and replacements of tensor names of format 1, as for ``rename_keys``; names have the
            part's prefix.
        metadata_key: header entry of weight files of format 1; None is the name with underscores.
    """

    name: str
    title: str
    summary: str
    config: str
    presets: str
    model: str
    experiment: str
    voices: tuple[SpeakerReference, ...]
    aliases: tuple[str, ...] = ()
    stages: tuple[str, ...] = ("lips", "decoder", "vocoder")
    settings: tuple[str, ...] = ()
    sampling_group: str = ""
    system: str = "f2v_bench.modeling.system:NeuralSystem"
    synthesizer: str = "f2v_bench.modeling.synthesizer:Synthesizer"
    vocoder: str = "f2v_bench.modeling.checkpoint:shared_vocoder"
    vocoder_part: str = VOCODER
    waveform: str = "f2v_bench.modeling.synthesizer:to_waveform"
    sample_rate: Callable[[Any], int] = lambda _config: SAMPLE_RATE
    assets: Callable[[Any], tuple[str, ...]] = lambda _config: ()
    check: Callable[[Any], None] = lambda _config: None
    check_sampling: Callable[[Any], None] = lambda _config: None
    ablation: Callable[[Any], str] = lambda _config: "none"
    nfe: Callable[[Any], int | None] = lambda _config: 1
    vocoder_name: Callable[[Any], str | None] = lambda _config: None
    describe: Callable[[Any], dict[str, str]] = lambda _config: {}
    provenance: Callable[[Any], str] = lambda _config: ""
    describe_sampling: Callable[[Mapping[str, Any]], str] = lambda _sampling: ""
    renamed_keys: tuple[tuple[str, str], ...] = ()
    metadata_key: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Name and aliases."""
        return (self.name, *self.aliases)

    @property
    def config_class(self) -> type[SharedConfig]:
        """Class of the settings."""
        found: type[SharedConfig] = resolve_name(self.config)
        return found

    def preset(self, name: str) -> SharedConfig:
        """Return the settings of a preset.

        Raises:
            F2VError: no such preset.
        """
        from f2v_bench.modeling.shared_config import get_preset

        presets: Mapping[str, SharedConfig] = resolve_name(self.presets)
        return get_preset(presets, name, self.title)

    def build_model(self, config: Any, statistics: Statistics) -> Model[Any]:
        """Build the network, with random weights.

        Args:
            config: settings of the model.
            statistics: mean and deviation of features of the training corpus, by name.

        Raises:
            F2VError: impossible sizes.
        """
        kind: type[Model[Any]] = resolve_name(self.model)
        with user_error(SIZES_HINT):
            return kind.from_statistics(config, statistics)

    def build_vocoder(self, config: Any) -> Vocoder:
        """Build the vocoder, with random weights.

        Raises:
            F2VError: impossible sizes.
        """
        with user_error(SIZES_HINT):
            vocoder: Vocoder = resolve_name(self.vocoder)(config)
        return vocoder

    def vocode(self, output: Any, vocoder: Vocoder | None, rng: np.random.Generator) -> NDArray[np.float32]:
        """Convert the model's output for one clip to samples at its sample rate.

        Args:
            output: fields of one clip, ``(4 T, ...)``, float32 on the CPU.
            vocoder: trained vocoder; None uses Griffin-Lim.
            rng: the clip's random generator.
        """
        samples: NDArray[np.float32] = resolve_name(self.waveform)(output, vocoder, rng)
        return samples

    def build_synthesizer(self, checkpoint: ModelCheckpoint, sampling: Mapping[str, Any], device: str) -> Synthesizer:
        """Load the whole chain of a checkpoint on a device."""
        synthesizer: Synthesizer = resolve_name(self.synthesizer)(checkpoint, sampling, device)
        return synthesizer

    def sampling(self, config: Any, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the sampling settings of a configuration, with those replaced that texts name.

        Raises:
            F2VError: a value of another type or out of range.
        """
        if not self.settings:
            return {}
        group = with_overrides(getattr(config, self.sampling_group), [f"{name}={text}" for name, text in texts.items()])
        self.check_sampling(group)
        return {name: getattr(group, name) for name in self.settings}

    def checkpoint(self, path: Path) -> ModelCheckpoint:
        """Open a weight file of this model.

        Raises:
            F2VError: no such file, or not one of this model.
        """
        checkpoint: ModelCheckpoint = resolve_name(f"{_CHECKPOINT}:ModelCheckpoint")(self, path)
        return checkpoint

    def find_checkpoint(self, name: str | None, dataset: str | None) -> ModelCheckpoint:
        """Open weights by file or name, or those that were trained on a corpus.

        Args:
            name: weight file, or name of packaged weights; None chooses by corpus.
            dataset: name of the corpus that is to be synthesized.

        Raises:
            F2VError: no such weights, or none were trained on this corpus.
        """
        checkpoint: ModelCheckpoint = resolve_name(f"{_CHECKPOINT}:find_checkpoint")(self, name, dataset)
        return checkpoint

    def system_class(self, name: str | None = None) -> type[NeuralSystem]:
        """Return the System of the model under its name or an alias."""
        base: type[NeuralSystem] = resolve_name(self.system)
        declared = {
            "spec": self,
            "name": name or self.name,
            "summary": self.summary,
            "stages": self.stages,
            "settings": self.settings,
            "voices": self.voices,
        }
        return type(base.__name__, (base,), {"__doc__": base.__doc__, "__module__": base.__module__, **declared})

    def experiment_class(self) -> Any:
        """Return the training of the model."""
        return resolve_name(self.experiment)
