"""Text normalizers, edit counts and signs of hallucinated transcripts."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_TAG = re.compile(r"\{[^}]*\}")  # LRS marks noise and laughter as {NS}, {LG}
_NOT_WORD = re.compile(r"[^\w\s']|_")
_SPACES = re.compile(r"\s+")
#: punctuation that seed-tts-eval and F5-TTS delete: ASCII, and Chinese punctuation of the package ``zhon``, which
#: includes typographic quotes, dashes and the ellipsis
_PUNCTUATION = string.punctuation + (
    "\uff02\uff03\uff04\uff05\uff06\uff07\uff08\uff09\uff0a\uff0b\uff0c\uff0d\uff0f\uff1a\uff1b\uff1c\uff1d\uff1e\uff20"
    "\uff3b\uff3c\uff3d\uff3e\uff3f\uff40\uff5b\uff5c\uff5d\uff5e\uff5f\uff60\uff62\uff63\uff64\u3000\u3001\u3003\u3008\u3009"
    "\u300a\u300b\u300c\u300d\u300e\u300f\u3010\u3011\u3014\u3015\u3016\u3017\u3018\u3019\u301a\u301b\u301c\u301d\u301e\u301f"
    "\u3030\u303e\u303f\u2013\u2014\u2018\u2019\u201b\u201c\u201d\u201e\u201f\u2026\u2027\ufe4f\uff01\uff1f\uff61\u3002"
)
_WITHOUT_PUNCTUATION = str.maketrans("", "", _PUNCTUATION)
_WITHOUT_PUNCTUATION_BUT_APOSTROPHE = str.maketrans("", "", _PUNCTUATION.replace("'", ""))

# Whisper's thresholds for a failed decoding
MAX_COMPRESSION = 2.4
MIN_LOGPROB = -1.0
MAX_NO_SPEECH = 0.6
MAX_REPEATS = 3
LONGEST_REPEAT = 4  # words


def remove_tags(text: str) -> str:
    """Return ``text`` without the ``{...}`` tags of a corpus, which are not spoken."""
    return _TAG.sub(" ", text)


def normalize_basic(text: str) -> str:
    """Return lower case text with punctuation, except the apostrophe, as single spaces: for closed-grammar corpora.

    >>> normalize_basic(" Place WHITE, by D four --  now!")
    'place white by d four now'
    """
    words = _NOT_WORD.sub(" ", text.lower().replace("\u2019", "'"))
    return _SPACES.sub(" ", words).strip()


def normalize_seed_tts(text: str) -> str:
    """Normalize as seed-tts-eval does for English: delete punctuation except the ASCII apostrophe, without a space.

    Numbers remain as written, and the typographic apostrophe is deleted.

    >>> normalize_seed_tts("Well-known: it's 50\u2014don\u2019t!")
    "wellknown it's 50dont"
    """
    return _SPACES.sub(" ", text.translate(_WITHOUT_PUNCTUATION_BUT_APOSTROPHE).lower()).strip()


def normalize_f5_tts(text: str) -> str:
    """Normalize as F5-TTS does for English: as seed-tts-eval, with the apostrophe deleted too.

    >>> normalize_f5_tts("Well-known: it's 50!")
    'wellknown its 50'
    """
    return _SPACES.sub(" ", text.translate(_WITHOUT_PUNCTUATION).lower()).strip()


@cache
def whisper_normalizer() -> Callable[[str], str]:
    """Return OpenAI's ``EnglishTextNormalizer``: numbers to digits, British to American spelling, fillers dropped.

    Raises:
        ImportError: openai-whisper is not installed.
    """
    from whisper.normalizers import EnglishTextNormalizer

    normalizer: Callable[[str], str] = EnglishTextNormalizer()
    return normalizer


@dataclass(frozen=True, slots=True)
class Edits:
    """Edit counts of one hypothesis against its reference, in words or characters."""

    substitutions: int
    deletions: int
    insertions: int
    hits: int

    @property
    def errors(self) -> int:
        """Number of substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        """Length of the reference."""
        return self.substitutions + self.deletions + self.hits

    @property
    def rate(self) -> float:
        """Errors per unit of the reference; above 1 with many insertions."""
        return self.errors / self.reference_length


def word_edits(reference: str, hypothesis: str) -> Edits:
    """Count word edits between normalized texts with ``jiwer``.

    Args:
        reference: normalized transcript.
        hypothesis: normalized hypothesis.

    Raises:
        ValueError: an empty reference, which has no error rate.
    """
    import jiwer

    _require_words(reference)
    edits = jiwer.process_words(reference, hypothesis)
    return Edits(edits.substitutions, edits.deletions, edits.insertions, edits.hits)


def character_edits(reference: str, hypothesis: str) -> Edits:
    """Count character edits between normalized texts with ``jiwer``, spaces between words included.

    Args:
        reference: normalized transcript.
        hypothesis: normalized hypothesis.

    Raises:
        ValueError: an empty reference.
    """
    import jiwer

    _require_words(reference)
    edits = jiwer.process_characters(reference, hypothesis)
    return Edits(edits.substitutions, edits.deletions, edits.insertions, edits.hits)


def _require_words(reference: str) -> None:
    if not reference.strip():
        raise ValueError("the reference has no words: an error rate is not defined")


def count_repeats(text: str) -> int:
    """Return the largest number of consecutive repeats of one to four words.

    >>> count_repeats("thank you thank you thank you bye")
    3
    """
    words = text.split()
    most = 0
    for size in range(1, LONGEST_REPEAT + 1):
        for start in range(len(words) - size + 1):
            phrase, count = words[start : start + size], 1
            while words[start + count * size : start + (count + 1) * size] == phrase:
                count += 1
            most = max(most, count)
    return most


def hallucination_signs(
    reference: str,
    hypothesis: str,
    *,
    avg_logprob: float | None = None,
    no_speech_prob: float | None = None,
    compression_ratio: float | None = None,
) -> list[str]:
    """Return signs that a hypothesis is hallucinated; such clips are flagged, never excluded.

    Args:
        reference: normalized transcript.
        hypothesis: normalized hypothesis.
        avg_logprob: mean log probability of the tokens, if the recognizer reports it.
        no_speech_prob: probability of no speech, if the recognizer reports it.
        compression_ratio: zlib compression ratio of the hypothesis, if the recognizer reports it.

    Returns:
        Names among ``compression_ratio`` (> 2.4), ``avg_logprob`` (< -1), ``no_speech_prob`` (> 0.6), ``length``
        (words > 2 x reference + 5) and ``repeats`` (one to four words, four times in a row or more).
    """
    signs = {
        "compression_ratio": compression_ratio is not None and compression_ratio > MAX_COMPRESSION,
        "avg_logprob": avg_logprob is not None and avg_logprob < MIN_LOGPROB,
        "no_speech_prob": no_speech_prob is not None and no_speech_prob > MAX_NO_SPEECH,
        "length": len(hypothesis.split()) > 2 * len(reference.split()) + 5,
        "repeats": count_repeats(hypothesis) > MAX_REPEATS,
    }
    return [name for name, is_present in signs.items() if is_present]
