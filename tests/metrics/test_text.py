from __future__ import annotations

import jiwer
import pytest

from f2v_bench.metrics.text import (
    character_edits,
    count_repeats,
    hallucination_signs,
    normalize_basic,
    remove_tags,
    whisper_normalizer,
    word_edits,
)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("Bin BLUE at F two, now!", "bin blue at f two now"),
        ("don't   stop—ever", "don't stop ever"),
        ("Don\u2019t", "don't"),
        ("snake_case\tand\nlines", "snake case and lines"),
        ("...", ""),
        ("", ""),
        ("größe 50", "größe 50"),
    ],
)
def test_basic_normalizer(text: str, normalized: str) -> None:
    assert normalize_basic(text) == normalized
    assert normalize_basic(normalized) == normalized


def test_tags_of_the_corpus_are_not_spoken() -> None:
    assert normalize_basic(remove_tags("{NS} HELLO {LG}THERE")) == "hello there"


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("fifty", "50"),
        ("nineteen eighty four", "1984"),
        ("um, color", "color"),
        ("John's dog", "john is dog"),
        ("good night", "good night"),
    ],
)
def test_whispers_normalizer_as_the_protocols_note_it(text: str, normalized: str) -> None:
    pytest.importorskip("whisper")
    assert whisper_normalizer()(text) == normalized


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [
        ("a b c d", "a b c d", (0, 0, 0, 4)),
        ("a b c d", "a x c", (1, 1, 0, 2)),
        ("a b", "a b c d e", (0, 0, 3, 2)),
        ("a b c", "", (0, 3, 0, 0)),
    ],
)
def test_word_edits(reference: str, hypothesis: str, counts: tuple[int, int, int, int]) -> None:
    edits = word_edits(reference, hypothesis)
    assert (edits.substitutions, edits.deletions, edits.insertions, edits.hits) == counts
    assert edits.rate == jiwer.wer(reference, hypothesis)
    assert edits.reference_length == len(reference.split())


def test_characters_count_the_spaces() -> None:
    edits = character_edits("ab c", "abc")
    assert (edits.deletions, edits.reference_length) == (1, 4)
    assert edits.rate == jiwer.cer("ab c", "abc") == 0.25


def test_an_empty_reference_has_no_rate() -> None:
    for edits in (word_edits, character_edits):
        with pytest.raises(ValueError, match="no words"):
            edits(" ", "two words")


def test_two_lines_show_corpus_and_macro_rates_differ() -> None:
    """The toy of the protocols' kind: sum over sum is not the mean of rates."""
    pairs = [("a b c d e f g h i j", "a b c d e f g h i j"), ("a", "x y z")]
    edits = [word_edits(*pair) for pair in pairs]
    corpus = sum(e.errors for e in edits) / sum(e.reference_length for e in edits)
    assert corpus == jiwer.wer(*map(list, zip(*pairs, strict=True))) == pytest.approx(3 / 11)
    assert sum(e.rate for e in edits) / 2 == 1.5


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("one two", 1), ("no no no", 3), ("a b a b a b a", 3), ("x a b c d a b c d", 2), ("a b c a b c a", 2)],
)
def test_repeats_in_a_row(text: str, count: int) -> None:
    assert count_repeats(text) == count


def test_signs_of_a_hallucination() -> None:
    assert hallucination_signs("a b c", "a b c") == []
    assert hallucination_signs("a b c", "") == []
    assert hallucination_signs("a", "b c d e f g h") == []  # 7 words are allowed
    assert hallucination_signs("a", "b c d e f g h i") == ["length"]
    assert hallucination_signs("a b c d", "you you you you") == ["repeats"]
    thresholds = {"avg_logprob": -1.0, "no_speech_prob": 0.6, "compression_ratio": 2.4}
    assert hallucination_signs("a", "a", **thresholds) == []
    beyond = {"avg_logprob": -1.01, "no_speech_prob": 0.61, "compression_ratio": 2.41}
    assert hallucination_signs("a", "a", **beyond) == ["compression_ratio", "avg_logprob", "no_speech_prob"]
