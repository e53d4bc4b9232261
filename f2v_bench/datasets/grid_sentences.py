"""Sentences of GRID: six words from six closed sets, and the six-character code of a recording.

Source: M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and automatic speech
recognition", JASA 120(5), 2006, table I.
"""

from __future__ import annotations

from f2v_bench.errors import F2VError

COMMANDS = ("bin", "lay", "place", "set")
COLORS = ("blue", "green", "red", "white")
PREPOSITIONS = ("at", "by", "in", "with")
LETTERS = tuple("abcdefghijklmnopqrstuvxyz")  # no w: the only name of three syllables
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ADVERBS = ("again", "now", "please", "soon")

#: the six positions of a sentence, in order; the corpus paper's spelling of "colour" is part of the grammar's hash
PLACES = (
    ("command", COMMANDS),
    ("colour", COLORS),
    ("preposition", PREPOSITIONS),
    ("letter", LETTERS),
    ("digit", DIGITS),
    ("adverb", ADVERBS),
)
# The code of a word is its first letter; digits are their own codes, except z for zero.
_CHARACTERS = {word: str(value or "z") for value, word in enumerate(DIGITS)}
_CODES = tuple({_CHARACTERS.get(word, word[0]): word for word in words} for _, words in PLACES)

#: sentence grammar in lower-case words of the CMU dictionary
JSGF = (
    "#JSGF V1.0;\ngrammar grid;\n"
    + "public <sentence> = "
    + " ".join(f"<{place}>" for place, _ in PLACES)
    + ";\n"
    + "".join(f"<{place}> = {' | '.join(words)};\n" for place, words in PLACES)
)


def decode_sentence(code: str) -> str:
    """Return the sentence of a file name.

    Args:
        code: sentence code, six characters in upper or lower case.

    Raises:
        F2VError: invalid code; the message has the wrong character.

    >>> decode_sentence("bbaf2n")
    'bin blue at f two now'
    >>> decode_sentence("sgwzza")
    'set green with z zero again'
    """
    if len(code) != len(PLACES):
        raise F2VError(
            f"'{code}' is not a GRID sentence code: {len(code)} characters", "a code has six, such as bbaf2n"
        )
    words = []
    for (place, _), codes, character in zip(PLACES, _CODES, code.lower(), strict=True):
        if character not in codes:
            raise F2VError(
                f"'{code}' is not a GRID sentence code: no {place} has the code '{character}'",
                f"a {place} is one of {' '.join(codes)}",
            )
        words.append(codes[character])
    return " ".join(words)


def encode_sentence(sentence: str) -> str:
    """Return the six-character code of a sentence.

    Args:
        sentence: six words in upper or lower case.

    Raises:
        F2VError: invalid sentence; the message has the wrong word.

    >>> encode_sentence("bin blue at f two now")
    'bbaf2n'
    """
    words = sentence.lower().split()
    if len(words) != len(PLACES):
        raise F2VError(f"'{sentence}' is not a GRID sentence: {len(words)} words", "a sentence has six words")
    for (place, allowed), word in zip(PLACES, words, strict=True):
        if word not in allowed:
            raise F2VError(f"'{sentence}' is not a GRID sentence: '{word}' is no {place}", f"use {', '.join(allowed)}")
    return "".join(_CHARACTERS.get(word, word[0]) for word in words)
