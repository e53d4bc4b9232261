from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.systems.base import SystemOptions
from f2v_bench.systems.precomputed import Precomputed, match_files
from tests.clips import RATE, tone


def wav(path: Path, hertz: float = 220) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(0.2, hertz), RATE)
    return path


@pytest.mark.parametrize(
    "name",
    ["s1/one.wav", "deep/test/s1/one.flac", "s1_one.wav", "w1=2.0/s1-one.wav", "anywhere/one.wav"],
)
def test_files_are_found_however_nested(tmp_path: Path, name: str) -> None:
    path = wav(tmp_path / name)
    assert match_files(tmp_path, ["s1/one", "s1/two"]) == {"s1/one": path}


def test_the_whole_id_beats_the_bare_name(tmp_path: Path) -> None:
    exact, _ = wav(tmp_path / "s1/one.wav"), wav(tmp_path / "s2/one.wav")
    assert match_files(tmp_path, ["s1/one"])["s1/one"] == exact


def test_a_bare_name_that_two_clips_share_belongs_to_neither(tmp_path: Path) -> None:
    wav(tmp_path / "one.wav")
    with pytest.raises(F2VError, match="none of the 1 audio files"):
        match_files(tmp_path, ["s1/one", "s2/one"])


def test_two_files_for_one_clip_are_refused(tmp_path: Path) -> None:
    wav(tmp_path / "a/s1/one.wav")
    wav(tmp_path / "b/s1/one.wav")
    with pytest.raises(F2VError, match=r"2 files .* belong to clip 's1/one'"):
        match_files(tmp_path, ["s1/one"])


#: layouts of published outputs and of the files that published code writes, with talks of unusual names
LRS = ["test/0Fi83-BHQs_A/00002", "test/0Fi83-BHQs_A/00004", "test/x9_00001_QQ/00002"]
_TALKS = [name.removeprefix("test/") for name in LRS]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"generated_mels/LRS3/w1=2_w2=1.5_asr_start=270/{name}.wav" for name in _TALKS], id="lipvoicer"),
        pytest.param([f"{name.replace('/', '_')}.wav" for name in _TALKS], id="flat"),
        pytest.param([f"results/finetune_400000/lrs3_test_cross/seed0/{name}.wav" for name in LRS], id="aligndit"),
        pytest.param([f"vts/{name.replace('/', '_00009_')}.wav" for name in _TALKS], id="aligndit-pairs"),
    ],
)
def test_trees_of_published_systems_are_found(tmp_path: Path, names: list[str]) -> None:
    files = [wav(tmp_path / name) for name in names]
    wav(tmp_path / "w1=2/other-talk/00002.wav")
    assert match_files(tmp_path, LRS) == dict(zip(LRS, files, strict=True))


def test_a_tail_that_two_clips_share_belongs_to_neither(tmp_path: Path) -> None:
    wav(tmp_path / "talk/00001.wav")
    own = wav(tmp_path / "talk/00002.wav")
    ids = ["test/talk/00001", "trainval/talk/00001", "test/talk/00002"]
    assert match_files(tmp_path, ids) == {"test/talk/00002": own}


def test_two_pairs_of_one_target_are_refused(tmp_path: Path) -> None:
    wav(tmp_path / "talk_00001_00002.wav")
    wav(tmp_path / "talk_00003_00002.wav")
    with pytest.raises(F2VError, match=r"2 files .* belong to clip 'test/talk/00002'"):
        match_files(tmp_path, ["test/talk/00002"])


def test_a_whole_name_beats_a_pair(tmp_path: Path) -> None:
    exact, _ = wav(tmp_path / "test/talk/00002.wav"), wav(tmp_path / "talk_00001_00002.wav")
    assert match_files(tmp_path, ["test/talk/00002"]) == {"test/talk/00002": exact}


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="no audio file under"):
        match_files(tmp_path, ["a"])


def test_missing_files_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    wav(tmp_path / "s1/one.wav")
    clips = [Clip(f"s1/{name}", "s1", tmp_path, None, None, "test") for name in ("one", "two")]
    system = Precomputed(SystemOptions(clips=clips, argument=str(tmp_path)))
    first, second = system.synthesize(clips, 0)
    assert isinstance(first, Waveform)
    assert isinstance(second, ClipFailure)
    assert second.kind is FailureKind.FILE_MISSING


def test_a_changed_file_changes_the_fingerprint(tmp_path: Path) -> None:
    wav(tmp_path / "s1/one.wav")
    clip = Clip("s1/one", "s1", tmp_path, None, None, "test")
    options = SystemOptions(clips=[clip], argument=str(tmp_path))
    before = Precomputed(options).fingerprint(clip, 0)
    wav(tmp_path / "s1/one.wav", 330)
    assert Precomputed(options).fingerprint(clip, 0) != before


@pytest.mark.parametrize("argument", [None, "no/such/folder"])
def test_a_folder_is_required(argument: str | None) -> None:
    with pytest.raises(F2VError, match="folder"):
        Precomputed(SystemOptions(argument=argument))
