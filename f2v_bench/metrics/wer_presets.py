"""Word error rates as other evaluations count them: presets of ``wer``.

A preset fixes the normaliser, the aggregation, the decoding, and the checkpoint where the evaluation names one. Read
in the public sources; what this suite does otherwise is said here.

* ``seed-tts-eval`` (English): Whisper large-v3, greedy; mean over utterances. The original runs Hugging Face's port,
  resamples in the frequency domain, cuts at 30 s and leaves missing files out of the mean.
* ``f5-tts``: Whisper large-v3, five beams; mean over utterances. The original runs faster-whisper in float16 with its
  fallback to higher temperatures, whose windows follow one another in clips beyond 30 s.
* ``open-asr``: the Open ASR Leaderboard's aggregation, edits of all utterances over all words, with *Whisper's own*
  English normaliser. The leaderboard's fork of it (2026) goes further: more fillers are dropped (ah, eh, huh, ...),
  ``'s`` becomes ``is`` only after pronouns and question words, spelt-out acronyms are joined ("b b c", "5 g"),
  variants of names and a list of compounds are unified ("wi fi"), 20 words are spelt otherwise (ok, etcetera, ...),
  and words that differ by a space alone count as equal. Rates here are therefore a little higher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from f2v_bench.metrics.base import Aggregate, Column
from f2v_bench.metrics.text import normalize_f5_tts, normalize_seed_tts, whisper_normalizer


@dataclass(frozen=True, slots=True)
class WERPreset:
    """One evaluation's way.

    Attributes:
        column: its word error rate.
        normalise: applied to reference and hypothesis alike.
        normaliser: its name in the signature.
        decode: ``greedy`` or ``beam5``.
        asr: the checkpoint it names, or empty where any will do.
    """

    column: Column
    normalize: Callable[[str], str]
    normalizer: str
    decode: str
    asr: str = ""


def wer_column(name: str, label: str, aggregate: Aggregate, definition: str) -> Column:
    """A column with a word error rate."""
    return Column(
        name,
        label,
        "%",
        higher_is_better=False,
        lower=0,
        upper=float("inf"),
        aggregate=aggregate,
        scale=100,
        digits=1,
        definition=definition,
    )


def _of_whisper(text: str) -> str:
    return whisper_normalizer()(text)


PRESETS = {
    "seed-tts-eval": WERPreset(
        wer_column(
            "wer_seed_tts_eval",
            "WER (seed-tts-eval)",
            Aggregate.MEAN,
            "Word error rate of each utterance, punctuation but the apostrophe deleted; mean over utterances.",
        ),
        normalize_seed_tts,
        "seed-tts-eval-en",
        "greedy",
        "whisper-large-v3",
    ),
    "f5-tts": WERPreset(
        wer_column(
            "wer_f5_tts",
            "WER (F5-TTS)",
            Aggregate.MEAN,
            "Word error rate of each utterance, all punctuation deleted; mean over utterances.",
        ),
        normalize_f5_tts,
        "f5-tts-en",
        "beam5",
        "whisper-large-v3",
    ),
    "open-asr": WERPreset(
        wer_column(
            "wer_open_asr",
            "WER (Open ASR)",
            Aggregate.RATIO,
            "Word errors over words of all utterances together, by Whisper's English normaliser.",
        ),
        _of_whisper,
        "whisper-english",
        "greedy",
    ),
}
