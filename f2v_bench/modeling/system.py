"""Trained models as Systems: weights of the corpus or named ones, and the voice from the face or from real speech."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.systems.base import FaceSystem, SpeakerReference, SystemOptions, clip_generator, per_clip
from f2v_bench.systems.speaker_reference import pick_reference_clip, reference_audio, resolve_speaker_reference
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops
    from f2v_bench.modeling.checkpoint import ModelCheckpoint
    from f2v_bench.modeling.synthesizer import Synthesizer

_HEARD = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)


class NeuralSystem(FaceSystem):
    """A model with the weights of the corpus, or those that are named after the colon or by ``--weights``."""

    sample_rate: int = SAMPLE_RATE
    batch_size = 8

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.speaker_reference = resolve_speaker_reference(self.name, options.speaker_reference, self.voices)
        self._weights = self.checkpoint_class().find(options.argument or options.weights, options.dataset)
        self._sampling = self.sampling(options.settings)

    @classmethod
    @abstractmethod
    def checkpoint_class(cls) -> type[ModelCheckpoint[Any]]:
        """Class of its weight files; imported here, so that naming a system stays cheap."""

    @abstractmethod
    def synthesizer(self, sampling: Mapping[str, Any]) -> Synthesizer:
        """The whole chain on ``options.device``."""

    def sampling(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Settings of the sampling, with those replaced that texts name."""
        return {}

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        return self.synthesizer(self._sampling)

    def synthesize_crops(self, crops: Sequence[FaceCrops], names: Sequence[str], seed: int) -> list[Waveform]:
        if self.speaker_reference in _HEARD:
            raise F2VError(
                f"'{self.name}' takes the voice from real speech, and a video alone has none",
                "name a recording of the voice with --speaker-reference FILE",
            )
        rngs = [clip_generator(seed, name) for name in names]
        return [Waveform(samples, self.sample_rate) for samples in self._synthesizer.synthesize(crops, rngs)]

    def synthesize_clips(
        self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int
    ) -> list[Waveform | ClipFailure]:
        if self.speaker_reference not in _HEARD:
            return list(self.synthesize_crops(crops, [clip.id for clip in clips], seed))
        found = per_clip(clips, lambda clip: self._synthesizer.embed_speaker(self._reference(clip, seed)))
        ready = [at for at, voice in enumerate(found) if not isinstance(voice, ClipFailure)]
        voices = [voice for voice in found if not isinstance(voice, ClipFailure)]
        rngs = [clip_generator(seed, clips[at].id) for at in ready]
        made = iter(self._synthesizer.synthesize([crops[at] for at in ready], rngs, voices))
        return [voice if isinstance(voice, ClipFailure) else Waveform(next(made), self.sample_rate) for voice in found]

    def _reference(self, clip: Clip, seed: int) -> NDArray[np.float32]:
        """Real speech of the clip itself, or of another one of its speaker."""
        if self.speaker_reference is SpeakerReference.OTHER_CLIP:
            clip = pick_reference_clip(self.options.clips, clip, seed)
        if clip.audio is None:
            raise ClipFailure(
                FailureKind.NO_AUDIO,
                f"'{self.name}' takes the voice from real speech, and '{clip.id}' has none: name a recording",
            )
        return reference_audio(clip, SAMPLE_RATE)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        settings = ",".join(f"{name}={value}" for name, value in sorted(self._sampling.items()))
        voice: str = self.speaker_reference
        if self.speaker_reference is SpeakerReference.OTHER_CLIP:
            with suppress(ClipFailure):  # synthesis says that there is none
                voice += f" {pick_reference_clip(self.options.clips, clip, seed).id}"
        return f"{self.name}:{self._weights.sha256[:16]}:{settings}:{voice}:{seed}"

    @property
    def provenance(self) -> str:
        return self._weights.provenance
