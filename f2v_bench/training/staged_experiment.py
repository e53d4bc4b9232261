"""Training of a model in three stages: lip encoder, vocoder, and the model itself on frozen features.

<folder>/units.npz                     clusters of audio features
<folder>/weights.safetensors           weight file for synthesis, once all stages are done

Other files there are those of ``TrainingDir``. The first two stages do not depend on the model: they can be taken from
another training's folder, so that models and ablations are compared on equal features and with an equal vocoder.
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
from f2v_bench.errors import user_error
from f2v_bench.media import resample
from f2v_bench.modeling.batch import Example, collate
from f2v_bench.modeling.checkpoint import TrainingInfo, save_checkpoint
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.modeling.spec import SIZES_HINT, ModelSpec
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
_STATISTICS_CLIPS = 2000  # clips for means and deviations
_LICENSES = {"demo": "MIT", "grid": "MIT; trained on GRID (CC BY 4.0)"}
_NAMED = 5  # clips without a usable face or speech that a message names

#: loads the training example of an index; the generator draws augmentation
LoadExample = Callable[[int, np.random.Generator], Example]


class StagedExperiment(Experiment):
    """Training with the shared stages; a model adds its main stage.

    Args:
        options: options of the training.
    """

    stages: ClassVar[tuple[str, ...]] = ("lips", "vocoder", "main")
    #: stage of the vocoder in the weight file
    vocoder_stage: ClassVar[str] = "vocoder"
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
        """Check the settings, before anything is written.

        Raises:
            F2VError: settings that do not go together.
        """

    @abstractmethod
    def train_main(self) -> None:
        """Train the model itself, with ``clips``, ``lip_feature_sets`` and ``fit_model``."""

    def write_weights(self, path: Path) -> None:
        """Write the weight file, once every stage is done."""
        save_checkpoint(
            path,
            self.spec,
            config=self.config,
            statistics=self.trained.statistics("main"),
            facts=self.facts(),
            model=self.trained.ema_state("main"),
            lips=self.trained.ema_state("lips", "ema.average.encoder.") if self.uses_lip_encoder else None,
            vocoder=self.trained.ema_state(self.vocoder_stage) if self.needs(self.vocoder_stage) else None,
        )

    @property
    def uses_lip_encoder(self) -> bool:
        """True where a lip encoder is to be trained: not AV-HuBERT, and not for a model with its own ResNet."""
        return self.config.lips.encoder == "small" and self.config.uses_lip_encoder

    def needs(self, stage: str) -> bool:
        return stage != "lips" or self.uses_lip_encoder

    def trainings(self) -> dict[str, Callable[[], None]]:
        """Return the function that trains each stage."""
        return {"lips": self._train_lips, "vocoder": self._train_vocoder, "main": self.train_main}

    def train(self, stage: str) -> None:
        if not self.needs(stage):
            return
        if self.trained.stage_dir(stage) != self.folder:
            self.trained.require_complete(stage)
        if self.trained.is_complete(stage):
            return
        start = time.perf_counter()
        before = self.trained.local_steps(stage)
        try:
            self.trainings()[stage]()
        finally:
            if self.trained.local_steps(stage) > before:
                self.trained.record(stage, time.perf_counter() - start)

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
        units, clips, validation = self.units, self.clips, self.validation_clips(config.lips_stage)
        batches = list(
            iter_batches(
                lambda index: lip_example(validation[index], units, 0.0, None), len(validation), VALIDATION_BATCH
            )
        )
        data = TrainingData(len(clips), lambda index, rng: lip_example(clips[index], units, tempo, rng), batches)
        self.reset_seed()
        with user_error(SIZES_HINT):
            module = LipEncoderModule(
                config.lips, config.units, config.lip_encoder_training, config.lips_stage, self.options.seed
            )
        self.fit(module, data, config.lips_stage, "lips")

    def _train_vocoder(self) -> None:
        config = self.config.vocoder

        def load_train(index: int, rng: np.random.Generator) -> Example:
            segment = sample_segment(self.clips[index], config.segment, rng)
            return Example(len(segment["mel"]), segment)

        def load_validation(index: int) -> Example:
            clip = validation[index]
            return Example(clip.frames, {"audio": clip_samples(clip), "mel": clip.mel})

        validation = self.validation_clips(self.config.vocoder_stage)
        data = self.training_data(load_train, load_validation, validation)
        self.reset_seed()
        with user_error(SIZES_HINT):
            module = VocoderModule(config, self.config.vocoder_stage, self.options.seed)
        self.fit(module, data, self.config.vocoder_stage, "vocoder")

    def speech_metrics(self, synthesize: SynthesizeClip, validation: ClipDataset) -> SpeechMetricsCallback:
        """Build the callback for word errors, F0 error and ESTOI of validation clips.

        Args:
            synthesize: function from the index of a validation clip to samples at 16 kHz.
            validation: validation clips.
        """
        real = [clip_samples(validation[index]) for index in range(len(validation))]
        texts = [clip.text for clip in validation.prepared.clips]
        return SpeechMetricsCallback(synthesize, real, texts, self.options.grammar)

    def vocode(self, output: Any, rng: np.random.Generator) -> NDArray[np.float32]:
        """Convert the model's output for one clip to samples at 16 kHz, with the vocoder if it is trained."""
        samples, rate = self.spec.vocode(output, self.vocoder, rng), self.spec.sample_rate(self.config)
        return samples if rate == SAMPLE_RATE else resample(samples, rate, SAMPLE_RATE)

    def fit_model(
        self,
        module: ModelModule,
        load_train: LoadExample,
        load_validation: Callable[[int], Example],
        validation: ClipDataset,
    ) -> None:
        """Train the main stage, or resume it.

        Args:
            module: model in training.
            load_train: loads the training example of an index.
            load_validation: loads the validation example of an index.
            validation: validation clips.
        """
        stage = self.config.main_stage
        data = self.training_data(load_train, load_validation, validation)

        def synthesize(index: int) -> NDArray[np.float32]:
            output = module.predict(collate([load_validation(index)]), index)
            return self.vocode(output, np.random.default_rng(index))

        self.fit(module, data, stage, "main", [self.speech_metrics(synthesize, validation)])

    def training_data(
        self, load_train: LoadExample, load_validation: Callable[[int], Example], validation: ClipDataset
    ) -> TrainingData:
        """Build the data of a stage: all training clips, and batches of all validation clips."""
        batches = list(iter_batches(load_validation, len(validation), VALIDATION_BATCH))
        return TrainingData(len(self.clips), load_train, batches)

    def reset_seed(self) -> None:
        """Reset the global seed, so that a stage's initial weights do not depend on earlier stages."""
        torch.manual_seed(self.options.seed)

    def fit(
        self, module: Any, data: TrainingData, stage: StageConfig, name: str, callbacks: list[Any] | None = None
    ) -> None:
        """Train a module for its stage, or resume it."""
        fit(module, data, stage, self.folder / name, self.options.hardware, self.options.seed, callbacks or [])

    # -- data of the stages --------------------------------------------------------------------------------------------

    @cached_property
    def clips(self) -> ClipDataset:
        """Training clips."""
        return ClipDataset(self._prepared("training clips", self.options.clips))

    @cached_property
    def _validation(self) -> Prepared:
        return self._prepared("validation clips", self.options.validation)

    def validation_clips(self, stage: StageConfig) -> ClipDataset:
        """Return the validation clips of a stage."""
        return ClipDataset(self._validation.first(stage.validate_clips))

    def _prepared(self, what: str, clips: Any) -> Prepared:
        progress = self.options.progress
        found = prepare(clips, self.options.processes, lambda done, count: progress(what, done, count))
        if found.failures:
            named = "; ".join(f"{clip} {why}" for clip, why in sorted(found.failures.items())[:_NAMED])
            more = f"; and {len(found.failures) - _NAMED} more" if len(found.failures) > _NAMED else ""
            self.options.log(f"{what}: {len(found.failures)} of {len(clips)} are left out: {named}{more}")
        return found

    @cached_property
    def units(self) -> UnitLabeler:
        """Labeler of speech units."""
        return UnitLabeler(self.config.units, self.trained.stage_dir("lips") / "units.npz", self.clips)

    def load_lip_encoder(self) -> FrozenLipEncoder:
        """Load the trained lip encoder."""
        if self.config.lips.encoder != "small":
            return FrozenLipEncoder(self.config.lips)
        self.trained.require_complete("lips")
        return FrozenLipEncoder(self.config.lips, self.trained.ema_state("lips", "ema.average.encoder."))

    def lip_features(self, encoder: FrozenLipEncoder, clips: Prepared, variants: int) -> LipFeatures:
        """Extract lip features of clips to disk.

        Args:
            encoder: trained lip encoder.
            clips: prepared clips.
            variants: augmented copies of each clip.
        """
        device = "cuda" if torch.cuda.is_available() and self.options.hardware.accelerator != "cpu" else "cpu"
        features = LipFeatures(
            encoder, clips, variants=variants, augment=self.config.lip_encoder_training.augment, device=device
        )
        progress = self.options.progress
        features.make(lambda done, count: progress("lip features", done, count))
        return features

    def lip_feature_sets(self, validation: ClipDataset) -> LipFeatureSets:
        """Return lip features of training and validation clips; missing ones are extracted."""
        encoder = self.load_lip_encoder()
        return LipFeatureSets(
            self.lip_features(encoder, self.clips.prepared, VARIANTS),
            self.lip_features(encoder, validation.prepared, 0),
        )

    def sample_indices(self) -> list[int]:
        """Return indices of training clips spread over the corpus, for means and deviations."""
        count = len(self.clips)
        return [round(index) for index in np.linspace(0, count - 1, min(count, _STATISTICS_CLIPS))]

    def sample_clips(self) -> list[ClipFeatures]:
        """Return the training clips of ``sample_indices``."""
        return [self.clips[index] for index in self.sample_indices()]

    @cached_property
    def vocoder(self) -> Vocoder | None:
        """Trained vocoder, or None until its stage is done."""
        if not self.trained.is_complete(self.vocoder_stage):
            return None
        network = self.spec.build_vocoder(self.config)
        network.load_state_dict(self.trained.ema_state(self.vocoder_stage))
        return network.eval()

    # -- result ------------------------------------------------------------------------------------------------------

    def facts(self) -> TrainingInfo:
        """Return the facts of the training for the weight file."""
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
            license=_LICENSES.get(options.dataset, "MIT; see the license of the corpus"),
        )
