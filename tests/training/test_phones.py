from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.media import clip_audio
from f2v_bench.nn.losses.units import IGNORE_INDEX
from f2v_bench.training.data.alignment import PHONES, align_phones
from tests.training.toys import demo_clips

#: words of the demo's sentences as the CMU dictionary says them first
WORDS = {
    "bin": "B IH N", "lay": "L EY", "place": "P L EY S", "set": "S EH T",
    "blue": "B L UW", "green": "G R IY N", "red": "R EH D", "white": "W AY T",
    "again": "AH G EH N", "now": "N AW", "please": "P L IY Z", "soon": "S UW N",
}  # fmt: skip


def spoken(labels: NDArray[np.int64]) -> list[str]:
    """Phonemes in order, each once, without silence."""
    return [PHONES[at] for at, _ in itertools.groupby(labels.tolist()) if PHONES[at] != "SIL"]


def test_a_transcript_is_found_in_the_sound() -> None:
    """Silence at both ends, the first two words' phonemes at the beginning, the last word's at the end."""
    for clip in demo_clips(3):
        assert clip.text
        samples = clip_audio(clip, 16_000).samples
        count = 2 * (len(samples) // 640)
        labels = align_phones(samples, clip.text, count)
        assert labels.shape == (count,)
        assert PHONES[labels[0]] == PHONES[labels[-1]] == "SIL"
        first, second, *_, last = clip.text.split()
        found = spoken(labels)
        beginning = f"{WORDS[first]} {WORDS[second]}".split()
        assert found[: len(beginning)] == beginning
        ending = WORDS[last].split()
        assert [one for one in found[-len(ending) :] if one in ending] == ending or last == "again"
        assert 0.3 < float((labels > 0).mean()) < 0.95


def test_alignment_forgets_the_clip_before() -> None:
    one, other = demo_clips(2)
    waves = [clip_audio(clip, 16_000).samples for clip in (one, other)]
    before = align_phones(waves[0], one.text, 100)
    align_phones(waves[1], other.text, 100)
    np.testing.assert_array_equal(align_phones(waves[0], one.text, 100), before)


@pytest.mark.parametrize("text", [None, "", "bin xqzzy now"])
def test_what_cannot_be_aligned_is_unknown(text: str | None) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000).astype(np.float32)
    labels = align_phones(noise, text, 50)
    assert labels.shape == (50,)
    assert (labels == IGNORE_INDEX).all()


def test_a_clip_too_short_for_its_words_is_unknown() -> None:
    labels = align_phones(np.zeros(1600, np.float32), "place green by f two again", 5)
    assert (labels == IGNORE_INDEX).all()


def test_phones_are_those_of_the_dictionary() -> None:
    assert len(set(PHONES)) == len(PHONES) == 40
    assert PHONES[0] == "SIL"


def test_upper_case_transcripts_say_the_same() -> None:
    (clip,) = demo_clips(1)
    assert clip.text
    samples = clip_audio(clip, 16_000).samples
    np.testing.assert_array_equal(align_phones(samples, clip.text.upper(), 100), align_phones(samples, clip.text, 100))
