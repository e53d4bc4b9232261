"""The sentences of GRID: six words from six closed sets, and the six-character code that names a recording.

Source: M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and automatic speech
recognition", JASA 120(5), 2006, table I.
"""

from __future__ import annotations

from f2v_bench.errors import F2VError

COMMANDS = ("bin", "lay", "place", "set")
COLOURS = ("blue", "green", "red", "white")
PREPOSITIONS = ("at", "by", "in", "with")
LETTERS = tuple("abcdefghijklmnopqrstuvxyz")  # no w: its name alone has three syllables
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ADVERBS = ("again", "now", "please", "soon")

#: the six places of a sentence, in order
PLACES = (
    ("command", COMMANDS),
    ("colour", COLOURS),
    ("preposition", PREPOSITIONS),
    ("letter", LETTERS),
    ("digit", DIGITS),
    ("adverb", ADVERBS),
)
# Every word is coded by its first letter but the digits, of which only zero is.
_CHARACTERS = {word: str(value or "z") for value, word in enumerate(DIGITS)}
_CODES = tuple({_CHARACTERS.get(word, word[0]): word for word in words} for _, words in PLACES)

#: the sentence grammar, in lower-case words of the CMU dictionary
JSGF = (
    "#JSGF V1.0;\ngrammar grid;\n"
    + "public <sentence> = "
    + " ".join(f"<{place}>" for place, _ in PLACES)
    + ";\n"
    + "".join(f"<{place}> = {' | '.join(words)};\n" for place, words in PLACES)
)


def sentence(code: str) -> str:
    """The sentence that a file name spells.

    Args:
        code: six characters, in either case.

    Raises:
        F2VError: not a code of the corpus; names the character that is wrong.

    >>> sentence("bbaf2n")
    'bin blue at f two now'
    >>> sentence("sgwzza")
    'set green with z zero again'
    """
    if len(code) != len(PLACES):
        raise F2VError(f"'{code}' is not a GRID sentence code: {len(code)} characters", "a code has six, as in bbaf2n")
    words = []
    for (place, _), codes, character in zip(PLACES, _CODES, code.lower(), strict=True):
        if character not in codes:
            raise F2VError(
                f"'{code}' is not a GRID sentence code: no {place} is written '{character}'",
                f"a {place} is one of {' '.join(codes)}",
            )
        words.append(codes[character])
    return " ".join(words)


def code(sentence: str) -> str:
    """The six characters that spell a sentence in a file name.

    Args:
        sentence: six words, in either case.

    Raises:
        F2VError: not a sentence of the grammar; names the word that is wrong.

    >>> code("bin blue at f two now")
    'bbaf2n'
    """
    words = sentence.lower().split()
    if len(words) != len(PLACES):
        raise F2VError(f"'{sentence}' is not a GRID sentence: {len(words)} words", "a sentence has six words")
    for (place, known), word in zip(PLACES, words, strict=True):
        if word not in known:
            raise F2VError(f"'{sentence}' is not a GRID sentence: '{word}' is no {place}", f"use {', '.join(known)}")
    return "".join(_CHARACTERS.get(word, word[0]) for word in words)
