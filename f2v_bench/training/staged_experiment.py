"""Training a model in three stages: lip encoder, vocoder, and the model itself on frozen features.

<folder>/units.npz                     clusters of sound
<folder>/weights.safetensors           what synthesis needs, once all stages are done

and what ``TrainingDir`` keeps there. The first two stages are the same whatever the model is: another training's
folder can lend them, so that models and ablations are compared on equal features and with an equal voice.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from f2v_bench.config import with_overrides, with_yaml
from f2v_bench.media import resample
from f2v_bench.modeling.batch import Example, collate
from f2v_bench.modeling.checkpoint import TrainingInfo, save_checkpoint
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.timing import SAMPLE_RATE
from f2v_bench.training.callbacks import SpeechMetricsCallback, SynthesizeClip
from f2v_bench.training.data.dataset import ClipDataset, UnitLabeler, clip_samples, sample_segment
from f2v_bench.training.data.lip_features import VARIANTS, LipFeatures, LipFeatureSets
from f2v_bench.training.data.loader import iter_batches
from f2v_bench.training.data.prepare import Prepared, prepare
from f2v_bench.training.experiment import Experiment, TrainOptions
from f2v_bench.training.lip_encoder import LipEncoderModule, lip_example
from f2v_bench.training.module import ModelModule
from f2v_bench.training.run_dir import TrainingDir
from f2v_bench.training.trainer import TrainingData, fit
from f2v_bench.training.vocoder import VocoderModule
from f2v_bench.utils.environment import hardware

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.modeling.shared_config import StageConfig
    from f2v_bench.training.data.features import ClipFeatures

VALIDATION_BATCH = 10
_STANDARD_CLIPS = 2000  # that means and deviations are taken from
_LICENCES = {"demo": "MIT", "grid": "MIT; trained on GRID (CC BY 4.0)"}
_NAMED = 5  # clips without a usable face or speech that a message names


LoadExample = Callable[[int, np.random.Generator], Example]


class StagedExperiment(Experiment):
    """The stages, the folder, and what they stand on; a model adds its main stage and how its weights are written.

    Args:
        options: options of the command.
    """

    stages: ClassVar[tuple[str, ...]] = ("lips", "vocoder", "main")
    #: the stage that trains what makes the sound
    vocoder_key: ClassVar[str] = "vocoder"
    #: declaration of the model
    spec: ClassVar[ModelSpec]

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        config = self.initial_config(options)
        if options.settings_file:
            config = with_yaml(config, options.settings_file)
        self.config = with_overrides(config, options.settings)
        self.folder = options.folder
        self.trained = TrainingDir(options.folder, self.stages, self.config, options.base, self.spec.renamed_keys)
        self.check()
        self.trained.lock_settings(options.seed, options.list_id)

    def initial_config(self, options: TrainOptions) -> SharedConfig:
        """Return the settings of the preset, which the options' file and texts override."""
        return self.spec.preset(options.preset)

    def check(self) -> None:
        """Refuse settings that do not go together, before anything is written.

        Raises:
            F2VError: which ones, and what to do.
        """

    @abstractmethod
    def train_main(self) -> None:
        """Train the model itself; ``clips``, ``features``, ``listening`` and ``fit`` are there for it."""

    def write_weights(self, path: Path) -> None:
        """Write what synthesis needs, once every stage is done."""
        save_checkpoint(
            path,
            self.spec,
            config=self.config,
            statistics=self.trained.statistics("main"),
            facts=self.facts(),
            model=self.trained.ema_state("main"),
            lips=self.trained.ema_state("lips", "ema.average.encoder.") if self.uses_lip_encoder else None,
            vocoder=self.trained.ema_state(self.vocoder_key) if self.needs(self.vocoder_key) else None,
        )

    @property
    def uses_lip_encoder(self) -> bool:
        """Whether there is a lip encoder to train: AV-HuBERT comes trained, and a model may look for itself."""
        return self.config.lips.encoder == "small" and self.config.uses_lip_encoder

    def needs(self, stage: str) -> bool:
        return stage != "lips" or self.uses_lip_encoder

    def trainings(self) -> dict[str, Callable[[], None]]:
        """What trains each stage."""
        return {"lips": self._train_lips, "vocoder": self._train_vocoder, "main": self.train_main}

    def train(self, stage: str) -> None:
        if not self.needs(stage):
            return
        if self.trained.stage_dir(stage) != self.folder:
            self.trained.require_complete(stage)
        if self.trained.is_complete(stage):
            return
        begin = time.perf_counter()
        before = self.trained.local_steps(stage)
        try:
            self.trainings()[stage]()
        finally:
            if self.trained.local_steps(stage) > before:
                self.trained.record(stage, time.perf_counter() - begin)

    def export(self) -> Path | None:
        if not all(self.trained.is_complete(stage) for stage in self.stages if self.needs(stage)):
            return None
        path = self.folder / "weights.safetensors"
        self.write_weights(path)
        return path

    # -- stages ------------------------------------------------------------------------------------------------------

    def _train_lips(self) -> None:
        config = self.config
        tempo = config.lip_encoder_training.augment.tempo
        units, clips, held = self.units, self.clips, self.validation_clips(config.lips_stage)
        batches = list(iter_batches(lambda at: lip_example(held[at], units, 0.0, None), len(held), VALIDATION_BATCH))
        source = TrainingData(len(clips), lambda at, rng: lip_example(clips[at], units, tempo, rng), batches)
        self.reset_seed()
        module = LipEncoderModule(config.lips, config.units, config.lip_encoder_training, config.lips_stage, self.options.seed)
        self.fit(module, source, config.lips_stage, "lips")

    def _train_vocoder(self) -> None:
        config = self.config.vocoder

        def item(at: int, rng: np.random.Generator) -> Example:
            piece = sample_segment(self.clips[at], config.segment, rng)
            return Example(len(piece["mel"]), piece)

        def whole(at: int) -> Example:
            return Example(held[at].frames, {"audio": clip_samples(held[at]), "mel": held[at].mel})

        held = self.validation_clips(self.config.vocoder_stage)
        source = self.source(item, whole, held)
        self.reset_seed()
        module = VocoderModule(config, self.config.vocoder_stage, self.options.seed)
        self.fit(module, source, self.config.vocoder_stage, "vocoder")

    def listening(self, speak: SynthesizeClip, held: ClipDataset) -> SpeechMetricsCallback:
        """Word errors, F0 error and ESTOI of validation clips on the way."""
        real = [clip_samples(held[at]) for at in range(len(held))]
        return SpeechMetricsCallback(speak, real, [clip.text for clip in held.prepared.clips], self.options.grammar)

    def vocode(self, output: Any, rng: np.random.Generator) -> NDArray[np.float32]:
        """Convert the model's output for one clip to samples at 16 kHz, with the vocoder if it is trained."""
        samples, rate = self.spec.vocode(output, self.vocoder, rng), self.spec.sample_rate(self.config)
        return samples if rate == SAMPLE_RATE else resample(samples, rate, SAMPLE_RATE)

    def fit_model(
        self, module: ModelModule, item: LoadExample, whole: Callable[[int], Example], held: ClipDataset
    ) -> None:
        """Train the main stage, or go on with it.

        Args:
            module: the model.
            item: what it sees of a training clip.
            whole: what it sees of a clip held out.
            held: to validate on.
        """
        stage = self.config.main_stage
        source = self.source(item, whole, held)

        def speak(at: int) -> NDArray[np.float32]:
            return self.vocode(module.predict(collate([whole(at)]), at), np.random.default_rng(at))

        self.fit(module, source, stage, "main", [self.listening(speak, held)])

    def source(self, item: LoadExample, whole: Callable[[int], Example], held: ClipDataset) -> TrainingData:
        """Training clips as ``item`` draws them, and all of those held out as ``whole`` shows them."""
        return TrainingData(len(self.clips), item, list(iter_batches(whole, len(held), VALIDATION_BATCH)))

    def reset_seed(self) -> None:
        """Let the seed alone decide the weights that a stage begins with, whatever ran before."""
        torch.manual_seed(self.options.seed)

    def fit(
        self, module: Any, source: TrainingData, stage: StageConfig, name: str, callbacks: list[Any] | None = None
    ) -> None:
        """Train a module for its stage, or go on with it."""
        fit(module, source, stage, self.folder / name, self.options.hardware, self.options.seed, callbacks or [])

    # -- what stages stand on ----------------------------------------------------------------------------------------

    @cached_property
    def clips(self) -> ClipDataset:
        """To train on."""
        return ClipDataset(self._prepared("training clips", self.options.clips))

    @cached_property
    def _validation(self) -> Prepared:
        return self._prepared("validation clips", self.options.validation)

    def validation_clips(self, stage: StageConfig) -> ClipDataset:
        """To validate a stage on."""
        return ClipDataset(self._validation.first(stage.validate_clips))

    def _prepared(self, what: str, clips: Any) -> Prepared:
        watch = self.options.watcher
        found = prepare(clips, self.options.processes, lambda done, count: watch(what, done, count))
        if found.failures:
            named = "; ".join(f"{clip} {why}" for clip, why in sorted(found.failures.items())[:_NAMED])
            more = f"; and {len(found.failures) - _NAMED} more" if len(found.failures) > _NAMED else ""
            self.options.notice(f"{what}: {len(found.failures)} of {len(clips)} are left out: {named}{more}")
        return found

    @cached_property
    def units(self) -> UnitLabeler:
        """What labels sound."""
        return UnitLabeler(self.config.units, self.trained.stage_dir("lips") / "units.npz", self.clips)

    def load_lip_encoder(self) -> FrozenLipEncoder:
        """The lip encoder, trained."""
        if self.config.lips.encoder != "small":
            return FrozenLipEncoder(self.config.lips)
        self.trained.require_complete("lips")
        return FrozenLipEncoder(self.config.lips, self.trained.ema_state("lips", "ema.average.encoder."))

    def features(self, frozen: FrozenLipEncoder, clips: Prepared, variants: int) -> LipFeatures:
        """Its features of clips, on disk."""
        device = "cuda" if torch.cuda.is_available() and self.options.hardware.accelerator != "cpu" else "cpu"
        features = LipFeatures(frozen, clips, variants=variants, augment=self.config.lip_encoder_training.augment, device=device)
        watch = self.options.watcher
        features.make(lambda done, count: watch("lip features", done, count))
        return features

    def lip_feature_sets(self, held: ClipDataset) -> LipFeatureSets:
        """Lip features of all training clips and of those held out, made where they are not there yet."""
        frozen = self.load_lip_encoder()
        return LipFeatureSets(
            self.features(frozen, self.clips.prepared, VARIANTS), self.features(frozen, held.prepared, 0)
        )

    def sample_indices(self) -> list[int]:
        """Places of training clips spread over the corpus, enough for means and deviations."""
        count = len(self.clips)
        return [round(at) for at in np.linspace(0, count - 1, min(count, _STANDARD_CLIPS))]

    def sample_clips(self) -> list[ClipFeatures]:
        """The training clips of ``some``."""
        return [self.clips[at] for at in self.sample_indices()]

    @cached_property
    def vocoder(self) -> Vocoder | None:
        """What makes the sound, where its stage is done."""
        if not self.trained.is_complete(self.vocoder_key):
            return None
        network = self.spec.build_vocoder(self.config)
        network.load_state_dict(self.trained.ema_state(self.vocoder_key))
        return network.eval()

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def facts(self) -> TrainingInfo:
        """What the weights say of themselves."""
        options = self.options
        found = hardware("cuda" if torch.cuda.is_available() else "cpu")
        return TrainingInfo(
            name=self.folder.name,
            dataset=options.dataset,
            list_id=options.list_id,
            clips=len(self.clips),
            hours=round(self.clips.hours, 3),
            stages=self.trained.records(),
            hardware=str(found.get("accelerator") or f"{found['cores']} cores of {found['processor']}"),
            seed=options.seed,
            license=_LICENCES.get(options.dataset, "MIT; see the licence of the corpus"),
        )
