"""Real speech that lends a system its voice: of the clip itself, or of another one of its speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, F2VError, FailureKind, suggest
from f2v_bench.media import clip_audio
from f2v_bench.systems.base import SpeakerReference, clip_generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def resolve_speaker_reference(name: str, asked: str | None, voices: Sequence[SpeakerReference]) -> SpeakerReference:
    """Where a system takes the voice from.

    Args:
        name: of the system, for the message.
        asked: what was asked for; None is the system's habit.
        voices: where it can take it from, its habit first.

    Raises:
        F2VError: from somewhere else.
    """
    if asked is not None and asked not in voices:
        raise F2VError(f"'{name}' cannot take the voice from '{asked}'", suggest(asked, voices))
    return SpeakerReference(asked or voices[0])


def pick_reference_clip(clips: Sequence[Clip], clip: Clip, seed: int) -> Clip:
    """Another clip of the same speaker, drawn by seed and clip.

    Raises:
        ClipFailure: ``no_other_clip``.
    """
    others = [one for one in clips if one.speaker == clip.speaker and one.id != clip.id]
    if not others:
        raise ClipFailure(FailureKind.NO_OTHER_CLIP, f"speaker '{clip.speaker}' has no clip beside '{clip.id}'")
    return others[int(clip_generator(seed, f"voice:{clip.id}").integers(len(others)))]


def reference_audio(clip: Clip, sample_rate: int) -> NDArray[np.float32]:
    """The clip's own speech, float32 ``(n,)``, as long as its video.

    Raises:
        ClipFailure: as ``clip_audio``; ``silent`` where it holds no sound.
    """
    samples = clip_audio(clip, sample_rate).validate(f"the speech of '{clip.id}'").samples
    if not samples.any():
        raise ClipFailure(FailureKind.SILENT, f"clip '{clip.id}' has no speech to take the voice from")
    return samples
