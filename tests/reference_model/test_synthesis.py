"""Synthesis: batches, long clips in windows, speaker embeddings, and no dependency on training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2v_bench.face.records import FaceCrops
from f2v_bench.modeling import synthesizer as module
from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.synthesizer import to_waveform
from reference_model.config import FacesToVoicesConfig
from reference_model.spec import SPEC
from reference_model.synthesis import FacesToVoicesSynthesizer
from tests.reference_model.small import SMALL, crops_of, save_small

#: what the last bit of a contour becomes in the phase of the highest harmonics
PHASE = 2e-3
FLOW: dict[str, Any] = {"steps": 2, "solver": "euler", "guidance": 1.5, "temperature": 0.7}


def synthesizer(folder: Path, config: FacesToVoicesConfig = SMALL, *, vocoder: bool = True) -> FacesToVoicesSynthesizer:
    checkpoint = SPEC.checkpoint(save_small(folder / "w.safetensors", config, vocoder=vocoder))
    return FacesToVoicesSynthesizer(checkpoint, FLOW, "cpu")


def rngs(seeds: Sequence[int]) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def outputs(speaker: FacesToVoicesSynthesizer, crops: Sequence[FaceCrops]) -> list[ModelOutput]:
    """Return the vocoder's inputs, clip ``i`` with noise of its own."""
    found: list[ModelOutput] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speaker, "vocode", lambda output, rng: found.append(output))
        speaker.synthesize(crops, rngs(range(len(crops))))
    return found


def mels(speaker: FacesToVoicesSynthesizer, crops: Sequence[FaceCrops]) -> list[NDArray[Any]]:
    """Return the mels of ``outputs``."""
    return [output.mel.numpy() for output in outputs(speaker, crops)]


def test_a_clip_alone_is_the_clip_in_a_batch(tmp_path: Path) -> None:
    speaker = synthesizer(tmp_path)
    crops = [crops_of(frames, seed) for seed, frames in enumerate((9, 4, 12, 1))]
    together = speaker.synthesize(crops, rngs(range(4)))
    assert [len(one) for one in together] == [640 * len(one.lips) for one in crops]
    for at, one in enumerate(crops):
        (once,) = speaker.synthesize([one], rngs([at]))
        assert once.dtype == np.float32
        assert np.abs(once).max() <= 1
        assert np.abs(once).std() > 1e-4
        np.testing.assert_allclose(together[at], once, atol=PHASE)


def test_the_order_of_clips_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUDGET", 12)  # several groups
    speaker = synthesizer(tmp_path)
    crops = [crops_of(frames, seed) for seed, frames in enumerate((5, 3, 7, 2, 6))]
    forth = speaker.synthesize(crops, rngs(range(5)))
    back = speaker.synthesize(crops[::-1], rngs(range(5))[::-1])[::-1]
    for one, other in zip(forth, back, strict=True):
        np.testing.assert_allclose(one, other, atol=PHASE)


def test_the_noise_depends_on_the_generator(tmp_path: Path) -> None:
    speaker, crops = synthesizer(tmp_path), [crops_of(6)]
    first, again, other = (speaker.synthesize(crops, rngs([seed]))[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)


def test_griffin_lim_replaces_a_missing_vocoder(tmp_path: Path) -> None:
    speaker = synthesizer(tmp_path, vocoder=False)
    assert speaker.vocoder is None
    (samples,) = speaker.synthesize([crops_of(5)], rngs([0]))
    assert samples.shape == (3200,)
    assert np.isfinite(samples).all()


def test_a_speaker_embedding_replaces_the_face(tmp_path: Path) -> None:
    speaker = synthesizer(tmp_path)
    crops = [crops_of(6), crops_of(6)]
    voice = np.zeros(256, np.float32)
    voice[3] = 1
    reversed_face = replace(crops[0], face=crops[0].face[::-1].copy())
    made, other = (speaker.synthesize([one], rngs([0]), [voice])[0] for one in (crops[0], reversed_face))
    assert not np.allclose(made, speaker.synthesize([crops[0]], rngs([0]))[0], atol=1e-3)
    assert not np.allclose(made, speaker.synthesize([crops[0]], rngs([0]), [np.roll(voice, 1)])[0], atol=1e-3)
    assert not np.allclose(made, other, atol=1e-4)  # the expression is still the face's


def windowed(monkeypatch: pytest.MonkeyPatch, window: int, overlap: int) -> None:
    monkeypatch.setattr(module, "WINDOW", window)
    monkeypatch.setattr(module, "OVERLAP", overlap)


#: layers with a limited receptive field: no attention, no mean over time
LOCAL = replace(
    SMALL,
    ablate="prosody",
    lips=replace(SMALL.lips, layers=0),
    flow=replace(SMALL.flow, blocks=0, depth=0),
)


def test_a_long_clip_equals_the_whole_away_from_the_edges_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Convolutions alone, so that away from the windows' edges the two are one; at the seams nothing jumps."""
    speaker, crops = synthesizer(tmp_path, LOCAL), [crops_of(148), crops_of(20, 1)]
    whole, short = mels(speaker, crops)
    windowed(monkeypatch, 60, 16)
    pieces, also_short = mels(speaker, crops)
    assert pieces.shape == whole.shape == (592, 80)
    np.testing.assert_allclose(also_short, short, atol=1e-4)
    differs = np.abs(pieces - whole).max(1) > 1e-4
    shared = np.zeros(592, bool)
    for first, end in ((44, 60), (88, 104)):  # video frames that two windows share
        shared[4 * first : 4 * end] = True
    assert not differs[~shared].any()
    assert differs[shared].any()  # a window lacks context at its very edges


def test_no_window_starts_with_a_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With attention, windows differ; cross-faded, no step at a seam is larger than the steps elsewhere."""
    speaker, crops = synthesizer(tmp_path), [crops_of(148)]
    (whole,) = mels(speaker, crops)
    windowed(monkeypatch, 60, 16)
    (pieces,) = mels(speaker, crops)
    steps = np.abs(np.diff(pieces, axis=0)).mean(1)
    usual = np.abs(np.diff(whole, axis=0)).mean(1)
    edges = [4 * frame - 1 for frame in (44, 60, 88, 104)]
    assert steps[edges].max() <= 1.2 * usual.max()
    assert np.corrcoef(pieces.ravel(), whole.ravel())[0, 1] > 0.9


def test_long_and_short_clips_share_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windowed(monkeypatch, 10, 4)
    speaker = synthesizer(tmp_path)
    crops = [crops_of(frames, seed) for seed, frames in enumerate((10, 23, 3, 11))]
    together = speaker.synthesize(crops, rngs(range(4)))
    for at, one in enumerate(crops):
        np.testing.assert_allclose(together[at], speaker.synthesize([one], rngs([at]))[0], atol=PHASE)


@pytest.mark.slow
def test_inference_imports_no_lightning_and_the_system_class_no_torch(tmp_path: Path) -> None:
    """In a process of its own in which the package for training cannot be imported."""
    weights = save_small(tmp_path / "w.safetensors")
    code = """
import sys
for name in ("lightning", "pytorch_lightning", "torchmetrics", "tensorboard", "sklearn.cluster"):
    sys.modules[name] = None
from reference_model.spec import SPEC
system_class = SPEC.system_class()
assert "torch" not in sys.modules
from f2v_bench.systems.base import SystemOptions
from tests.reference_model.small import crops_of
system = system_class(SystemOptions(weights=sys.argv[1]))
(waveform,) = system.synthesize_crops([crops_of(5)], ["somebody"], 0)
print(len(waveform.samples), waveform.sample_rate)
"""
    done = subprocess.run([sys.executable, "-c", code, str(weights)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3200", "16000"]


def test_a_long_clip_keeps_its_f0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log F0 and the probability of voicing are cross-faded, not Hz with zeros between."""
    windowed(monkeypatch, 60, 16)
    speaker = synthesizer(tmp_path)
    given: list[NDArray[np.float32] | None] = []
    monkeypatch.setattr(module, "vocode", lambda _, mel, f0: given.append(f0) or np.zeros(160 * len(mel), np.float32))
    crops = [crops_of(100), crops_of(9)]
    found = outputs(speaker, crops)
    speaker.synthesize(crops, rngs(range(2)))
    for output, f0, frames in zip(found, given, (400, 36), strict=True):
        assert output.log_f0 is not None
        assert output.voicing is not None
        assert output.log_f0.shape == output.voicing.shape == (frames,)
        assert ((output.voicing >= 0) & (output.voicing <= 1)).all()
        assert f0 is not None
        voiced = (output.voicing > 0.5).numpy()
        np.testing.assert_allclose(f0[voiced], np.exp(output.log_f0.numpy()[voiced]), rtol=1e-6)
        assert not f0[~voiced].any()


def test_the_vocoder_follows_the_predicted_f0(tmp_path: Path) -> None:
    """Another F0 contour under the same mel gives other samples; without one the vocoder estimates it."""
    vocoder = synthesizer(tmp_path).vocoder
    mel = torch.full((40, 80), -4.0)

    def output(hertz: float) -> ModelOutput:
        return ModelOutput(mel, torch.full((40,), float(np.log(hertz))), torch.full((40,), 0.9))

    low, high, own = (to_waveform(one, vocoder, rngs([0])[0]) for one in (output(100), output(200), ModelOutput(mel)))
    assert not np.allclose(low, high, atol=1e-3)
    assert own.shape == low.shape == (6400,)
