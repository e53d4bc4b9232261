"""System of the reference model: settings, speaker references, failures, fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from f2v_bench.clip import Clip, Waveform
from f2v_bench.datasets.base import Dataset, DatasetOptions
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.face import crops as crops_module
from f2v_bench.face.records import FaceCrops
from f2v_bench.media import write_audio
from f2v_bench.modeling.synthesizer import Synthesizer
from f2v_bench.registry import SYSTEMS
from f2v_bench.runs.build import ModelArgument, ModelChoices, load_systems
from f2v_bench.systems.base import SpeakerReference, SystemOptions
from reference_model.config import Ablation
from reference_model.spec import SPEC
from reference_model.system import FacesToVoicesSystem
from tests.clips import RATE, babble, write_clip
from tests.reference_model.small import SMALL, crops_of, save_small

FRAMES = {"ann/0": 6, "ann/1": 9, "bob/0": 4, "bob/1": 1}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Clip, ...]:
    """Return four clips of two speakers with noise for faces, chosen by the name of the video."""

    def cropped(video: Path, **_: Any) -> FaceCrops:
        if video.stem == "faceless":
            raise ClipFailure(FailureKind.NO_FACE, "nobody there")
        name = f"{video.parent.name}/{video.stem}"
        return crops_of(FRAMES[name], list(FRAMES).index(name))

    monkeypatch.setattr(crops_module, "face_crops", cropped)
    made = []
    for at, name in enumerate(FRAMES):
        audio = tmp_path / f"{name}.wav"
        video = write_clip(tmp_path / f"{name}.mp4", 1 + at / 5).video
        write_audio(audio, Waveform(babble(1 + at / 5, at), RATE))
        made.append(Clip(name, name.split("/")[0], video, audio, "bin blue", "test"))
    return tuple(made)


def build(options: SystemOptions) -> FacesToVoicesSystem:
    system = SPEC.system_class("ours")(options)
    assert isinstance(system, FacesToVoicesSystem)
    return system


def ours(weights: Path, clips: Sequence[Clip] = (), **named: Any) -> FacesToVoicesSystem:
    return build(SystemOptions(clips=clips, weights=str(weights), dataset="demo", **named))


def samples_of(system: FacesToVoicesSystem, clips: Sequence[Clip], seed: int = 0) -> list[np.ndarray[Any, Any]]:
    made = system.synthesize(clips, seed)
    assert all(isinstance(one, Waveform) for one in made), made
    return [one.samples for one in made if isinstance(one, Waveform)]


def same(first: Sequence[np.ndarray[Any, Any]], second: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Return whether samples agree up to rounding of F0, which grows in the phase of the highest harmonics."""
    return all(np.allclose(a, b, atol=2e-3) for a, b in zip(first, second, strict=True))


def test_every_clip_gets_speech_of_the_length_of_its_video(weights: Path, clips: tuple[Clip, ...]) -> None:
    system = ours(weights, clips)
    assert {SYSTEMS.load(name).spec for name in ("ours", "faces-to-voices")} == {SPEC}
    assert {SYSTEMS.load(name).name for name in SPEC.names} == set(SPEC.names)
    made = system.synthesize(clips, 0)
    for one, frames in zip(made, FRAMES.values(), strict=True):
        assert isinstance(one, Waveform)
        assert (one.samples.shape, one.sample_rate) == ((640 * frames,), system.sample_rate)


def test_batch_and_order_do_not_matter_and_the_seed_does(weights: Path, clips: tuple[Clip, ...]) -> None:
    system = ours(weights, clips)
    together = samples_of(system, clips)
    assert same(together, samples_of(system, clips[::-1])[::-1])
    assert same(together, [samples_of(system, [clip])[0] for clip in clips])
    assert same(together, samples_of(ours(weights, clips), clips))
    assert not same(together, samples_of(system, clips, seed=1))


def test_a_clip_without_a_face_leaves_the_others_alone(weights: Path, clips: tuple[Clip, ...]) -> None:
    system = ours(weights, clips)
    faceless = replace(clips[0], id="ann/faceless", video=clips[0].video.with_name("faceless.mp4"))
    first, failure, last = system.synthesize([clips[0], faceless, clips[1]], 0)
    assert isinstance(failure, ClipFailure)
    assert failure.kind == FailureKind.NO_FACE
    assert isinstance(first, Waveform)
    assert isinstance(last, Waveform)
    assert same([first.samples, last.samples], samples_of(system, clips[:2]))
    (only,) = system.synthesize([faceless], 0)
    assert isinstance(only, ClipFailure)


def test_each_model_of_a_run_has_its_own_speaker_reference(
    weights: Path, clips: tuple[Clip, ...], tmp_path: Path
) -> None:
    class Corpus(Dataset):
        name = "demo"
        list_id = "demo/test"

        def clips(self) -> tuple[Clip, ...]:
            return clips

    specs = [ModelArgument(label, "ours", str(weights)) for label in ("face", "audio")]
    settings = {"audio": {"speaker_reference": "same-clip", "steps": "3"}}
    systems = dict(load_systems(specs, Corpus(DatasetOptions()), "cpu", tmp_path, ModelChoices(), settings))
    assert {label: one.speaker_reference for label, one in systems.items()} == {"face": "face", "audio": "same-clip"}
    assert not same(*(samples_of(one, clips[:1]) for one in systems.values() if isinstance(one, FacesToVoicesSystem)))
    settings["audio"]["speaker_reference"] = "mother"
    with pytest.raises(F2VError, match="'ours' cannot take the voice from 'mother'"):
        load_systems(specs, Corpus(DatasetOptions()), "cpu", tmp_path, ModelChoices(), settings)


def test_a_fingerprint_follows_everything_that_changes_the_output(
    weights: Path, clips: tuple[Clip, ...], tmp_path: Path
) -> None:
    other = save_small(tmp_path / "other.safetensors", seed=1)
    copy = save_small(tmp_path / "copy.safetensors")
    clip = clips[0]
    prints = [
        ours(weights, clips).fingerprint(clip, 0),
        ours(weights, clips).fingerprint(clip, 1),
        ours(other, clips).fingerprint(clip, 0),
        *(
            ours(weights, clips, settings=settings).fingerprint(clip, 0)
            for settings in ({"steps": "5"}, {"guidance": "1"}, {"temperature": "0.5"}, {"solver": "heun"})
        ),
        *(
            ours(weights, clips, speaker_reference=reference).fingerprint(clip, 0)
            for reference in ("same-clip", "other-clip")
        ),
    ]
    assert len(set(prints)) == len(prints)
    assert ours(copy, clips).fingerprint(clip, 0) == prints[0]
    assert ours(weights, clips, settings={"steps": str(SMALL.flow.steps)}).fingerprint(clip, 0) == prints[0]
    assert ours(weights, clips, speaker_reference="face").fingerprint(clip, 0) == prints[0]


def test_settings_change_the_output_and_unknown_ones_are_refused(weights: Path, clips: tuple[Clip, ...]) -> None:
    plain = samples_of(ours(weights, clips), clips[:1])
    assert not same(plain, samples_of(ours(weights, clips, settings={"guidance": "3"}), clips[:1]))
    with pytest.raises(F2VError, match="has no setting 'step'") as error:
        ours(weights, settings={"step": "3"})
    assert "did you mean 'steps'" in error.value.do
    with pytest.raises(F2VError, match="'steps' is"):
        ours(weights, settings={"steps": "many"})
    with pytest.raises(F2VError, match="cannot take the voice from 'mother'"):
        ours(weights, speaker_reference="mother")


def test_the_speaker_embedding_is_of_the_clip_or_of_another_one(
    weights: Path, clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake encoder, in place of GE2E, gives each length of recording its own embedding."""

    def embedded(_: Synthesizer, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        embedding = np.zeros(256, np.float32)
        recordings.append(round(len(samples) / RATE * 5) - 5)
        embedding[recordings[-1]] = 1
        return embedding

    recordings: list[int] = []
    monkeypatch.setattr(Synthesizer, "embed_speaker", embedded)
    own = ours(weights, clips, speaker_reference="same-clip")
    assert own.speaker_reference == SpeakerReference.SAME_CLIP
    made = samples_of(own, clips)
    assert recordings == [0, 1, 2, 3]
    assert not same(made, samples_of(ours(weights, clips), clips))
    recordings.clear()
    other = ours(weights, clips, speaker_reference="other-clip")
    assert not same(made, samples_of(other, clips))
    assert recordings == [1, 0, 3, 2]  # the other clip of the same speaker


def test_failures_of_speaker_references_leave_the_other_clips_alone(
    weights: Path, clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Synthesizer, "embed_speaker", lambda *_: np.full(256, 1 / 16, np.float32))
    assert clips[1].audio is not None
    write_audio(clips[1].audio, Waveform(np.zeros(RATE, np.float32), RATE))
    system = ours(weights, clips, speaker_reference="same-clip")
    waveform, silent, *_ = system.synthesize(clips, 0)
    assert isinstance(waveform, Waveform)
    assert isinstance(silent, ClipFailure)
    assert silent.kind == FailureKind.SILENT
    single = ours(weights, clips[:1] + clips[2:], speaker_reference="other-clip")
    single_clip, *others = single.synthesize([clips[0], *clips[2:]], 0)
    assert isinstance(single_clip, ClipFailure)
    assert single_clip.kind == FailureKind.NO_OTHER_CLIP
    assert all(isinstance(one, Waveform) for one in others)
    assert isinstance(single.fingerprint(clips[0], 0), str)


@pytest.mark.parametrize(("ablate", "declared"), [("timbre", "none"), ("hierarchy", "face"), ("prosody", "face")])
def test_ablations_declare_their_speaker_reference(ablate: Ablation, declared: str, tmp_path: Path) -> None:
    file = save_small(tmp_path / "w", replace(SMALL, ablate=ablate))
    assert ours(file).speaker_reference == declared
    assert f"without {ablate}" in ours(file).provenance
    if ablate == "prosody":
        assert ours(file, speaker_reference="same-clip").speaker_reference == "same-clip"
        return
    with pytest.raises(F2VError, match=f"without {ablate} cannot take the voice"):
        ours(file, speaker_reference="same-clip")


def test_weights_may_follow_the_colon_and_missing_ones_are_refused(weights: Path) -> None:
    assert build(SystemOptions(argument=str(weights))).provenance == ours(weights).provenance
    with pytest.raises(F2VError, match="neither a weight file nor"):
        ours(weights.with_name("gone.safetensors"))
    with pytest.raises(F2VError, match="trained on 'lrs9'"):
        build(SystemOptions(dataset="lrs9"))
