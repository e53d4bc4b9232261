"""Real audio of another clip: the lower bound, which shows how far a metric depends on the content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import clip_audio, clip_duration_s, pad_or_trim
from f2v_bench.systems.base import SpeakerReference, System, SystemOptions, clip_generator, per_clip
from f2v_bench.timing import SAMPLE_RATE


class Shuffled(System):
    """Real speech with the wrong words, of the same speaker where possible, else of another one.

    It is trimmed or padded with silence to the length of the clip's own video.
    """

    name = "shuffled"
    summary = "real audio of another clip (floor)"
    speaker_reference = SpeakerReference.OTHER_CLIP
    is_reference = True
    stages = ("decode",)
    sample_rate = SAMPLE_RATE

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self._with_audio = [clip for clip in options.clips if clip.audio is not None]
        self._of_speaker: dict[str, list[Clip]] = defaultdict(list)
        for clip in self._with_audio:
            self._of_speaker[clip.speaker].append(clip)

    def donor(self, clip: Clip, seed: int) -> Clip:
        """Return the clip that provides the audio, drawn by seed and clip from the split.

        Raises:
            ClipFailure: ``no_other_clip``: no clip of the split has another text.
        """
        for pool in (self._of_speaker[clip.speaker], self._with_audio):
            others = [o for o in pool if o.id != clip.id and (o.text is None or o.text != clip.text)]
            if others:
                return others[int(clip_generator(seed, clip.id).integers(len(others)))]
        raise ClipFailure(FailureKind.NO_OTHER_CLIP, f"no other clip with audio beside '{clip.id}' in this split")

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        return per_clip(batch, lambda clip: self._synthesize_clip(clip, seed))

    def _synthesize_clip(self, clip: Clip, seed: int) -> Waveform:
        samples = clip_audio(self.donor(clip, seed), SAMPLE_RATE).samples
        return Waveform(pad_or_trim(samples, 0, round(clip_duration_s(clip) * SAMPLE_RATE)), SAMPLE_RATE)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        try:
            return f"{self.name}:{self.donor(clip, seed).id}"
        except ClipFailure as failure:
            return f"{self.name}:{failure.kind}"
