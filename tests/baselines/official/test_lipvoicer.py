"""``lipvoicer`` with a stand-in that has the pitfalls of the published code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.official.lipvoicer import LipVoicer
from f2v_bench.api import load_dataset
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import F2VError, FailureKind
from f2v_bench.runs.build import ModelArgument, ModelChoices, load_systems
from f2v_bench.runs.executor import run
from f2v_bench.runs.folder import RunFolder
from f2v_bench.runs.spec import RunSpec
from f2v_bench.systems.base import SpeakerReference, SystemOptions, clip_generator
from tests.baselines.official.checkouts import environment, lipvoicer
from tests.baselines.official.conftest import Notes, kinds
from tests.clips import write_clip, write_timed_video
from tests.runs.toys import RecordedProgress

Make = Callable[..., LipVoicer]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return lipvoicer(tmp_path / "LipVoicer")


@pytest.fixture
def make(tmp_path: Path, repository: Path) -> Make:
    def made(clips: Sequence[Clip] = (), device: str = "cpu", **settings: str) -> LipVoicer:
        every = {"python": environment(tmp_path / "env/bin"), **settings}
        return LipVoicer(SystemOptions(clips, str(repository), device, tmp_path / "work", settings=every))

    return made


def level(outcome: Any) -> float:
    assert isinstance(outcome, Waveform), outcome
    return float(outcome.samples.mean())


def test_each_silent_video_has_its_own_seed(make: Make, filmed: tuple[Clip, ...], notes: Notes) -> None:
    system = make(filmed)
    assert (system.speaker_reference, system.batch_size) == (SpeakerReference.FACE, 1)
    first, again, other = (system.synthesize([clip], 5)[0] for clip in (filmed[0], filmed[0], filmed[1]))
    assert isinstance(first, Waveform)
    assert first.samples.shape == (640 * 25,)
    assert level(first) == level(again) != level(other)
    assert level(system.synthesize([filmed[0]], 6)[0]) != level(first)
    drawn = notes()[0]["drawn"]
    assert drawn[2] == clip_generator(5, filmed[0].id).integers(2**31 - 1)
    assert drawn[1] == np.random.RandomState(drawn[2]).random_sample()
    assert [one["frames"] for one in notes()] == [25, 25, 30, 25]


def test_guidance_and_gpu_are_passed_on(make: Make, filmed: tuple[Clip, ...], notes: Notes) -> None:
    system = make(filmed, device="cuda:3", w_asr="0", asr_start="100")
    assert kinds(system.synthesize(filmed[:1], 0)) == ["ok"]
    assert (notes()[0]["weights"], notes()[0]["cuda"]) == (["2", "0", "100"], "3")
    prints = [make(filmed, **own).fingerprint(filmed[0], 0) for own in ({}, {"w_asr": "0"}, {"w_video": "1"})]
    assert len(set(prints)) == 3
    assert make(filmed, w_video="2.0", asr_start="270").fingerprint(filmed[0], 0) == prints[0]


def test_every_weight_file_counts(make: Make, filmed: tuple[Clip, ...], repository: Path) -> None:
    prints = [make(filmed).fingerprint(filmed[0], 0)]
    for part in ("models/LRS3_V_WER19.1", "language_models/lm_en_subword"):  # files of one name
        (repository / "mouthroi_processing/benchmarks/LRS3" / part / "model.pth").write_text(f"other {part}")
        prints.append(make(filmed).fingerprint(filmed[0], 0))
    assert len(set(prints)) == 3
    assert "1000000.pkl (" in make(filmed).provenance
    assert "8 files more" in make(filmed).provenance


def test_videos_of_another_rate_are_converted_before(make: Make, notes: Notes, tmp_path: Path) -> None:
    video = tmp_path / "thirty.mkv"
    write_timed_video(video, [number / 30 for number in range(36)])
    clip = Clip("a/thirty", "a", video, None, None, "test")
    (outcome,) = make([clip]).synthesize([clip], 0)
    assert isinstance(outcome, Waveform)
    assert outcome.samples.shape == (640 * 30,)
    assert notes()[0]["frames"] == 30


def test_an_unsuitable_video_fails_with_a_kind(make: Make, notes: Notes, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "a/short.mp4", 11 / 25)
    absent = replace(short, id="a/none", video=tmp_path / "a/none.mp4")
    system = make([short])
    assert kinds(system.synthesize([short], 0) + system.synthesize([absent], 0)) == [
        FailureKind.TOO_SHORT,
        FailureKind.FILE_MISSING,
    ]
    assert notes() == []


def test_all_missing_requirements_are_named_before_the_first_clip(make: Make, tmp_path: Path, repository: Path) -> None:
    gone = ("ASR/media/6gram_lrs23.arpa", "hifi_gan/g_02400000", "exp")
    (repository / gone[0]).unlink()
    (repository / gone[1]).unlink()
    python = environment(tmp_path / "bare/bin", without=("ctcdecode", "ibug.face_alignment", "ffmpeg"))
    with pytest.raises(F2VError) as error:
        make(python=python, checkpoint="LRS2/1000000.pkl")
    for word in (*gone[:2], "LRS2/1000000.pkl", "has no ctcdecode", "has no ibug.face_alignment", "has no ffmpeg"):
        assert word in error.value.what
    assert "download_checkpoints.py" in error.value.do
    with pytest.raises(F2VError, match="no setting 'batch_size'"):
        make(batch_size="8")
    with pytest.raises(F2VError, match="'w_video' is 'much', not a number"):
        make(w_video="much")


@pytest.mark.slow
def test_a_run_keeps_what_is_done_and_names_what_failed(notes: Notes, repository: Path, tmp_path: Path) -> None:
    for name, seconds in (("0", 1.0), ("1", 0.4)):
        write_clip(tmp_path / "videos/ann" / f"{name}.mp4", seconds)
    settings = {"lv": {"python": str(environment(tmp_path / "env/bin"))}}
    summaries = []
    for _ in range(2):
        dataset = load_dataset("folder", root=tmp_path / "videos")
        model = ModelArgument.parse(f"lv=lipvoicer:{repository}")
        systems = load_systems([model], dataset, "cpu", tmp_path / "run", ModelChoices(), settings)
        spec = RunSpec(dataset, dataset.clips(), 2, systems, [], [], 3, "cpu", [])
        summaries.append(run(spec, RunFolder(tmp_path / "run"), RecordedProgress()))
    assert [summary.synthesized for summary in summaries] == [2, 0]
    assert {kind: list(where) for kind, where in summaries[1].failures.items()} == {"too_short": ["lv/ann/1"]}
    assert len(notes()) == 1
    assert RunFolder(tmp_path / "run").manifest()["systems"][0]["speaker_reference"] == "face"
    assert (tmp_path / "run/work/lv/log.txt").is_file()
