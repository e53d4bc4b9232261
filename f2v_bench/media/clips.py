"""Audio of a clip on the clock of its video: sample 0 belongs to frame 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media.audio import as_mono, is_audio_name, read_audio, read_track
from f2v_bench.media.video import video_info


def clip_audio(clip: Clip, sample_rate: int) -> Waveform:
    """Return the real speech of a clip on the clock of its video, exactly as long as its video.

    A track that starts after the video is padded with silence, an earlier one is trimmed. The end is padded or trimmed,
    too. A separate audio file starts with the video. A clip of an audio-only corpus (its video is an audio file) keeps
    its own clock.

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
    """Return the duration of a clip in seconds.

    Raises:
        ClipFailure: as ``video_info``, and as ``read_audio`` for a clip of an audio-only corpus.
    """
    return read_audio(clip.video).duration_s if is_audio_name(clip.video) else video_info(clip.video).duration_s


def pad_or_trim(samples: NDArray[np.float32], offset: int, length: int) -> NDArray[np.float32]:
    """Pad or trim samples to ``(length,)``, so that their first one lies at index ``offset``, which may be negative."""
    out = np.zeros(length, np.float32)
    first, last = max(0, offset), min(length, offset + len(samples))
    if first < last:
        out[first:last] = samples[first - offset : last - offset]
    return out
