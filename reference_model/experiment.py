"""Training the reference model: the shared stages, and content, timbre, prosody and flow together."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2v_bench.surroundings import hardware
from f2v_bench.training.clips import Clips
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.experiment import VALIDATION_BATCH, VARIANTS, StagedTrainee
from f2v_bench.training.identity import arcface
from f2v_bench.training.loader import Item, collated, whole_batches
from f2v_bench.training.runner import Source
from f2v_bench.training.settings import with_file, with_texts
from f2v_bench.training.targets import Targets
from reference_model.config import ReferenceConfig
from reference_model.model import Standard
from reference_model.presets import preset
from reference_model.speech import sound
from reference_model.training import MainTraining, Person, main_item, people, standard_of
from reference_model.weights import Facts, save_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STANDARD_CLIPS = 2000  # that means and deviations are taken from
_LICENCES = {"demo": "MIT", "grid": "MIT; trained on GRID (CC BY 4.0)"}


class ReferenceTrainee(StagedTrainee):
    """``f2v-bench train --model ours``."""

    name = "ours"
    config: ReferenceConfig

    def __init__(self, options: TrainOptions) -> None:
        config = preset(options.preset, options.ablate)
        if options.settings_file:
            config = with_file(config, options.settings_file)
        self._identities: dict[bytes, NDArray[np.float32]] = {}
        super().__init__(options, with_texts(config, options.settings))

    def write_weights(self, path: Path) -> None:
        save_weights(
            path,
            config=self.config,
            standard=self._standard_trained(),
            facts=self._facts(),
            model=self.average("main", "ema.average."),
            lips=self.average("lips", "ema.average.encoder.") if self.config.lips.encoder == "stand-in" else None,
            vocoder=self.average("vocoder", "ema.average."),
        )

    def train_main(self) -> None:
        config, units, clips = self.config, self.units, self.clips
        held = self.held(config.main_stage)
        frozen = self.frozen()
        seen = self.features(frozen, clips.prepared, VARIANTS)
        unseen = self.features(frozen, held.prepared, 0)
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

        self.begin()
        module = MainTraining(config, standard, self.options.seed)
        source = Source(len(clips), item, list(whole_batches(whole, len(held), VALIDATION_BATCH)))
        vocoder = self.trained_vocoder()

        def speak(at: int) -> NDArray[np.float32]:
            return sound(module.speak(collated([whole(at)]), at), vocoder, np.random.default_rng(at))

        self.fit(module, source, config.main_stage, "main", [self.listening(speak, held)])

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

    def _standard_trained(self) -> Standard:
        return Standard(
            **{name: tuple(pair) for name, pair in self.checkpoint("main")["hyper_parameters"]["standard"].items()}
        )

    def _facts(self) -> Facts:
        options = self.options
        found = hardware("cuda" if torch.cuda.is_available() else "cpu")
        return Facts(
            name=self.folder.name,
            dataset=options.dataset,
            list_id=options.list_id,
            clips=len(self.clips),
            hours=round(self.clips.hours, 3),
            stages=self.stage_notes(),
            hardware=str(found.get("accelerator") or f"{found['cores']} cores of {found['processor']}"),
            seed=options.seed,
            licence=_LICENCES.get(options.dataset, "MIT; see the licence of the corpus"),
        )
