from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.media import clip_audio
from f2v_bench.nn.losses.units import IGNORE_INDEX
from f2v_bench.training.data.alignment import PHONES, align_phones
from tests.training.toys import demo_clips

#: words of the demo corpus with their first pronunciation in the CMU dictionary
WORDS = {
    "bin": "B IH N", "lay": "L EY", "place": "P L EY S", "set": "S EH T",
    "blue": "B L UW", "green": "G R IY N", "red": "R EH D", "white": "W AY T",
    "again": "AH G EH N", "now": "N AW", "please": "P L IY Z", "soon": "S UW N",
}  # fmt: skip


def phone_sequence(labels: NDArray[np.int64]) -> list[str]:
    """Return the phonemes in order without repetitions and silence."""
    return [PHONES[at] for at, _ in itertools.groupby(labels.tolist()) if PHONES[at] != "SIL"]


def test_a_transcript_is_aligned_with_its_audio() -> None:
    """Silence at both ends, phonemes of the first two words at the start, those of the last word at the end."""
    for clip in demo_clips(3):
        assert clip.text
        samples = clip_audio(clip, 16_000).samples
        count = 2 * (len(samples) // 640)
        labels = align_phones(samples, clip.text, count)
        assert labels.shape == (count,)
        assert PHONES[labels[0]] == PHONES[labels[-1]] == "SIL"
        first, second, *_, last = clip.text.split()
        found = phone_sequence(labels)
        start = f"{WORDS[first]} {WORDS[second]}".split()
        assert found[: len(start)] == start
        ending = WORDS[last].split()
        assert [one for one in found[-len(ending) :] if one in ending] == ending or last == "again"
        assert 0.3 < float((labels > 0).mean()) < 0.95


def test_alignment_does_not_depend_on_the_previous_clip() -> None:
    one, other = demo_clips(2)
    waves = [clip_audio(clip, 16_000).samples for clip in (one, other)]
    before = align_phones(waves[0], one.text, 100)
    align_phones(waves[1], other.text, 100)
    np.testing.assert_array_equal(align_phones(waves[0], one.text, 100), before)


@pytest.mark.parametrize("text", [None, "", "bin xqzzy now"])
def test_texts_that_cannot_be_aligned_have_no_labels(text: str | None) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000).astype(np.float32)
    labels = align_phones(noise, text, 50)
    assert labels.shape == (50,)
    assert (labels == IGNORE_INDEX).all()


def test_a_clip_too_short_for_its_text_has_no_labels() -> None:
    labels = align_phones(np.zeros(1600, np.float32), "place green by f two again", 5)
    assert (labels == IGNORE_INDEX).all()


def test_phones_are_those_of_the_dictionary() -> None:
    assert len(set(PHONES)) == len(PHONES) == 40
    assert PHONES[0] == "SIL"


def test_case_of_the_transcript_does_not_matter() -> None:
    (clip,) = demo_clips(1)
    assert clip.text
    samples = clip_audio(clip, 16_000).samples
    np.testing.assert_array_equal(align_phones(samples, clip.text.upper(), 100), align_phones(samples, clip.text, 100))
