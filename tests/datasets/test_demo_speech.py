from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

from f2v_bench.datasets.demo.speech import Delivery, Voice, ssml, synthesize_speech
from f2v_bench.datasets.demo.traits import Traits
from f2v_bench.datasets.grid_sentences import LETTERS
from f2v_bench.errors import F2VError

VOICE = Voice(pitch_hz=150, formants=1.03, brightness=0, roughness=0.5, breath=0.5, rate_wpm=112)
PLAIN = Delivery(pitch=0, liveliness=1, tempo=1, effort=0.5, emphasis=None)


def pitch_hz(voice: Voice, delivery: Delivery) -> float:
    import pyworld

    speech = synthesize_speech("lay green in m nine now", voice, delivery).waveform
    f0, _ = pyworld.dio(speech.samples.astype(np.float64), speech.sample_rate)
    return float(np.median(f0[f0 > 0]))


@pytest.fixture
def espeak() -> None:
    pytest.importorskip("espeakng_loader", reason="uv sync --extra demo")


@pytest.mark.usefixtures("espeak")
def test_equal_arguments_give_equal_samples() -> None:
    first, second = (synthesize_speech("bin blue at f two now", VOICE, PLAIN, seed=3) for _ in range(2))
    assert first.waveform.sha256 == second.waveform.sha256
    assert first.phones == second.phones
    other = synthesize_speech("bin blue at f two now", VOICE, PLAIN, seed=4)
    assert other.waveform.sha256 != first.waveform.sha256  # the seed drives breath noise


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("emphasis", [None, 0, 3, 5])
@pytest.mark.parametrize("sentence", ["bin green in l nine now", "set white with a eight again"])
def test_phonemes_fill_the_speech_and_belong_to_their_words(sentence: str, emphasis: int | None) -> None:
    speech = synthesize_speech(sentence, VOICE, Delivery(0, 1, 1, 0.5, emphasis))
    phones = [phone for phone in speech.phones if phone.word >= 0]
    assert [phone.word for phone in phones] == sorted(phone.word for phone in phones)
    assert {phone.word for phone in phones} == set(range(6))
    assert phones[0].start_s == 0
    assert phones[-1].end_s == pytest.approx(speech.waveform.duration_s, abs=0.01)
    for before, after in pairwise(speech.phones):
        assert before.start_s < before.end_s == pytest.approx(after.start_s)
    last = {word: [phone.name for phone in phones if phone.word == word][-1] for word in range(6)}
    if sentence.startswith("bin"):
        assert [last[word] for word in range(5)] == ["n", "n", "n", "l", "n"]


@pytest.mark.usefixtures("espeak")
def test_pitch_follows_voice_and_delivery() -> None:
    assert pitch_hz(VOICE, PLAIN) == pytest.approx(150, rel=0.08)
    deep = Traits(size=1, length=0, fullness=0, age=0, vigor=0).voice()
    assert pitch_hz(deep, PLAIN) == pytest.approx(deep.pitch_hz, rel=0.08)
    raised = pitch_hz(VOICE, Delivery(4, 1, 1, 0.5, None)) / pitch_hz(VOICE, PLAIN)
    assert 12 * np.log2(raised) == pytest.approx(4, abs=1)


@pytest.mark.usefixtures("espeak")
def test_effort_and_tempo_change_the_speech() -> None:
    soft, loud = (
        synthesize_speech("place red by t six soon", VOICE, Delivery(0, 1, 1, effort, None)) for effort in (0.1, 1.0)
    )
    assert np.std(loud.waveform.samples) > 1.3 * np.std(soft.waveform.samples)
    slow, fast = (
        synthesize_speech("place red by t six soon", VOICE, Delivery(0, 1, tempo, 0.5, None)) for tempo in (0.9, 1.1)
    )
    assert slow.waveform.duration_s > 1.05 * fast.waveform.duration_s


def test_letters_become_phonemes() -> None:
    for letter in LETTERS:
        assert "[['" in ssml(f"bin blue at {letter} two now", PLAIN).split('name="3"/>')[1].split("<mark")[0]


def test_heavier_faces_have_lower_voices() -> None:
    voices = [Traits(size, 0, 0, 0, 0).voice() for size in np.linspace(-1, 1, 9)]
    assert all(a.pitch_hz > b.pitch_hz and a.formants > b.formants for a, b in pairwise(voices))


def test_without_espeak_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(F2VError, match="uv sync --extra demo"):
        synthesize_speech("bin blue at f two now", VOICE, PLAIN)
