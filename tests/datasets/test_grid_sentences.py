from __future__ import annotations

import csv
import hashlib
import itertools
import re
from pathlib import Path

import pytest

from f2v_bench.datasets import grid_sentences as grid
from f2v_bench.errors import F2VError


def test_every_sentence_of_the_grammar_survives_the_code_and_back() -> None:
    codes = set()
    for words in itertools.product(*(words for _, words in grid.PLACES)):
        text = " ".join(words)
        code = grid.encode_sentence(text)
        assert grid.decode_sentence(code) == text
        codes.add(code)
    assert len(codes) == 4 * 4 * 4 * 25 * 10 * 4  # the 64,000 sentences of the corpus paper, each with its own code


def test_codes_agree_with_the_transcripts_of_the_corpus(shared: Path) -> None:
    for name in ("s1.csv", "original.csv"):
        with (shared / "data" / "grid" / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert grid.decode_sentence(row["clip_id"]) == row["transcript"]
                assert grid.encode_sentence(row["transcript"]) == row["clip_id"]


def test_case_does_not_matter() -> None:
    assert grid.decode_sentence("SGWZZA") == "set green with z zero again"
    assert grid.encode_sentence("Set Green  with Z zero again") == "sgwzza"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("bbaf2", "5 characters"),
        ("bbaf2nn", "7 characters"),
        ("xbaf2n", "no command has the code 'x'"),
        ("bxaf2n", f"no {grid.PLACES[1][0]}"),
        ("bbxf2n", "no preposition"),
        ("bbaw2n", "no letter has the code 'w'"),
        ("bbaf0n", "no digit has the code '0'"),
        ("bbaf2x", "no adverb"),
        ("", "0 characters"),
    ],
)
def test_a_wrong_code_is_named(code: str, what: str) -> None:
    with pytest.raises(F2VError, match=what):
        grid.decode_sentence(code)


@pytest.mark.parametrize(("text", "what"), [("bin blue at f two", "5 words"), ("bin blue at w two now", "'w' is no")])
def test_a_wrong_sentence_is_named(text: str, what: str) -> None:
    with pytest.raises(F2VError, match=what):
        grid.encode_sentence(text)


def test_the_grammar_holds_exactly_the_words() -> None:
    rules = dict(re.findall(r"^<(\w+)> = (.*);$", grid.JSGF, flags=re.MULTILINE))
    assert {place: tuple(rule.split(" | ")) for place, rule in rules.items()} == dict(grid.PLACES)
    order = re.findall(r"<(\w+)>", grid.JSGF.partition("public <sentence> = ")[2].partition(";")[0])
    assert order == [place for place, _ in grid.PLACES]
    assert hashlib.sha256(grid.JSGF.encode()).hexdigest().startswith("93a906d41008")  # part of released signatures


def test_pocketsphinx_accepts_the_grammar_and_has_its_words(tmp_path: Path) -> None:
    from pocketsphinx import Decoder

    path = tmp_path / "grid.jsgf"
    path.write_text(grid.JSGF)
    decoder = Decoder(jsgf=str(path), loglevel="FATAL")
    assert all(decoder.lookup_word(word) for _, words in grid.PLACES for word in words)
