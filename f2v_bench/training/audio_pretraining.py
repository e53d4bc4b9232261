"""A stage before lips are seen: a decoder hears speech, of any folder or of the training clips, and leaves a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from f2v_bench.modeling.audio_encoder import AudioPretrainingConfig
from f2v_bench.modeling.batch import Example
from f2v_bench.timing import FPS
from f2v_bench.training.audio_checkpoint import PretrainedDecoder, read_pretrained, write_pretrained
from f2v_bench.training.callbacks import ThroughputCallback
from f2v_bench.training.data.audio_dataset import (
    AudioDataset,
    ClipAudioDataset,
    FolderAudioDataset,
    clip_audio_features,
)
from f2v_bench.training.data.audio_index import index_folder
from f2v_bench.training.data.loader import iter_batches
from f2v_bench.training.staged_experiment import VALIDATION_BATCH, StagedExperiment
from f2v_bench.training.trainer import TrainingData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.training.data.dataset import ClipDataset
    from f2v_bench.training.module import ModelModule

FILE = "audio-decoder.safetensors"
_STANDARD_PIECES = 200  # of a folder, that means and deviations are taken from
_NAMED = 5  # files left out that messages name


class AudioPretrainedExperiment(StagedExperiment):
    """The stage ``audio``; a model adds its autoencoder and what it hands over in ``main``."""

    #: settings that no shape of a weight gives away, and that a decoder's file must share
    sizes: ClassVar[Sequence[str]]
    #: whether the autoencoder is told F0 and energy
    contours: ClassVar[bool] = False
    config: AudioPretrainingConfig

    @property
    def rate(self) -> int | None:
        """Hz of the samples that the decoder says; None where it says mels."""
        return None

    @property
    @abstractmethod
    def uses_pretraining(self) -> bool:
        """Whether the main stage begins with a decoder that has heard speech."""

    @abstractmethod
    def autoencoder(self) -> ModelModule:
        """What trains the autoencoder, from nothing; ``sample_audio_features`` is there for its means and deviations."""

    def needs(self, stage: str) -> bool:
        if stage == "audio":
            return self.uses_pretraining and self.config.pretraining.decoder is None
        return super().needs(stage)

    def trainings(self) -> dict[str, Callable[[], None]]:
        return super().trainings() | {"audio": self.train_audio}

    def train_audio(self) -> None:
        """Pre-train encoder and decoder on sound alone."""
        stage, sounds = self.config.audio_stage, self.sounds
        held = self.validation_clips(stage)
        validation = list(iter_batches(lambda at: self.audio_example(held, at), len(held), VALIDATION_BATCH))
        source = TrainingData(sum(sounds.groups), sounds.load, validation, sounds.groups)
        (self.folder / FILE).unlink(missing_ok=True)  # of fewer steps
        self.reset_seed()
        self.fit(self.autoencoder(), source, stage, "audio", [ThroughputCallback(stage.steps, self.options.notice)])
        self.pretrained_file()

    def audio_example(self, clips: ClipDataset, at: int, seen: Mapping[str, NDArray[Any]] | None = None) -> Example:
        """A clip's sound and its own voice, and what is seen of it."""
        sound = clip_audio_features(clips, at, self.rate, contours=self.contours)
        return Example(clips[at].frames, {**(seen or {}), **sound}, {"speaker": clips[at].speaker})

    @cached_property
    def sounds(self) -> AudioDataset:
        """What the autoencoder hears."""
        pretraining, options = self.config.pretraining, self.options
        if pretraining.folder is None:
            return ClipAudioDataset(self.clips, self.rate, pretraining.segment, contours=self.contours)
        shards = index_folder(
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
        return FolderAudioDataset(shards, self.rate, pretraining.segment, options.notice, contours=self.contours)

    def sample_audio_features(self) -> dict[str, NDArray[np.float32]]:
        """Mels, and contours where they are wanted, of what is heard: enough for means and deviations."""
        sounds = self.sounds
        if isinstance(sounds, ClipAudioDataset):
            pieces: list[Mapping[str, NDArray[Any]]] = [
                clip_audio_features(self.clips, at, None, contours=self.contours) for at in self.sample_indices()
            ]
        else:
            count, rng = sum(sounds.groups), np.random.default_rng(self.options.seed)
            places = np.linspace(0, count - 1, min(count, _STANDARD_PIECES)).round().astype(int)
            pieces = [sounds.load(int(at), rng).sequences for at in places]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0] if name != "audio"}

    def pretrained(self) -> PretrainedDecoder | None:
        """The decoder that the main stage begins with, if it is to; says so."""
        if not self.uses_pretraining:
            return None
        found = read_pretrained(self.pretrained_file(), self.name, self.config, self.sizes)
        self.options.notice(f"the decoder begins as '{found.path}' has it, pre-trained on {found.heard}")
        return found

    def pretrained_file(self) -> Path:
        """The decoder to begin with: the one that the settings name, or what the stage ``audio`` has left.

        Raises:
            F2VError: that stage is not done.
        """
        config = self.config
        if config.pretraining.decoder is not None:
            return Path(config.pretraining.decoder).expanduser()
        self.trained.require_complete("audio")
        path = self.folder / FILE
        if not path.is_file():
            where = "the training clips" if config.pretraining.folder is None else f"'{config.pretraining.folder}'"
            heard = f"{self.sounds.hours:.2f} h of {where}, {config.audio_stage.steps:,} steps"
            standard = self.trained.checkpoint("audio")["hyper_parameters"]["standard"]
            write_pretrained(path, self.name, config, standard, heard, self.trained.ema_state("audio"))
        return path
