"""Pre-training of a decoder on audio alone, of any folder or of the training clips; the result is a file."""

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
_STATISTICS_SEGMENTS = 200  # segments of a folder for means and deviations
_NAMED = 5  # skipped files that a message names


class AudioPretrainedExperiment(StagedExperiment):
    """Training with a stage ``audio``; a model adds its autoencoder, and transfers its decoder in ``main``."""

    #: settings that must equal those of a decoder's file, and that no shape of a weight shows
    sizes: ClassVar[Sequence[str]]
    #: True for an autoencoder with F0 and energy as inputs
    contours: ClassVar[bool] = False
    config: AudioPretrainingConfig

    @property
    def rate(self) -> int | None:
        """Hz of the samples that the decoder predicts; None for a decoder that predicts mels."""
        return None

    @property
    @abstractmethod
    def uses_pretraining(self) -> bool:
        """True where the main stage starts from a pre-trained decoder."""

    @abstractmethod
    def autoencoder(self) -> ModelModule:
        """Build the autoencoder in training, with random weights and the statistics of ``sample_audio_features``."""

    def needs(self, stage: str) -> bool:
        if stage == "audio":
            return self.uses_pretraining and self.config.pretraining.decoder is None
        return super().needs(stage)

    def trainings(self) -> dict[str, Callable[[], None]]:
        return super().trainings() | {"audio": self.train_audio}

    def train_audio(self) -> None:
        """Pre-train encoder and decoder on audio alone."""
        stage, audio = self.config.audio_stage, self.audio
        clips = self.validation_clips(stage)
        batches = list(iter_batches(lambda index: self.audio_example(clips, index), len(clips), VALIDATION_BATCH))
        data = TrainingData(sum(audio.groups), audio.load, batches, audio.groups)
        (self.folder / FILE).unlink(missing_ok=True)  # it has fewer steps
        self.reset_seed()
        self.fit(self.autoencoder(), data, stage, "audio", [ThroughputCallback(stage.steps, self.options.log)])
        self.pretrained_file()

    def audio_example(
        self, clips: ClipDataset, index: int, visual: Mapping[str, NDArray[Any]] | None = None
    ) -> Example:
        """Build the example of a clip from its audio, its own speaker embedding and, for the main stage, its lips.

        Args:
            clips: prepared clips.
            index: index of the clip.
            visual: lip features or lip crops by name.
        """
        audio = clip_audio_features(clips, index, self.rate, contours=self.contours)
        return Example(clips[index].frames, {**(visual or {}), **audio}, {"speaker": clips[index].speaker})

    @cached_property
    def audio(self) -> AudioDataset:
        """Audio of the pre-training."""
        pretraining, options = self.config.pretraining, self.options
        if pretraining.folder is None:
            return ClipAudioDataset(self.clips, self.rate, pretraining.segment, contours=self.contours)
        index = index_folder(
            Path(pretraining.folder).expanduser(),
            self.folder / "shards",
            pretraining.shards,
            pretraining.segment,
            options.processes,
            lambda done, count: options.progress("audio files", done, count),
        )
        info = index.info
        options.log(
            f"pre-training on {info.files:,} files of '{info.folder}', {info.hours:.1f} h: {len(index):,} segments "
            f"of {info.segment / FPS:g} s in {len(info.segments)} shards"
        )
        if info.skipped:
            named = "; ".join(list(info.skipped.values())[:_NAMED])
            options.log(f"{len(info.skipped)} audio files are left out: {named}")
        return FolderAudioDataset(index, self.rate, pretraining.segment, options.log, contours=self.contours)

    def sample_audio_features(self) -> dict[str, NDArray[np.float32]]:
        """Return mels, and contours where the model has them, of a sample of the audio, for means and deviations."""
        audio = self.audio
        if isinstance(audio, ClipAudioDataset):
            samples: list[Mapping[str, NDArray[Any]]] = [
                clip_audio_features(self.clips, index, None, contours=self.contours) for index in self.sample_indices()
            ]
        else:
            count, rng = sum(audio.groups), np.random.default_rng(self.options.seed)
            indices = np.linspace(0, count - 1, min(count, _STATISTICS_SEGMENTS)).round().astype(int)
            samples = [audio.load(int(index), rng).sequences for index in indices]
        return {name: np.concatenate([one[name] for one in samples]) for name in samples[0] if name != "audio"}

    def pretrained(self) -> PretrainedDecoder | None:
        """Read the pre-trained decoder of the main stage; None for random weights."""
        if not self.uses_pretraining:
            return None
        found = read_pretrained(
            self.pretrained_file(), self.name, self.config, self.sizes, self.spec.renamed_keys, self.spec.aliases
        )
        self.options.log(f"the decoder starts from '{found.path}', pre-trained on {found.trained_on}")
        return found

    def pretrained_file(self) -> Path:
        """Return the file of the pre-trained decoder: that of the settings, or the result of the stage ``audio``.

        Raises:
            F2VError: the stage is not complete.
        """
        config = self.config
        if config.pretraining.decoder is not None:
            return Path(config.pretraining.decoder).expanduser()
        self.trained.require_complete("audio")
        path = self.folder / FILE
        if not path.is_file():
            where = "the training clips" if config.pretraining.folder is None else f"'{config.pretraining.folder}'"
            trained_on = f"{self.audio.hours:.2f} h of {where}, {config.audio_stage.steps:,} steps"
            statistics = self.trained.statistics("audio")
            write_pretrained(path, self.name, config, statistics, trained_on, self.trained.ema_state("audio"))
        return path
