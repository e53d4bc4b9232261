from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.metrics.asr.pocketsphinx import Pocketsphinx, grammar_words

GRID = """#JSGF V1.0;
grammar grid;
public <sentence> = <command> <color> <preposition> <letter> <digit> <adverb>;
<command> = bin | lay | place | set;
<color> = blue | green | red | white;
<preposition> = at | by | in | with;
<letter> = a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p | q | r | s | t | u | v | x | y | z;
<digit> = zero | one | two | three | four | five | six | seven | eight | nine;
<adverb> = again | now | please | soon;
"""


def test_words_of_a_grammar() -> None:
    assert grammar_words(GRID) >= {"bin", "z", "zero", "soon"}
    assert len(grammar_words(GRID)) == 4 + 4 + 4 + 25 + 10 + 4
    tricky = "#JSGF V1.0; grammar g; import <x.y>; public <s> = /10/ bin {tag} | /0.5/ (lay* [red]+ <NULL>); // now\n"
    assert grammar_words(tricky + "/* soon = nine; */") == {"bin", "lay", "red"}


@pytest.mark.slow
def test_transcripts_of_real_clips_do_not_depend_on_other_clips(grid_test) -> None:
    """Noise tracker and cepstral mean carry over inside pocketsphinx: its state must be fresh for every clip."""
    clips = [one.audio.samples for one in grid_test[:8]]
    recognizer = Pocketsphinx(GRID)
    together = recognizer.transcribe(clips)
    assert recognizer.transcribe(clips[::-1])[::-1] == together
    assert [Pocketsphinx(GRID).transcribe([clip])[0] for clip in clips] == together
    assert recognizer.transcribe([clips[0] * 0, *clips])[1:] == together
    assert all(len(hypothesis.text.split()) == 6 for hypothesis in together)


def test_a_clip_without_speech_has_an_empty_text(capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.05
    recognizer = Pocketsphinx(GRID)
    assert [recognizer.transcribe([noise[:n]])[0].text for n in (1, 200, 409, 410, 3200)] == [""] * 5
    assert capfd.readouterr() == ("", "")


def test_words_missing_from_the_dictionary_are_named() -> None:
    grammar = "#JSGF V1.0; grammar g; public <s> = (bin | zorblax) quuxly;"
    with pytest.raises(F2VError, match="lacks words of the grammar: quuxly, zorblax"):
        Pocketsphinx(grammar).transcribe([np.ones(1600, np.float32)])


def test_a_grammar_that_is_none_is_an_error() -> None:
    with pytest.raises(F2VError, match=r"cannot read the corpus's grammar.*\n.*it starts with: 'bin blue'"):
        Pocketsphinx("bin blue").transcribe([np.ones(1600, np.float32)])


def test_signature_depends_on_the_grammar() -> None:
    one, other = Pocketsphinx(GRID), Pocketsphinx(GRID.replace(" | z;", ";"))
    assert one.signature != other.signature
    assert one.signature.startswith("asr:pocketsphinx-5.")
    assert one.signature.endswith("|normalizer:basic-1")


def test_normalizer() -> None:
    assert Pocketsphinx(GRID).normalize("Bin Blue, at F two -- now") == "bin blue at f two now"
