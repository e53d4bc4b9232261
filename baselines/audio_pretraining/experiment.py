"""Training: the shared stages, an audio autoencoder, then lips and a voice to speech by its decoder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.audio_pretraining.config import MEL_PRESETS, WAVE_PRESETS, MelConfig, V2AConfig, WaveConfig, preset
from baselines.audio_pretraining.model import V2A, Autoencoder, Speaker
from baselines.audio_pretraining.shards import list_folder
from baselines.audio_pretraining.sounds import ClipSounds, FolderSounds, Sounds, sound_of
from baselines.audio_pretraining.throughput import Throughput
from baselines.audio_pretraining.training import WaveTraining
from baselines.audio_pretraining.transfer import DECODER, HEARING, read_pretrained, write_pretrained
from baselines.audio_pretraining.weights import MelWeights, WaveWeights
from f2v_bench.clip import FPS
from f2v_bench.media import resample
from f2v_bench.training.clips import Clips, spread_of
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.experiment import VALIDATION_BATCH, StagedTrainee
from f2v_bench.training.loader import Item, whole_batches
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.runner import Source
from f2v_bench.training.targets import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "audio-decoder.safetensors"
_STANDARD_PIECES = 200  # of a folder, that mean and deviation are taken from
_NAMED = 5  # files left out that messages name


class V2ATrainee(StagedTrainee):
    """What both systems share: the stage ``audio``, and what becomes of its decoder in ``main``."""

    config: V2AConfig

    @property
    def rate(self) -> int | None:
        """Hz of the samples that the decoder says; None where it says mels."""
        return None

    def needs(self, stage: str) -> bool:
        if stage == "audio":
            return self.config.transfer.how != "scratch" and self.config.pretraining.decoder is None
        return super().needs(stage)

    @property
    def needs_lips(self) -> bool:
        return super().needs_lips and self.config.front.kind == "frozen"

    def trainings(self) -> dict[str, Callable[[], None]]:
        return super().trainings() | {"audio": self.train_audio}

    def module(self, model: Speaker, standard: tuple[float, float], **named: Any) -> ModelTraining:
        """What trains either model; ``named`` as ``ModelTraining`` takes it."""
        return ModelTraining(model, self.config, {"mel": standard}, self.options.seed, **named)

    def train_audio(self) -> None:
        """Pre-train encoder and decoder on sound alone."""
        stage, sounds = self.config.audio_stage, self.sounds
        held, standard = self.held(stage), self._standard(sounds)
        validation = list(whole_batches(lambda at: self._item(held, at, {}), len(held), VALIDATION_BATCH))
        source = Source(sum(sounds.groups), sounds.load, validation, sounds.groups)
        (self.folder / FILE).unlink(missing_ok=True)  # of fewer steps
        self.begin()
        module = self.module(Autoencoder(self.config, standard), standard, stage=stage)
        self.fit(module, source, stage, "audio", [Throughput(stage.steps, self.options.notice)])
        self.pretrained_file()

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held, how = self.held(config.main_stage), self.config.transfer.how
        pretrained = None if how == "scratch" else read_pretrained(self.pretrained_file(), self.name, config)
        if pretrained is not None:
            self.options.notice(
                f"the decoder begins ({how}) as '{pretrained.path}' has it, pre-trained on {pretrained.heard}"
            )
        standard = pretrained.standard if pretrained else self._standard_of_clips()
        looks = self.looks(held) if config.front.kind == "frozen" else None
        sounds = self.sounds if how == "joint" else None

        def item(at: int, rng: np.random.Generator) -> Item:
            seen = {"features": looks.drawn(at, rng)} if looks else {"lips": clips[at].lips}
            return self._item(clips, at, seen, sounds.beside(rng) if sounds else {})

        def whole(at: int) -> Item:
            return self._item(held, at, {"features": looks.plain(at)} if looks else {"lips": held[at].lips})

        self.begin()
        model = V2A(config, standard, hears=sounds is not None)
        if pretrained is not None:
            pretrained.hand_over(model)
        shares = {DECODER: config.transfer.rate} if how == "low-lr" else {}
        self.fit_main(self.module(model, standard, shares=shares), item, whole, held)

    @cached_property
    def sounds(self) -> Sounds:
        """What the autoencoder hears."""
        pretraining, options = self.config.pretraining, self.options
        if pretraining.folder is None:
            return ClipSounds(self.clips, self.rate, pretraining.segment)
        shards = list_folder(
            Path(pretraining.folder).expanduser(),
            self.folder / "shards",
            pretraining.shards,
            pretraining.segment,
            options.processes,
            lambda done, count: options.watcher("audio files", done, count),
        )
        index = shards.index
        options.notice(
            f"pre-training on {index.files:,} files of '{index.folder}', {index.hours:.1f} h: {len(shards):,} pieces "
            f"of {index.segment / FPS:g} s in {len(index.pieces)} shards"
        )
        if index.left_out:
            named = "; ".join(list(index.left_out.values())[:_NAMED])
            options.notice(f"{len(index.left_out)} audio files are left out: {named}")
        return FolderSounds(shards, self.rate, pretraining.segment, options.notice)

    def pretrained_file(self) -> Path:
        """The decoder to begin with: the one that the settings name, or what the stage ``audio`` has left.

        Raises:
            F2VError: that stage is not done.
        """
        config = self.config
        if config.pretraining.decoder is not None:
            return Path(config.pretraining.decoder).expanduser()
        self.require("audio")
        path = self.folder / FILE
        if not path.is_file():
            where = "the training clips" if config.pretraining.folder is None else f"'{config.pretraining.folder}'"
            heard = f"{self.sounds.hours:.2f} h of {where}, {config.audio_stage.steps:,} steps"
            standard = self.checkpoint("audio")["hyper_parameters"]["standard"]["mel"]
            state = self.average("audio", "ema.average.")
            write_pretrained(path, self.name, config, tuple(standard), heard, state)
        return path

    def write_weights(self, path: Path) -> None:
        model = self.average("main", "ema.average.")
        self.weights.save(
            path,
            config=self.config,
            standard=self.checkpoint("main")["hyper_parameters"]["standard"],
            facts=self.facts(),
            model={name: one for name, one in model.items() if not name.startswith(HEARING)},
            lips=self.average("lips", "ema.average.encoder.") if self.needs_lips else None,
            vocoder=self.average("vocoder", "ema.average.") if "vocoder" in self.stages else None,
        )

    def _item(
        self, clips: Clips, at: int, seen: dict[str, NDArray[Any]], beside: dict[str, NDArray[Any]] | None = None
    ) -> Item:
        """What a model is taught with: a clip's sound and its own voice, what is seen of it and heard beside it."""
        targets = clips[at]
        whole = {"speaker": targets.speaker, **(beside or {})}
        return Item(targets.frames, {**seen, **sound_of(clips, at, self.rate)}, whole)

    def _standard_of_clips(self) -> tuple[float, float]:
        return spread_of(np.concatenate([one.mel for one in self.some_clips()]))

    def _standard(self, sounds: Sounds) -> tuple[float, float]:
        """Mean and deviation of log mels of what is heard."""
        if isinstance(sounds, ClipSounds):
            return self._standard_of_clips()
        count, rng = sum(sounds.groups), np.random.default_rng(self.options.seed)
        places = np.linspace(0, count - 1, min(count, _STANDARD_PIECES)).round().astype(int)
        return spread_of(np.concatenate([sounds.load(int(at), rng).sequences["mel"] for at in places]))


class V2AMelTrainee(V2ATrainee):
    """``f2v-bench train --model v2a-mel``."""

    name = "v2a-mel"
    stages = ("lips", "vocoder", "audio", "main")
    weights = MelWeights
    config: MelConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset, MEL_PRESETS))


class V2AWaveTrainee(V2ATrainee):
    """``f2v-bench train --model v2a-wave``."""

    name = "v2a-wave"
    stages = ("lips", "audio", "main")
    weights = WaveWeights
    config: WaveConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset, WAVE_PRESETS))

    @property
    def rate(self) -> int:
        return self.config.rate

    def module(self, model: Speaker, standard: tuple[float, float], **named: Any) -> ModelTraining:
        return WaveTraining(model, self.config, {"mel": standard}, self.options.seed, **named)

    def sound(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        return resample(said.reshape(-1).clip(-1, 1), self.rate, SAMPLE_RATE)
