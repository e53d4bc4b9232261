"""Synthesis: batches, long clips in windows, voices, and no need of what only training needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.face.crops import FaceCrops
from f2v_bench.modeling import synthesizer as module
from f2v_bench.modeling.synthesizer import Speech, to_waveform
from reference_model.config import FacesToVoicesConfig
from reference_model.spec import Weights
from reference_model.synthesis import FacesToVoicesSynthesizer
from tests.reference_model.small import SMALL, crops_of, save_small

#: what the last bit of a contour becomes in the phase of the highest harmonics
PHASE = 2e-3
FLOW: dict[str, Any] = {"steps": 2, "solver": "euler", "guidance": 1.5, "temperature": 0.7}


def synthesizer(folder: Path, config: FacesToVoicesConfig = SMALL, *, vocoder: bool = True) -> FacesToVoicesSynthesizer:
    return FacesToVoicesSynthesizer(Weights(save_small(folder / "w.safetensors", config, vocoder=vocoder)), FLOW, "cpu")


def rngs(seeds: Sequence[int]) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def mels(
    speaker: FacesToVoicesSynthesizer, crops: Sequence[FaceCrops], monkeypatch: pytest.MonkeyPatch
) -> list[NDArray[Any]]:
    """What comes before the vocoder, clip ``i`` with noise of its own."""
    monkeypatch.setattr(module, "sound", lambda speech, *_: speech.mel)
    return speaker.speak(crops, rngs(range(len(crops))))


def test_a_clip_alone_is_the_clip_in_a_batch(tmp_path: Path) -> None:
    speaker = synthesizer(tmp_path)
    crops = [crops_of(frames, seed) for seed, frames in enumerate((9, 4, 12, 1))]
    together = speaker.speak(crops, rngs(range(4)))
    assert [len(one) for one in together] == [640 * len(one.lips) for one in crops]
    for at, one in enumerate(crops):
        (once,) = speaker.speak([one], rngs([at]))
        assert once.dtype == np.float32
        assert np.abs(once).max() <= 1
        assert np.abs(once).std() > 1e-4
        np.testing.assert_allclose(together[at], once, atol=PHASE)


def test_the_order_of_clips_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUDGET", 12)  # several groups
    speaker = synthesizer(tmp_path)
    crops = [crops_of(frames, seed) for seed, frames in enumerate((5, 3, 7, 2, 6))]
    forth = speaker.speak(crops, rngs(range(5)))
    back = speaker.speak(crops[::-1], rngs(range(5))[::-1])[::-1]
    for one, other in zip(forth, back, strict=True):
        np.testing.assert_allclose(one, other, atol=PHASE)


def test_the_generator_decides_the_noise(tmp_path: Path) -> None:
    speaker, crops = synthesizer(tmp_path), [crops_of(6)]
    first, again, other = (speaker.speak(crops, rngs([seed]))[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)


def test_without_a_vocoder_griffin_lim_speaks(tmp_path: Path) -> None:
    speaker = synthesizer(tmp_path, vocoder=False)
    assert speaker.vocoder is None
    (samples,) = speaker.speak([crops_of(5)], rngs([0]))
    assert samples.shape == (3200,)
    assert np.isfinite(samples).all()


def test_a_voice_takes_the_place_of_all_faces(tmp_path: Path) -> None:
    speaker = synthesizer(tmp_path)
    crops = [crops_of(6), crops_of(6)]
    voice = np.zeros(256, np.float32)
    voice[3] = 1
    shown = replace(crops[0], face=crops[0].face[::-1].copy())
    said, hidden = (speaker.speak([one], rngs([0]), [voice])[0] for one in (crops[0], shown))
    assert not np.allclose(said, speaker.speak([crops[0]], rngs([0]))[0], atol=1e-3)
    assert not np.allclose(said, speaker.speak([crops[0]], rngs([0]), [np.roll(voice, 1)])[0], atol=1e-3)
    assert not np.allclose(said, hidden, atol=1e-4)  # the expression is still the face's


def windowed(monkeypatch: pytest.MonkeyPatch, window: int, overlap: int) -> None:
    monkeypatch.setattr(module, "WINDOW", window)
    monkeypatch.setattr(module, "OVERLAP", overlap)


#: nothing that hears a whole clip at once: no attention, no mean over time
LOCAL = replace(
    SMALL,
    ablate="prosody",
    lips=replace(SMALL.lips, layers=0),
    flow=replace(SMALL.flow, blocks=0, depth=0),
)


def test_a_long_clip_equals_the_whole_where_windows_know_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Convolutions alone, so that away from the windows' edges the two are one; at the seams nothing jumps."""
    speaker, crops = synthesizer(tmp_path, LOCAL), [crops_of(148), crops_of(20, 1)]
    whole, short = mels(speaker, crops, monkeypatch)
    windowed(monkeypatch, 60, 16)
    pieces, also_short = mels(speaker, crops, monkeypatch)
    assert pieces.shape == whole.shape == (592, 80)
    np.testing.assert_allclose(also_short, short, atol=1e-4)
    differs = np.abs(pieces - whole).max(1) > 1e-4
    shared = np.zeros(592, bool)
    for first, end in ((44, 60), (88, 104)):  # video frames that two windows share
        shared[4 * first : 4 * end] = True
    assert not differs[~shared].any()
    assert differs[shared].any()  # at its very edges a window knows less


def test_no_window_begins_with_a_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With attention and expression, windows differ; faded, no step at a seam is larger than steps elsewhere are."""
    speaker, crops = synthesizer(tmp_path), [crops_of(148)]
    (whole,) = mels(speaker, crops, monkeypatch)
    windowed(monkeypatch, 60, 16)
    (pieces,) = mels(speaker, crops, monkeypatch)
    steps = np.abs(np.diff(pieces, axis=0)).mean(1)
    usual = np.abs(np.diff(whole, axis=0)).mean(1)
    edges = [4 * frame - 1 for frame in (44, 60, 88, 104)]
    assert steps[edges].max() <= 1.2 * usual.max()
    assert np.corrcoef(pieces.ravel(), whole.ravel())[0, 1] > 0.9


def test_long_and_short_clips_share_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windowed(monkeypatch, 10, 4)
    speaker = synthesizer(tmp_path)
    crops = [crops_of(frames, seed) for seed, frames in enumerate((10, 23, 3, 11))]
    together = speaker.speak(crops, rngs(range(4)))
    for at, one in enumerate(crops):
        np.testing.assert_allclose(together[at], speaker.speak([one], rngs([at]))[0], atol=PHASE)


def test_inference_needs_no_lightning_and_opening_the_system_no_torch(tmp_path: Path) -> None:
    """In a process of its own in which the package for training cannot be imported."""
    weights = save_small(tmp_path / "w.safetensors")
    code = """
import sys
for name in ("lightning", "pytorch_lightning", "torchmetrics", "tensorboard", "sklearn.cluster"):
    sys.modules[name] = None
import reference_model.system
assert "torch" not in sys.modules
from f2v_bench.systems.base import SystemOptions
from tests.reference_model.small import crops_of
ours = reference_model.system.Ours(SystemOptions(weights=sys.argv[1]))
(spoken,) = ours.synthesize_crops([crops_of(5)], ["somebody"], 0)
print(len(spoken.samples), spoken.sample_rate)
"""
    done = subprocess.run([sys.executable, "-c", code, str(weights)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3200", "16000"]


def test_a_long_clip_keeps_its_melody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log F0 and the probability of voicing are faded, not Hz with zeros between."""
    windowed(monkeypatch, 60, 16)
    speaker = synthesizer(tmp_path)
    heard: list[Speech] = []
    monkeypatch.setattr(module, "sound", lambda speech, *_: heard.append(speech))
    speaker.speak([crops_of(100), crops_of(9)], rngs(range(2)))
    for speech, frames in zip(heard, (400, 36), strict=True):
        assert speech.melody is not None
        assert speech.melody.shape == (frames, 2)
        assert ((speech.melody[:, 1] >= 0) & (speech.melody[:, 1] <= 1)).all()
        assert speech.f0 is not None
        said = speech.melody[:, 1] > 0.5
        np.testing.assert_allclose(speech.f0[said], np.exp(speech.melody[said, 0]), rtol=1e-6)
        assert not speech.f0[~said].any()


def test_the_vocoder_is_given_the_melody(tmp_path: Path) -> None:
    """Another contour under the same mel sounds different; without one the vocoder hears the mel's own."""
    vocoder = synthesizer(tmp_path).vocoder
    mel = np.full((40, 80), -4, np.float32)

    def melody(hertz: float) -> NDArray[np.float32]:
        return np.tile(np.array([[np.log(hertz), 0.9]], np.float32), (40, 1))

    low, high, own = (to_waveform(Speech(mel, one), vocoder, rngs([0])[0]) for one in (melody(100), melody(200), None))
    assert not np.allclose(low, high, atol=1e-3)
    assert own.shape == low.shape == (6400,)
