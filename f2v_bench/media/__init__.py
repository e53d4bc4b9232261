"""Decoding, encoding and resampling of video and audio. No other room opens media files.

Video is uint8 RGB ``(T, H, W, 3)`` at 25 fps. Audio is mono float32 in [-1, 1] at the requested sample rate. A clip has
the clock of its video: sample 0 of ``clip_audio`` belongs to frame 0.
"""

from f2v_bench.media.audio import (
    RESAMPLER,
    audio_duration_s,
    is_audio_name,
    read_audio,
    read_audio_segment,
    resample,
    write_audio,
)
from f2v_bench.media.clips import clip_audio, clip_duration_s, pad_or_trim
from f2v_bench.media.copies import check_copy_with_audio, copy_silent, copy_with_audio
from f2v_bench.media.video import VideoInfo, iter_frames, read_video, video_info, write_video

__all__ = [
    "RESAMPLER",
    "VideoInfo",
    "audio_duration_s",
    "check_copy_with_audio",
    "clip_audio",
    "clip_duration_s",
    "copy_silent",
    "copy_with_audio",
    "is_audio_name",
    "iter_frames",
    "pad_or_trim",
    "read_audio",
    "read_audio_segment",
    "read_video",
    "resample",
    "video_info",
    "write_audio",
    "write_video",
]
