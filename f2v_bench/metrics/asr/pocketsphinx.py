"""pocketsphinx with the grammar of a corpus: the offline recognizer for closed-grammar corpora such as GRID.

The English model ships with the package. The grammar restricts all hypotheses to sentences of the corpus, so its word
error rates have their own signature and are not comparable with Whisper's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.errors import F2VError
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.metrics.text import normalize_basic

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_SCALE = 32_767
_ACOUSTIC_MODEL = "en-us/en-us"
_DICTIONARY = "en-us/cmudict-en-us.dict"


class Pocketsphinx(Recognizer):
    """Recognizer pocketsphinx 5 for US English with one JSGF grammar.

    Args:
        grammar: JSGF text, words in lower case.

    Raises:
        F2VError: the grammar cannot be parsed, or has words that are not in the dictionary.
    """

    name = "pocketsphinx"

    def __init__(self, grammar: str) -> None:
        self._grammar = grammar

    @cached_property
    def _decoder(self) -> Any:
        import pocketsphinx

        # lower levels print an ordinary result to the terminal: no sentence of the grammar matches
        decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
        try:
            decoder.add_jsgf_string("grammar", self._grammar)
        except (ValueError, RuntimeError) as error:
            unknown = sorted(word for word in grammar_words(self._grammar) if decoder.lookup_word(word) is None)
            if unknown:
                raise F2VError(
                    f"pocketsphinx's English dictionary lacks words of the grammar: {', '.join(unknown)}",
                    "use words of the CMU dictionary (lower case), or use Whisper: asr=whisper-large-v3",
                ) from error
            raise F2VError(
                f"pocketsphinx cannot read the corpus's grammar: {error}",
                f"it must be JSGF V1.0 with one public rule; it starts with: {self._grammar[:60].strip()!r}",
            ) from error
        decoder.activate_search("grammar")
        return decoder

    @property
    def signature(self) -> str:
        return "|".join(
            (
                f"asr:pocketsphinx-{version('pocketsphinx')}",
                f"model:en-us-{_model_sha256()[:12]}",
                f"grammar:{hashlib.sha256(self._grammar.encode()).hexdigest()[:12]}",
                "state:fresh-per-clip",
                "pcm:int16-truncated",
                "normalizer:basic-1",
            )
        )

    def normalize(self, text: str) -> str:
        return normalize_basic(text)

    def transcribe(self, batch: Sequence[NDArray[np.float32]]) -> list[Hypothesis]:
        return [Hypothesis(self._recognize(samples)) for samples in batch]

    def _recognize(self, samples: NDArray[np.float32]) -> str:
        recognize(self._decoder, samples)
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis else ""


def recognize(decoder: Any, samples: NDArray[np.float32]) -> None:
    """Decode one clip with a reset front end.

    The noise tracker and the cepstral mean carry over between utterances: without the reset, the text of a clip
    depends on earlier clips.

    Args:
        decoder: pocketsphinx decoder; it holds the hypothesis afterwards.
        samples: waveform at 16 kHz, float32 ``(n,)``.
    """
    pcm = (np.clip(samples, -1, 1) * FULL_SCALE).astype("<i2").tobytes()
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()


def grammar_words(grammar: str) -> set[str]:
    """Return the words of a JSGF grammar.

    >>> sorted(grammar_words("#JSGF V1.0; grammar g; public <s> = (bin {tag} | /2/ lay) [<x>]; <x> = now; // no"))
    ['bin', 'lay', 'now']
    """
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", grammar, flags=re.DOTALL)
    text = re.sub(r"\{[^}]*\}|/[\d.eE+-]+/|<[^>]*>", " ", text)
    rules = [statement.split("=", 1)[1] for statement in text.split(";") if "=" in statement]
    return {word for rule in rules for word in re.split(r"[\s|()\[\]*+=]+", rule) if word}


def _model_sha256() -> str:
    """Return the hash of the files of the acoustic model and the dictionary."""
    import pocketsphinx

    root = Path(pocketsphinx.get_model_path())
    digest = hashlib.sha256()
    for path in (*sorted((root / _ACOUSTIC_MODEL).iterdir()), root / _DICTIONARY):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
