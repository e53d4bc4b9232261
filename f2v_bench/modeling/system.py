"""Trained models as Systems: weights of the corpus or named ones, with the voice of the face or of real speech."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from f2v_bench.assets import file_sha256, require_asset
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.systems.base import FaceSystem, SpeakerReference, SystemOptions, clip_generator, per_clip
from f2v_bench.systems.speaker_reference import pick_reference_clip, reference_audio, resolve_speaker_reference
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.records import FaceCrops
    from f2v_bench.modeling.synthesizer import Synthesizer

_FROM_SPEECH = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)


class NeuralSystem(FaceSystem):
    """A trained model with the weights of the corpus, or with those named after the colon or by ``--weights``.

    Raises:
        AssetMissing: synthesis needs a file that is not on this machine.
        F2VError: no such weights, or settings out of range.
    """

    spec: ClassVar[ModelSpec]
    sample_rate: int = SAMPLE_RATE
    batch_size = 8

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.speaker_reference = resolve_speaker_reference(self.name, options.speaker_reference, self.voices)
        self.checkpoint = self.spec.find_checkpoint(options.argument or options.weights, options.dataset)
        config = self.checkpoint.config
        self.sampling = self.spec.sampling(config, options.settings)
        self.sample_rate = self.spec.sample_rate(config)
        self._assets = [require_asset(name) for name in self.spec.assets(config)]
        self.spec.check(config)

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        return self.spec.build_synthesizer(self.checkpoint, self.sampling, self.options.device)

    def synthesize_crops(self, crops: Sequence[FaceCrops], names: Sequence[str], seed: int) -> list[Waveform]:
        if self.speaker_reference in _FROM_SPEECH:
            raise F2VError(
                f"'{self.name}' takes the voice from real speech, and a video alone has none",
                "name a recording of the voice with --speaker-reference FILE",
            )
        rngs = [clip_generator(seed, name) for name in names]
        return [Waveform(samples, self.sample_rate) for samples in self._synthesizer.synthesize(crops, rngs)]

    def synthesize_clips(
        self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int
    ) -> list[Waveform | ClipFailure]:
        if self.speaker_reference not in _FROM_SPEECH:
            return list(self.synthesize_crops(crops, [clip.id for clip in clips], seed))
        embeddings = per_clip(clips, lambda clip: self._synthesizer.embed_speaker(self._reference(clip, seed)))
        ready = [at for at, voice in enumerate(embeddings) if not isinstance(voice, ClipFailure)]
        voices = [voice for voice in embeddings if not isinstance(voice, ClipFailure)]
        rngs = [clip_generator(seed, clips[at].id) for at in ready]
        samples = iter(self._synthesizer.synthesize([crops[at] for at in ready], rngs, voices))
        return [
            voice if isinstance(voice, ClipFailure) else Waveform(next(samples), self.sample_rate)
            for voice in embeddings
        ]

    def _reference(self, clip: Clip, seed: int) -> NDArray[np.float32]:
        """Return real speech of the clip itself, or of another clip of its speaker."""
        if self.speaker_reference is SpeakerReference.OTHER_CLIP:
            clip = pick_reference_clip(self.options.clips, clip, seed)
        if clip.audio is None:
            raise ClipFailure(
                FailureKind.NO_AUDIO,
                f"'{self.name}' takes the voice from real speech, and '{clip.id}' has none: name a recording",
            )
        return reference_audio(clip, SAMPLE_RATE)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        settings = ",".join(f"{name}={value}" for name, value in sorted(self.sampling.items()))
        voice: str = self.speaker_reference
        if self.speaker_reference is SpeakerReference.OTHER_CLIP:
            with suppress(ClipFailure):  # synthesis reports that there is none
                voice += f" {pick_reference_clip(self.options.clips, clip, seed).id}"
        return ":".join(
            (self.name, self.checkpoint.sha256[:16], settings, voice, str(seed), *(one[:16] for one in self._hashes))
        )

    @cached_property
    def _hashes(self) -> list[str]:
        return [file_sha256(path) for path in self._assets]

    @property
    def provenance(self) -> str:
        sampling = self.spec.describe_sampling(self.sampling)
        return self.checkpoint.provenance + (f"; {sampling}" if sampling else "")
