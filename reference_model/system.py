"""``ours``: the reference model as a System, and its voice for any face."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind, suggest
from f2v_bench.signal.mel import SAMPLE_RATE
from f2v_bench.systems.contract import CropSystem, SpeakerReference, SystemOptions, clip_generator, one_by_one

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops
    from reference_model.synthesis import Synthesizer
    from reference_model.weights import Weights

FLOW_SETTINGS = ("steps", "solver", "guidance", "temperature")
_VOICES = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)
_REFERENCES = (SpeakerReference.FACE, *_VOICES)


class Ours(CropSystem):
    """The hierarchical model of *From Faces to Voices* with the weights of the corpus, or those that are named.

    Settings are those of the flow.
    """

    name = "ours"
    summary = "the reference model: content from lips, timbre from the face, prosody from the expression, OT-CFM"
    stages = ("lips", "condition", "decoder", "vocoder")
    settings = FLOW_SETTINGS
    sample_rate = SAMPLE_RATE
    batch_size = 8

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        reference = options.speaker_reference or SpeakerReference.FACE
        if reference not in _REFERENCES:
            raise F2VError(f"'ours' cannot take the voice from '{reference}'", suggest(reference, _REFERENCES))
        self.speaker_reference = SpeakerReference(reference)
        self._weights = self._find()
        if self._weights.config.ablate in ("timbre", "hierarchy") and options.speaker_reference:
            raise F2VError(
                f"weights without {self._weights.config.ablate} cannot take the voice from '{reference}'",
                "leave --speaker-reference out",
            )
        if self._weights.config.ablate == "timbre":
            self.speaker_reference = SpeakerReference.NONE
        self._flow = self._weights.flow_settings(FLOW_SETTINGS, options.settings)

    def _find(self) -> Weights:
        from reference_model.weights import find_weights

        return find_weights(self.options.argument or self.options.weights, self.options.dataset)

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        from reference_model.synthesis import Synthesizer

        return Synthesizer(self._weights, self._flow, self.options.device)

    def speak(self, crops: Sequence[FaceCrops], names: Sequence[str], seed: int) -> list[Waveform]:
        rngs = [clip_generator(seed, name) for name in names]
        return [Waveform(samples, SAMPLE_RATE) for samples in self._synthesizer.speak(crops, rngs)]

    def speak_clips(self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int) -> list[Waveform | ClipFailure]:
        if self.speaker_reference not in _VOICES:
            return list(self.speak(crops, [clip.id for clip in clips], seed))

        def one(pair: tuple[Clip, FaceCrops]) -> Waveform:
            clip, seen = pair
            voice = self._synthesizer.voice(self._reference(clip, seed))
            (samples,) = self._synthesizer.speak([seen], [clip_generator(seed, clip.id)], voice)
            return Waveform(samples, SAMPLE_RATE)

        return one_by_one(zip(clips, crops, strict=True), one)

    def _reference(self, clip: Clip, seed: int) -> NDArray[np.float32]:
        """Real speech of the clip itself, or of another one of its speaker."""
        from f2v_bench.media import clip_audio

        if self.speaker_reference is SpeakerReference.OTHER_CLIP:
            other = self._other(clip, seed)
            if other is None:
                raise ClipFailure(FailureKind.NO_OTHER_CLIP, f"speaker '{clip.speaker}' has no clip beside '{clip.id}'")
            clip = other
        samples = clip_audio(clip, SAMPLE_RATE).checked(f"the speech of {clip.id}").samples
        if not samples.any():
            raise ClipFailure(FailureKind.SILENT, f"clip '{clip.id}' has no speech to take the voice from")
        return samples

    def _other(self, clip: Clip, seed: int) -> Clip | None:
        """Another clip of the speaker, drawn by seed and clip; None where there is none."""
        others = [one for one in self.options.clips if one.speaker == clip.speaker and one.id != clip.id]
        return others[int(clip_generator(seed, f"voice:{clip.id}").integers(len(others)))] if others else None

    def fingerprint(self, clip: Clip, seed: int) -> str:
        settings = ",".join(f"{name}={value}" for name, value in sorted(self._flow.items()))
        voice: str = self.speaker_reference
        if self.speaker_reference is SpeakerReference.OTHER_CLIP:
            other = self._other(clip, seed)
            voice += f" {other.id if other else ''}"
        return f"{self.name}:{self._weights.sha256[:16]}:{settings}:{voice}:{seed}"

    @property
    def provenance(self) -> str:
        return self._weights.provenance
