"""Reference speech for the speaker identity: the clip itself, or another clip of its speaker."""

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


def resolve_speaker_reference(name: str, requested: str | None, voices: Sequence[SpeakerReference]) -> SpeakerReference:
    """Return the source of the speaker identity of a system.

    Args:
        name: name of the system, for the message.
        requested: requested source; None is the default of the system.
        voices: supported sources, the default first.

    Raises:
        F2VError: the requested source is not supported.
    """
    if requested is not None and requested not in voices:
        raise F2VError(f"'{name}' cannot take the voice from '{requested}'", suggest(requested, voices))
    return SpeakerReference(requested or voices[0])


def pick_reference_clip(clips: Sequence[Clip], clip: Clip, seed: int) -> Clip:
    """Return another clip of the same speaker, drawn by seed and clip.

    Raises:
        ClipFailure: ``no_other_clip``.
    """
    others = [one for one in clips if one.speaker == clip.speaker and one.id != clip.id]
    if not others:
        raise ClipFailure(FailureKind.NO_OTHER_CLIP, f"speaker '{clip.speaker}' has no clip beside '{clip.id}'")
    return others[int(clip_generator(seed, f"voice:{clip.id}").integers(len(others)))]


def reference_audio(clip: Clip, sample_rate: int) -> NDArray[np.float32]:
    """Return the real speech of a clip, float32 ``(n,)``, as long as its video.

    Raises:
        ClipFailure: as ``clip_audio``; ``silent`` where all samples are 0.
    """
    samples = clip_audio(clip, sample_rate).validate(f"the speech of '{clip.id}'").samples
    if not samples.any():
        raise ClipFailure(FailureKind.SILENT, f"clip '{clip.id}' is silent and cannot be the speaker reference")
    return samples
