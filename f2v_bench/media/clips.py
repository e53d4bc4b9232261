"""The sound of a clip on the clock of its video: sample 0 is the moment of frame 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media.audio import as_mono, is_audio_name, read_audio, read_track
from f2v_bench.media.video import video_info


def clip_audio(clip: Clip, sample_rate: int) -> Waveform:
    """The real speech of a clip on the clock of its video, exactly as long as its video.

    A track that starts later than the picture is preceded by silence, an earlier one is cut; so is what outlasts the
    picture, and what is missing at the end is silence. A separate audio file is taken to start with the picture. A
    clip of a corpus without pictures (its video is an audio file) keeps its own clock.

    Raises:
        ClipFailure: as ``read_audio`` and ``video_info``; ``no_audio`` where the clip has none.
    """
    if clip.audio is None:
        raise ClipFailure(FailureKind.NO_AUDIO, f"clip '{clip.id}' has no audio")
    if is_audio_name(clip.video):
        return read_audio(clip.audio, sample_rate)
    info = video_info(clip.video)
    if clip.audio == clip.video:
        channels, rate, start_s = read_track(clip.audio)
        own = as_mono(clip.audio, channels, rate, sample_rate).samples
        offset_s = start_s - info.start_s
    else:
        own = read_audio(clip.audio, sample_rate).samples
        offset_s = 0.0
    return Waveform(pad_or_trim(own, round(offset_s * sample_rate), round(info.duration_s * sample_rate)), sample_rate)


def clip_duration_s(clip: Clip) -> float:
    """Seconds that a clip's waveform should last.

    Raises:
        ClipFailure: as ``video_info``, and as ``read_audio`` for a clip of a corpus without pictures.
    """
    return read_audio(clip.video).duration_s if is_audio_name(clip.video) else video_info(clip.video).duration_s


def pad_or_trim(samples: NDArray[np.float32], at: int, length: int) -> NDArray[np.float32]:
    """``samples`` laid into ``length`` zeros from index ``at`` (which may be negative); what sticks out is cut."""
    out = np.zeros(length, np.float32)
    first, last = max(0, at), min(length, at + len(samples))
    if first < last:
        out[first:last] = samples[first - at : last - at]
    return out
