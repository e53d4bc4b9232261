"""Forced alignment of a transcribed clip with pocketsphinx: phonemes at 50 Hz.

Labels for the lip encoder where the corpus has transcripts: clusters of audio depend on speaker and manner as well as
on the words, phonemes do not.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.metrics.asr.pocketsphinx import recognize
from f2v_bench.nn.losses.units import IGNORE_INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: phonemes of the CMU dictionary; 0 is silence
PHONES = (
    *("SIL", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY"),
    *("JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)
_RATE = 100  # Hz, frame rate of the aligner


@cache
def _decoder() -> Any:
    import pocketsphinx

    return pocketsphinx.Decoder(lm=None, loglevel="FATAL", bestpath=False)


def align_phones(samples: NDArray[np.float32], text: str | None, count: int) -> NDArray[np.int64]:
    """Align the phonemes of a text with its audio.

    Args:
        samples: audio, float32 ``(n,)`` at 16 kHz.
        text: words of the CMU dictionary, in either case; None if unknown.
        count: number of 20 ms frames.

    Returns:
        Indices into ``PHONES``, int64 ``(count,)``; ``IGNORE_INDEX`` throughout for a text that cannot be aligned.
    """
    unaligned = np.full(count, IGNORE_INDEX, np.int64)
    decoder = _decoder()
    text = (text or "").lower()
    if not text or any(decoder.lookup_word(word) is None for word in text.split()):
        return unaligned
    decoder.set_align_text(text)
    for is_word_pass in (True, False):  # first words, then the phonemes inside them
        recognize(decoder, samples)
        if is_word_pass:
            if decoder.hyp() is None:
                return unaligned
            decoder.set_alignment()
    index = {name: number for number, name in enumerate(PHONES)}
    fine = np.zeros(_RATE * (count + 2) // 50, np.int64)  # silence after the last phoneme
    for word in decoder.get_alignment():
        for phone in word:
            fine[phone.start : phone.start + phone.duration] = index.get(phone.name, 0)  # noises count as silence
    return fine[: 2 * count : 2]
