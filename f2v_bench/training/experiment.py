"""Training a model in three stages: lip encoder, vocoder, and the model itself on frozen features.

<folder>/units.npz                     clusters of sound
<folder>/weights.safetensors           what synthesis needs, once all stages are done

and what ``TrainingFolder`` keeps there. The first two stages are the same whatever the model is: another training's
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

from f2v_bench.nn.frozen_lips import FrozenLips
from f2v_bench.nn.generator import Generator
from f2v_bench.nn.vocoder import build_vocoder
from f2v_bench.surroundings import hardware
from f2v_bench.training.clips import Clips, Units, segment_of, speech
from f2v_bench.training.contract import Trainee, TrainOptions
from f2v_bench.training.folder import TrainingFolder
from f2v_bench.training.lip_features import VARIANTS, LipFeatures, Looks
from f2v_bench.training.lips import LipTraining, lip_item
from f2v_bench.training.listening import Listening, Speak
from f2v_bench.training.loader import Item, collated, whole_batches
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.prepare import Prepared, prepare
from f2v_bench.training.runner import Source, fit
from f2v_bench.training.settings import with_file, with_texts
from f2v_bench.training.speech import sound, speech_of
from f2v_bench.training.stage import StagedConfig
from f2v_bench.training.vocoder import VocoderTraining
from f2v_bench.training.weights import Facts, WeightFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.training.stage import StageConfig
    from f2v_bench.training.targets import Targets

VALIDATION_BATCH = 10
_STANDARD_CLIPS = 2000  # that means and deviations are taken from
_LICENCES = {"demo": "MIT", "grid": "MIT; trained on GRID (CC BY 4.0)"}
_NAMED = 5  # clips without a usable face or speech that a message names


Draw = Callable[[int, np.random.Generator], Item]


class StagedTrainee(Trainee):
    """The stages, the folder, and what they stand on; a model adds its main stage and how its weights are written.

    Args:
        options: of the command.
        config: the settings of the preset; those of the options' file and texts are laid on top.
    """

    stages: ClassVar[tuple[str, ...]] = ("lips", "vocoder", "main")
    #: the stage that trains what makes the sound
    sounding: ClassVar[str] = "vocoder"
    #: class of its weight files
    weights: ClassVar[type[WeightFile[Any]]]

    def __init__(self, options: TrainOptions, config: StagedConfig) -> None:
        super().__init__(options)
        if options.settings_file:
            config = with_file(config, options.settings_file)
        self.config = with_texts(config, options.settings)
        self.folder = options.folder
        self.trained = TrainingFolder(options.folder, self.stages, self.config, options.base)
        self.check()
        self.trained.claim(options.seed, options.list_id)

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
        self.weights.save(
            path,
            config=self.config,
            standard=self.trained.checkpoint("main")["hyper_parameters"]["standard"],
            facts=self.facts(),
            model=self.trained.average("main"),
            lips=self.trained.average("lips", "ema.average.encoder.") if self.needs_lips else None,
            vocoder=self.trained.average(self.sounding) if self.needs(self.sounding) else None,
        )

    @property
    def needs_lips(self) -> bool:
        """Whether there is a lip encoder to train: AV-HuBERT comes trained, and a model may look for itself."""
        return self.config.lips.encoder == "stand-in"

    def needs(self, stage: str) -> bool:
        return stage != "lips" or self.needs_lips

    def trainings(self) -> dict[str, Callable[[], None]]:
        """What trains each stage."""
        return {"lips": self._train_lips, "vocoder": self._train_vocoder, "main": self.train_main}

    def train(self, stage: str) -> None:
        if not self.needs(stage):
            return
        if self.trained.home(stage) != self.folder:
            self.trained.require(stage)
        if self.trained.finished(stage):
            return
        begin = time.perf_counter()
        before = self.trained.own_steps(stage)
        try:
            self.trainings()[stage]()
        finally:
            if self.trained.own_steps(stage) > before:
                self.trained.note(stage, time.perf_counter() - begin)

    def export(self) -> Path | None:
        if not all(self.trained.finished(stage) for stage in self.stages if self.needs(stage)):
            return None
        path = self.folder / "weights.safetensors"
        self.write_weights(path)
        return path

    # -- stages ------------------------------------------------------------------------------------------------------

    def _train_lips(self) -> None:
        config = self.config
        tempo = config.teaching.augment.tempo
        units, clips, held = self.units, self.clips, self.held(config.lips_stage)
        batches = list(whole_batches(lambda at: lip_item(held[at], units, 0.0, None), len(held), VALIDATION_BATCH))
        source = Source(len(clips), lambda at, rng: lip_item(clips[at], units, tempo, rng), batches)
        self.begin()
        module = LipTraining(config.lips, config.units, config.teaching, config.lips_stage, self.options.seed)
        self.fit(module, source, config.lips_stage, "lips")

    def _train_vocoder(self) -> None:
        config = self.config.vocoder

        def item(at: int, rng: np.random.Generator) -> Item:
            piece = segment_of(self.clips[at], config.segment, rng)
            return Item(len(piece["mel"]), piece)

        def whole(at: int) -> Item:
            return Item(held[at].frames, {"audio": speech(held[at]), "mel": held[at].mel})

        held = self.held(self.config.vocoder_stage)
        source = self.source(item, whole, held)
        self.begin()
        module = VocoderTraining(config, self.config.vocoder_stage, self.options.seed)
        self.fit(module, source, self.config.vocoder_stage, "vocoder")

    def listening(self, speak: Speak, held: Clips) -> Listening:
        """Word errors, F0 error and ESTOI of validation clips on the way."""
        real = [speech(held[at]) for at in range(len(held))]
        return Listening(speak, real, [clip.text for clip in held.prepared.clips], self.options.grammar)

    def sound(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Samples of what a model says of a clip, by the vocoder if it is trained."""
        return sound(speech_of(said), self.vocoder, rng)

    def fit_main(self, module: ModelTraining, item: Draw, whole: Callable[[int], Item], held: Clips) -> None:
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
            return self.sound(module.said(collated([whole(at)]), at), np.random.default_rng(at))

        self.fit(module, source, stage, "main", [self.listening(speak, held)])

    def source(self, item: Draw, whole: Callable[[int], Item], held: Clips) -> Source:
        """Training clips as ``item`` draws them, and all of those held out as ``whole`` shows them."""
        return Source(len(self.clips), item, list(whole_batches(whole, len(held), VALIDATION_BATCH)))

    def begin(self) -> None:
        """Let the seed alone decide the weights that a stage begins with, whatever ran before."""
        torch.manual_seed(self.options.seed)

    def fit(
        self, module: Any, source: Source, stage: StageConfig, name: str, callbacks: list[Any] | None = None
    ) -> None:
        """Train a module for its stage, or go on with it."""
        fit(module, source, stage, self.folder / name, self.options.hardware, self.options.seed, callbacks or [])

    # -- what stages stand on ----------------------------------------------------------------------------------------

    @cached_property
    def clips(self) -> Clips:
        """To train on."""
        return Clips(self._prepared("training clips", self.options.clips))

    @cached_property
    def _validation(self) -> Prepared:
        return self._prepared("validation clips", self.options.validation)

    def held(self, stage: StageConfig) -> Clips:
        """To validate a stage on."""
        return Clips(self._validation.first(stage.validate_clips))

    def _prepared(self, what: str, clips: Any) -> Prepared:
        watch = self.options.watcher
        found = prepare(clips, self.options.processes, lambda done, count: watch(what, done, count))
        if found.failures:
            named = "; ".join(f"{clip} {why}" for clip, why in sorted(found.failures.items())[:_NAMED])
            more = f"; and {len(found.failures) - _NAMED} more" if len(found.failures) > _NAMED else ""
            self.options.notice(f"{what}: {len(found.failures)} of {len(clips)} are left out: {named}{more}")
        return found

    @cached_property
    def units(self) -> Units:
        """What labels sound."""
        return Units(self.config.units, self.trained.home("lips") / "units.npz", self.clips)

    def frozen(self) -> FrozenLips:
        """The lip encoder, trained."""
        if self.config.lips.encoder != "stand-in":
            return FrozenLips(self.config.lips)
        self.trained.require("lips")
        return FrozenLips(self.config.lips, self.trained.average("lips", "ema.average.encoder."))

    def features(self, frozen: FrozenLips, clips: Prepared, variants: int) -> LipFeatures:
        """Its features of clips, on disk."""
        device = "cuda" if torch.cuda.is_available() and self.options.hardware.accelerator != "cpu" else "cpu"
        features = LipFeatures(frozen, clips, variants=variants, augment=self.config.teaching.augment, device=device)
        watch = self.options.watcher
        features.make(lambda done, count: watch("lip features", done, count))
        return features

    def looks(self, held: Clips) -> Looks:
        """Lip features of all training clips and of those held out, made where they are not there yet."""
        frozen = self.frozen()
        return Looks(self.features(frozen, self.clips.prepared, VARIANTS), self.features(frozen, held.prepared, 0))

    def some(self) -> list[int]:
        """Places of training clips spread over the corpus, enough for means and deviations."""
        count = len(self.clips)
        return [round(at) for at in np.linspace(0, count - 1, min(count, _STANDARD_CLIPS))]

    def some_clips(self) -> list[Targets]:
        """The training clips of ``some``."""
        return [self.clips[at] for at in self.some()]

    def generator(self) -> Generator:
        """What makes the sound, not trained yet."""
        return build_vocoder(self.config.vocoder)

    @cached_property
    def vocoder(self) -> Generator | None:
        """What makes the sound, where its stage is done."""
        if not self.trained.finished(self.sounding):
            return None
        network = self.generator()
        network.load_state_dict(self.trained.average(self.sounding))
        return network.eval()

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """What the weights say of themselves."""
        options = self.options
        found = hardware("cuda" if torch.cuda.is_available() else "cpu")
        return Facts(
            name=self.folder.name,
            dataset=options.dataset,
            list_id=options.list_id,
            clips=len(self.clips),
            hours=round(self.clips.hours, 3),
            stages=self.trained.notes(),
            hardware=str(found.get("accelerator") or f"{found['cores']} cores of {found['processor']}"),
            seed=options.seed,
            licence=_LICENCES.get(options.dataset, "MIT; see the licence of the corpus"),
        )
