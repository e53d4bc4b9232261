"""Helpers of the stand-ins: records of their inputs, and failures that a test orders."""

import json
import os
import sys
import time
import wave
from pathlib import Path

import numpy as np

ORDERS = json.loads(os.environ.get("STANDIN", "{}"))


def note(**inputs):
    """Record inputs for the test."""
    with Path(os.environ["STANDIN_NOTES"]).open("a") as file:
        file.write(json.dumps(inputs) + "\n")


def ordered(stage, number):
    """Return the failure that a test ordered for utterance ``number`` of a stage."""
    return ORDERS.get(stage, {}).get(str(number))


def accident(stage, number):
    """Exit, hang or continue before an utterance; return True where it is to be skipped."""
    mode = ordered(stage, number)
    if mode == "dies":
        sys.exit("CUDA out of memory")
    if mode == "hangs":
        time.sleep(600)
    return mode == "skips"


def overrides(words):
    """Parse the ``key='value'`` arguments of Hydra."""
    found = dict(word.split("=", 1) for word in words)
    return {key: value[1:-1].replace("\\'", "'") if value[:1] == "'" else value for key, value in found.items()}


def gray(path, size=None):
    """Return the mean level of every frame, ``(T,)`` in [0, 1]."""
    import av

    with av.open(path) as video:
        stream = video.streams.video[0]
        if stream.average_rate != 25 or video.streams.audio or (size and (stream.width, stream.height) != size):
            sys.exit(
                f"{path} has {stream.average_rate} fps, {stream.width}x{stream.height}, sound: {video.streams.audio}"
            )
        return np.array([frame.to_ndarray(format="gray").mean() / 255 for frame in video.decode(stream)])


def write_speech(path, levels, number=0):
    """Write 640 samples per frame with the level of the frame, or the failure that a test ordered."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    samples, rate = np.repeat(np.asarray(levels), 640), 16000
    mode = ordered("speech", number)
    if mode == "garbage":
        Path(path).write_bytes(b"RIFF but no")
        return
    if mode == "silent":
        samples = np.zeros_like(samples)
    if mode == "rate":
        rate = 22050
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 20000).astype("<i2").tobytes())
    if mode == "truncated":
        whole = Path(path).read_bytes()
        Path(path).write_bytes(whole[: len(whole) // 2])
