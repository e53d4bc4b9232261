"""Synthesis of one utterance by espeak-ng in its own process: JSON request on stdin, timing and samples on stdout.

The library keeps state between utterances (noise, flutter, even lengths differ), so only a fresh process makes equal
requests give equal samples. Standard library only, run by path: it starts in tens of milliseconds, and the GPL library
stays outside the suite's process.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

_RETRIEVAL = 1  # espeak_AUDIO_OUTPUT: samples go to the callback
_PHONEME_EVENTS = 1
_POSITION_CHARACTER = 1
_UTF8_SSML_PHONEMES = 0x1 | 0x10 | 0x100  # text is UTF-8 with SSML tags, and [[...]] holds phonemes
_MARK, _PHONEME = 3, 7  # espeak_EVENT_TYPE
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_OK = 0


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def _check(status: int, what: str) -> None:
    if status != _OK:
        raise RuntimeError(f"espeak-ng: {what} failed with status {status}")


def synthesize(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Synthesize one request; only the first call in a process is reproducible.

    Args:
        request: ``library`` and ``data`` paths, ``voice``, ``text`` (SSML), ``rate`` in words a minute, ``volume``,
            ``pitch`` and ``range`` as espeak-ng counts them (50 is a voice's own), ``seed``.

    Returns:
        ``{"sample_rate", "phonemes": [[sample, mnemonic], ...], "marks": [[sample, name], ...]}`` and int16 samples.

    Raises:
        RuntimeError: the library refuses; names the call and the status.
    """
    library = ctypes.CDLL(request["library"])
    sample_rate = library.espeak_Initialize(_RETRIEVAL, 0, request["data"].encode(), _PHONEME_EVENTS)
    if sample_rate <= 0:
        raise RuntimeError(f"espeak-ng cannot be initialized with the data in '{request['data']}'")
    library.espeak_ng_SetRandSeed(ctypes.c_long(request["seed"]))  # the library seeds itself with the time of day
    chunks: list[bytes] = []
    phonemes: list[tuple[int, str]] = []
    marks: list[tuple[int, str]] = []

    def receive(samples: Any, count: int, events: Any) -> int:
        if samples and count:
            chunks.append(ctypes.string_at(samples, 2 * count))
        at = 0
        while events[at].type:
            event = events[at]
            if event.type == _PHONEME:
                phonemes.append((event.sample, event.id.string.decode()))
            elif event.type == _MARK:
                marks.append((event.sample, event.id.name.decode()))
            at += 1
        return 0

    callback = _CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    _check(library.espeak_SetVoiceByName(request["voice"].encode()), f"voice '{request['voice']}'")
    for name, number in (("rate", _RATE), ("volume", _VOLUME), ("pitch", _PITCH), ("range", _RANGE)):
        _check(library.espeak_SetParameter(number, request[name], 0), f"{name} {request[name]}")
    text = request["text"].encode()
    _check(
        library.espeak_Synth(text, len(text) + 1, 0, _POSITION_CHARACTER, 0, _UTF8_SSML_PHONEMES, None, None),
        "synthesis",
    )
    _check(library.espeak_Synchronize(), "synthesis")
    return {"sample_rate": sample_rate, "phonemes": phonemes, "marks": marks}, b"".join(chunks)


if __name__ == "__main__":
    timing, samples = synthesize(json.load(sys.stdin))
    sys.stdout.buffer.write(json.dumps(timing).encode() + b"\n" + samples)
