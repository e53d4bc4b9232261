"""Training the reference model, stage by stage, into one folder.

<folder>/settings.yaml                 all of them
<folder>/units.npz                     clusters of sound
<folder>/<stage>/last.ckpt             to go on from; <folder>/<stage>/tensorboard beside it
<folder>/stages.json                   steps and seconds of each stage
<folder>/weights.safetensors           what synthesis needs, once all stages are done
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from f2v_bench.errors import F2VError
from f2v_bench.folders import write_whole
from f2v_bench.nn.checkpoint import read_checkpoint
from f2v_bench.nn.frozen_lips import FrozenLips
from f2v_bench.nn.generator import Generator
from f2v_bench.nn.vocoder import build_vocoder
from f2v_bench.surroundings import hardware
from f2v_bench.training.clips import Clips, Units, segment_of, speech
from f2v_bench.training.contract import Trainee, TrainOptions
from f2v_bench.training.identity import arcface
from f2v_bench.training.lip_features import LipFeatures
from f2v_bench.training.lips import LipTraining, lip_item
from f2v_bench.training.listening import Listening
from f2v_bench.training.loader import Item, collated, whole_batches
from f2v_bench.training.prepare import Prepared, prepare
from f2v_bench.training.runner import CHECKPOINT, Source, fit, trained_steps
from f2v_bench.training.settings import as_mapping, with_file, with_texts
from f2v_bench.training.targets import Targets
from f2v_bench.training.vocoder import VocoderTraining
from reference_model.config import ReferenceConfig
from reference_model.model import Standard
from reference_model.presets import preset
from reference_model.speech import sound
from reference_model.training import MainTraining, Person, main_item, people, standard_of
from reference_model.weights import Facts, save_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.training.stage import StageConfig

_SHARED = ("lips", "vocoder")  # stages that do not depend on what is taken out of the model
VARIANTS = 4  # of each clip's lip features beside the clean ones
_VALIDATION_BATCH = 10
_NAMED = 5  # clips without a usable face or speech that a message names
_STANDARD_CLIPS = 2000  # that means and deviations are taken from
_LICENCES = {"demo": "MIT", "grid": "MIT; trained on GRID (CC BY 4.0)"}


class ReferenceTrainee(Trainee):
    """``f2v-bench train --model ours``."""

    name = "ours"
    stages = ("lips", "vocoder", "main")

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        config = preset(options.preset, options.ablate)
        if options.settings_file:
            config = with_file(config, options.settings_file)
        self.config: ReferenceConfig = with_texts(config, options.settings)
        self.folder = options.folder
        self._identities: dict[bytes, NDArray[np.float32]] = {}
        self._claim()

    def train(self, stage: str) -> None:
        if stage == "lips" and self.config.lips.encoder != "stand-in":
            return  # AV-HuBERT comes trained
        if self._home(stage) != self.folder:
            self._require(stage)
        if self._finished(stage):
            return
        begin = time.perf_counter()
        before = trained_steps(self.folder / stage / CHECKPOINT)
        try:
            {"lips": self._train_lips, "vocoder": self._train_vocoder, "main": self._train_main}[stage]()
        finally:
            if trained_steps(self.folder / stage / CHECKPOINT) > before:
                self._note(stage, time.perf_counter() - begin)

    def export(self) -> Path | None:
        standin = self.config.lips.encoder == "stand-in"
        if not all(self._finished(stage) for stage in self.stages if stage != "lips" or standin):
            return None
        path = self.folder / "weights.safetensors"
        save_weights(
            path,
            config=self.config,
            standard=self._standard_trained(),
            facts=self._facts(),
            model=self._average("main", "ema.average."),
            lips=self._average("lips", "ema.average.encoder.") if standin else None,
            vocoder=self._average("vocoder", "ema.average."),
        )
        return path

    # -- stages ------------------------------------------------------------------------------------------------------

    def _train_lips(self) -> None:
        config = self.config
        tempo = config.teaching.augment.tempo
        units, clips, held = self._units, self._clips, self._held(config.lips_stage)
        batches = list(whole_batches(lambda at: lip_item(held[at], units, 0.0, None), len(held), _VALIDATION_BATCH))
        source = Source(len(clips), lambda at, rng: lip_item(clips[at], units, tempo, rng), batches)
        self._begin()
        module = LipTraining(config.lips, config.units, config.teaching, config.lips_stage, self.options.seed)
        self._fit(module, source, config.lips_stage, "lips")

    def _train_vocoder(self) -> None:
        config = self.config.vocoder

        def item(at: int, rng: np.random.Generator) -> Item:
            piece = segment_of(self._clips[at], config.segment, rng)
            return Item(len(piece["mel"]), piece)

        def whole(at: int) -> Item:
            return Item(held[at].frames, {"audio": speech(held[at]), "mel": held[at].mel})

        held = self._held(self.config.vocoder_stage)
        source = Source(len(self._clips), item, list(whole_batches(whole, len(held), _VALIDATION_BATCH)))
        self._begin()
        module = VocoderTraining(config, self.config.vocoder_stage, self.options.seed)
        self._fit(module, source, self.config.vocoder_stage, "vocoder")

    def _train_main(self) -> None:
        config, units, clips = self.config, self._units, self._clips
        held = self._held(config.main_stage)
        frozen = self._frozen()
        seen = self._features(frozen, clips.prepared, VARIANTS)
        unseen = self._features(frozen, held.prepared, 0)
        some = [clips[round(at)] for at in np.linspace(0, len(clips) - 1, min(len(clips), _STANDARD_CLIPS))]
        standard = standard_of(some)
        known, known_held = self._people(clips, standard), self._people(held, standard)

        def item(at: int, rng: np.random.Generator) -> Item:
            features = seen.load(at, int(rng.integers(VARIANTS + 1)))
            person = known[clips.prepared.clips[at].speaker]
            return main_item(clips[at], features, units, person, self._who(clips[at], rng))

        def whole(at: int) -> Item:
            person = known_held[held.prepared.clips[at].speaker]
            return main_item(held[at], unseen.load(at, 0), units, person, self._who(held[at], None))

        self._begin()
        module = MainTraining(config, standard, self.options.seed)
        source = Source(len(clips), item, list(whole_batches(whole, len(held), _VALIDATION_BATCH)))
        vocoder = self._vocoder()

        def speak(at: int) -> NDArray[np.float32]:
            return sound(module.speak(collated([whole(at)]), at), vocoder, np.random.default_rng(at))

        real = [speech(held[at]) for at in range(len(held))]
        texts = [clip.text for clip in held.prepared.clips]
        self._fit(module, source, config.main_stage, "main", [Listening(speak, real, texts, self.options.grammar)])

    def _begin(self) -> None:
        """Let the seed alone decide the weights that a stage begins with, whatever ran before."""
        torch.manual_seed(self.options.seed)

    def _fit(
        self, module: Any, source: Source, stage: StageConfig, name: str, callbacks: list[Any] | None = None
    ) -> None:
        fit(module, source, stage, self.folder / name, self.options.hardware, self.options.seed, callbacks or [])

    # -- what stages stand on ----------------------------------------------------------------------------------------

    @cached_property
    def _clips(self) -> Clips:
        return Clips(self._prepared("training clips", self.options.clips))

    @cached_property
    def _validation(self) -> Prepared:
        return self._prepared("validation clips", self.options.validation)

    def _held(self, stage: StageConfig) -> Clips:
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
    def _units(self) -> Units:
        return Units(self.config.units, self._home("lips") / "units.npz", self._clips)

    def _frozen(self) -> FrozenLips:
        if self.config.lips.encoder != "stand-in":
            return FrozenLips(self.config.lips)
        self._require("lips")
        return FrozenLips(self.config.lips, self._average("lips", "ema.average.encoder."))

    def _features(self, frozen: FrozenLips, clips: Prepared, variants: int) -> LipFeatures:
        device = "cuda" if torch.cuda.is_available() and self.options.hardware.accelerator != "cpu" else "cpu"
        features = LipFeatures(frozen, clips, variants=variants, augment=self.config.teaching.augment, device=device)
        watch = self.options.watcher
        features.make(lambda done, count: watch("lip features", done, count))
        return features

    def _who(self, targets: Targets, rng: np.random.Generator | None) -> NDArray[Any]:
        """Faces that show the identity, some of them where there is a generator to choose; or ArcFace's vector."""
        faces = targets.identity
        if self.config.timbre.face == "arcface":
            key = hashlib.sha256(faces.tobytes()).digest()
            if key not in self._identities:
                self._identities[key] = arcface().embed(faces)
            return self._identities[key]
        if rng is None:
            return faces
        return faces[rng.choice(len(faces), min(self.config.timbre.frames, len(faces)), replace=False)]

    def _people(self, clips: Clips, standard: Standard) -> dict[str, Person]:
        return people(((clip.speaker, clips[at]) for at, clip in enumerate(clips.prepared.clips)), standard)

    def _vocoder(self) -> Generator | None:
        if not self._finished("vocoder"):
            return None
        network = build_vocoder(self.config.vocoder)
        network.load_state_dict(self._average("vocoder", "ema.average."))
        return network.eval()

    # -- the folder --------------------------------------------------------------------------------------------------

    def _claim(self) -> None:
        """Write the settings, or check that the folder's are the same but for the length of the stages."""
        path = self.folder / "settings.yaml"
        ours = as_mapping(self.config) | {"seed": self.options.seed, "trained_on": self.options.list_id}
        if path.is_file():
            theirs = yaml.safe_load(path.read_text(encoding="utf-8"))
            for name in sorted(set(ours) | set(theirs)):
                if not name.endswith("_stage") and ours.get(name) != theirs.get(name):
                    raise F2VError(
                        f"'{self.folder}' holds a training with other settings under '{name}': "
                        f"{theirs.get(name)!r}, not {ours.get(name)!r}",
                        "use another folder with --out, or the same settings",
                    )
        if self.options.base is not None:
            self._fits(self.options.base, ours)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, yaml.safe_dump(ours, sort_keys=False))

    def _fits(self, base: Path, ours: Mapping[str, Any]) -> None:
        """Refuse a base whose stages are of other sizes."""
        path = base / "settings.yaml"
        if not path.is_file():
            raise F2VError(f"--from '{base}' holds no training", "name the folder of one, with its settings.yaml")
        theirs = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in ("lips", "units", "vocoder"):
            if theirs.get(name) != ours[name]:
                raise F2VError(
                    f"--from '{base}' was trained with other settings under '{name}': "
                    f"{theirs.get(name)!r}, not {ours[name]!r}",
                    "use a base of the same settings, or train every stage anew",
                )
        self._base_steps = {stage: int(theirs[f"{stage}_stage"]["steps"]) for stage in _SHARED}

    def _steps(self, stage: str) -> int:
        """Steps of the finished stage: as the base's settings say where its checkpoint is used."""
        if self._home(stage) != self.folder:
            return self._base_steps[stage]
        steps: int = getattr(self.config, f"{stage}_stage").steps
        return steps

    def _finished(self, stage: str) -> bool:
        return trained_steps(self._file(stage)) >= self._steps(stage)

    def _home(self, stage: str) -> Path:
        """The folder whose checkpoint counts: the base, where a stage can be shared and this training has none."""
        base = self.options.base
        if base is None or stage not in _SHARED or (self.folder / stage / CHECKPOINT).is_file():
            return self.folder
        return base if (base / stage / CHECKPOINT).is_file() else self.folder

    def _file(self, stage: str) -> Path:
        return self._home(stage) / stage / CHECKPOINT

    def _require(self, stage: str) -> None:
        if not self._finished(stage):
            done = trained_steps(self._file(stage))
            raise F2VError(
                f"the stage '{stage}' in '{self._home(stage)}' has {done} of {self._steps(stage)} steps",
                f"train it first: --stage {stage}, or every stage in turn without --stage",
            )

    def _checkpoint(self, stage: str) -> dict[str, Any]:
        path = self._file(stage)
        return read_checkpoint(path, f"remove '{path.parent}' and train the stage anew", with_settings=True)

    def _average(self, stage: str, prefix: str) -> dict[str, torch.Tensor]:
        state = self._checkpoint(stage)["state_dict"]
        return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}

    def _standard_trained(self) -> Standard:
        return Standard(
            **{name: tuple(pair) for name, pair in self._checkpoint("main")["hyper_parameters"]["standard"].items()}
        )

    def _note(self, stage: str, seconds: float) -> None:
        path = self.folder / "stages.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        before = known.get(stage, {"seconds": 0.0})["seconds"]
        known[stage] = {
            "steps": trained_steps(self.folder / stage / CHECKPOINT),
            "seconds": round(before + seconds, 1),
        }
        write_whole(path, json.dumps(known, indent=2) + "\n")

    def _stages(self) -> dict[str, dict[str, float]]:
        """Steps and seconds of each stage, the base's where its checkpoint is used."""
        known: dict[str, dict[str, float]] = {}
        for stage in self.stages:
            notes = self._home(stage) / "stages.json"
            noted = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
            known |= {stage: noted[stage]} if stage in noted else {}
        return known

    def _facts(self) -> Facts:
        options = self.options
        found = hardware("cuda" if torch.cuda.is_available() else "cpu")
        return Facts(
            name=self.folder.name,
            dataset=options.dataset,
            list_id=options.list_id,
            clips=len(self._clips),
            hours=round(self._clips.hours, 3),
            stages=self._stages(),
            hardware=str(found.get("accelerator") or f"{found['cores']} cores of {found['processor']}"),
            seed=options.seed,
            licence=_LICENCES.get(options.dataset, "MIT; see the licence of the corpus"),
        )
