"""``ours-vocoder``: the mel of the real audio through the reference model's vocoder: the ceiling of ``ours``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.systems.contract import SpeakerReference, System, SystemOptions, one_by_one

if TYPE_CHECKING:
    from f2v_bench.nn.generator import Generator

_SAMPLE_RATE = 16_000


class OursVocoder(System):
    """What is lost between a true mel spectrogram and sound, with the weights of ``ours``."""

    name = "ours-vocoder"
    summary = "mel of the real audio through the vocoder of the reference model"
    speaker_reference = SpeakerReference.SAME_CLIP
    stages = ("decode", "mel", "vocoder")
    sample_rate = _SAMPLE_RATE

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        from reference_model.weights import find_weights

        self._weights = find_weights(options.argument or options.weights, options.dataset)

    @cached_property
    def _vocoder(self) -> Generator:
        vocoder = self._weights.vocoder()
        if vocoder is None:
            raise F2VError(f"'{self._weights.path}' has no vocoder", "train the stage: --stage vocoder")
        return vocoder.to(self.options.device)

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        return one_by_one(batch, self._one)

    def _one(self, clip: Clip) -> Waveform:
        from f2v_bench.media import clip_audio
        from f2v_bench.nn.vocoder import vocode
        from f2v_bench.signal.mel import log_mel

        mel = log_mel(clip_audio(clip, _SAMPLE_RATE).samples, _SAMPLE_RATE)
        return Waveform(vocode(self._vocoder, mel).clip(-1, 1), _SAMPLE_RATE)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"{self.name}:{self._weights.sha256[:16]}"

    @property
    def provenance(self) -> str:
        return f"{self.summary}; {self._weights.provenance}"
