"""Decode and encode video and audio, and resample: the only room that opens media files.

Video leaves here as uint8 RGB ``(T, H, W, 3)`` at 25 frames a second, audio as mono float32 in [-1, 1] at the rate
asked for. The clock of a clip is that of its video: sample 0 of ``clip_audio`` is the moment of frame 0.
"""

from f2v_bench.media.audio import (
    RESAMPLER,
    audio_duration_s,
    is_audio_name,
    read_audio,
    read_audio_piece,
    resample,
    write_audio,
)
from f2v_bench.media.clips import clip_audio, clip_duration_s, pad_or_trim
from f2v_bench.media.copies import check_copy_with_sound, copy_silent, copy_with_sound
from f2v_bench.media.video import VideoInfo, iter_frames, read_video, video_info, write_video

__all__ = [
    "RESAMPLER",
    "VideoInfo",
    "audio_duration_s",
    "check_copy_with_sound",
    "clip_audio",
    "clip_duration_s",
    "copy_silent",
    "copy_with_sound",
    "is_audio_name",
    "iter_frames",
    "pad_or_trim",
    "read_audio",
    "read_audio_piece",
    "read_video",
    "resample",
    "video_info",
    "write_audio",
    "write_video",
]
