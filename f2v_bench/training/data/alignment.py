"""Phonemes of a transcribed clip in time, by forced alignment with pocketsphinx.

A teacher for the lip encoder where the corpus has transcripts: clusters of sound mix what was said with who said it and
how, phonemes do not.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.metrics.asr.pocketsphinx import recognize
from f2v_bench.nn.losses.units import IGNORE_INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: the phonemes of the CMU dictionary; 0 is silence
PHONES = (
    *("SIL", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY"),
    *("JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)
_RATE = 100  # frames a second of the aligner


@cache
def _decoder() -> Any:
    import pocketsphinx

    return pocketsphinx.Decoder(lm=None, loglevel="FATAL", bestpath=False)


def align_phones(samples: NDArray[np.float32], text: str | None, count: int) -> NDArray[np.int64]:
    """Phonemes at 50 Hz, int64 ``(count,)``: indices into ``PHONES``, or ``IGNORE_INDEX`` throughout.

    Args:
        samples: float32 ``(n,)`` at 16 kHz.
        text: words of the CMU dictionary, in either case; None is unknown.
        count: how many 20 ms frames.
    """
    unknown = np.full(count, IGNORE_INDEX, np.int64)
    decoder = _decoder()
    text = (text or "").lower()
    if not text or any(decoder.lookup_word(word) is None for word in text.split()):
        return unknown
    decoder.set_align_text(text)
    for coarse in (True, False):  # first words, then the phonemes inside them
        recognize(decoder, samples)
        if coarse:
            if decoder.hyp() is None:
                return unknown
            decoder.set_alignment()
    index = {name: at for at, name in enumerate(PHONES)}
    fine = np.zeros(_RATE * (count + 2) // 50, np.int64)  # beyond the last phoneme: silence
    for word in decoder.get_alignment():
        for phone in word:
            fine[phone.start : phone.start + phone.duration] = index.get(phone.name, 0)  # noises are silence
    return fine[: 2 * count : 2]
