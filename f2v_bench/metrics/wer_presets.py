"""Presets of ``wer`` with the word error rates of other evaluations.

A preset fixes the normalizer, the aggregation, the decoding, and the checkpoint where the evaluation names one. The
recipes follow the public sources; the differences are:

* ``seed-tts-eval`` (English): Whisper large-v3, greedy; mean over utterances. The original runs Hugging Face's port,
  resamples in the frequency domain, cuts at 30 s and excludes missing files from the mean.
* ``f5-tts``: Whisper large-v3, five beams; mean over utterances. The original runs faster-whisper in float16 with its
  fallback to higher temperatures, with consecutive windows in clips beyond 30 s.
* ``open-asr``: the Open ASR Leaderboard's aggregation, edits of all utterances over all words, with *Whisper's own*
  English normalizer. The leaderboard's fork of it (2026) does more: more fillers are dropped (ah, eh, huh, ...),
  ``'s`` becomes ``is`` only after pronouns and question words, spelled-out acronyms are joined ("b b c", "5 g"),
  variants of names and a list of compounds are unified ("wi fi"), 20 words have another spelling (ok, etcetera, ...),
  and words that differ by a space only count as equal. Rates here are therefore slightly higher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from f2v_bench.metrics.base import Aggregate, Column
from f2v_bench.metrics.text import normalize_f5_tts, normalize_seed_tts, whisper_normalizer


@dataclass(frozen=True, slots=True)
class WERPreset:
    """Recipe of another evaluation.

    Attributes:
        column: column of the word error rate.
        normalize: text normalizer of reference and hypothesis.
        normalizer: name of the normalizer in the signature.
        decode: ``greedy`` or ``beam5``.
        asr: checkpoint of the evaluation, or empty where it names none.
    """

    column: Column
    normalize: Callable[[str], str]
    normalizer: str
    decode: str
    asr: str = ""


def wer_column(name: str, label: str, aggregate: Aggregate, definition: str) -> Column:
    """Return a column of a word error rate in percent."""
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


def _normalize_whisper(text: str) -> str:
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
            "Word errors over words of all utterances together, by Whisper's English normalizer.",
        ),
        _normalize_whisper,
        "whisper-english",
        "greedy",
    ),
}
