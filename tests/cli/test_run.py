from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import f2v_bench
from f2v_bench.media import write_video
from tests.cli.conftest import Output
from tests.clips import RATE, babble, numbered_frames, tone, write_clip

Command = Callable[..., Output]
QUICK = ("--no-faces", "--metrics", "stoi")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for index in range(3):
        clip = write_clip(root / "ann" / f"{index}.mp4", 1.0, babble(1.0, index))
        clip.video.with_suffix(".txt").write_text(f"hello number {index}")
    return root


def test_a_folder_of_videos_gives_a_table_and_spectrograms(f2v: Command, videos: Path, tmp_path: Path) -> None:
    output = f2v("run", "-d", "folder", "--data-root", videos, *QUICK, "-m", "ground-truth", "-m", "shuffled")
    assert output.code == 0
    assert "STOI" in output.out
    assert "3/3" in output.out
    run = tmp_path / "runs" / "folder-test"
    for name in ("table.md", "table.csv", "table.tex", "spectrograms.png", "spectrograms.pdf"):
        assert (run / name).stat().st_size > 100
        assert str(Path("runs/folder-test") / name) in output.out
    scores = pd.read_parquet(run / "scores.parquet")
    real = scores[(scores["system"] == "ground-truth") & (scores["column"] == "stoi")]
    assert np.allclose(real["value"], 1, atol=1e-6)


@pytest.mark.slow
def test_the_python_interface_gives_the_same_scores(f2v: Command, videos: Path) -> None:
    words = ("run", "-d", "folder", "--data-root", videos, *QUICK, "-m", "ground-truth", "-m", "floor=shuffled")
    assert f2v(*words, "--no-cache").code == 0
    result = f2v_bench.evaluate(
        ["ground-truth", "floor=shuffled"], "folder", ["stoi"], root=videos, faces=False, use_cache=False, workers=1
    )
    pd.testing.assert_frame_equal(pd.read_parquet("runs/folder-test/scores.parquet"), result.scores)


def test_the_same_command_again_computes_nothing(f2v: Command, videos: Path) -> None:
    words = ("run", "-d", "folder", "--data-root", videos, *QUICK, "-m", "ground-truth")
    assert "3 clips\n" in f2v(*words).err
    again = f2v(*words)
    assert again.code == 0
    assert "ground-truth: synthesis: 3 clips, 3 done already" in again.err
    assert "stoi: 3 clips, 3 done already" in again.err


@pytest.mark.slow
def test_score_adds_the_real_speech_to_a_folder_of_wavs(f2v: Command, videos: Path, tmp_path: Path) -> None:
    wavs = tmp_path / "my wavs"
    wavs.mkdir()
    for index in range(2):
        soundfile.write(wavs / f"{index}.wav", babble(1.0, index), RATE)
    output = f2v("score", wavs, "-d", "folder", "--data-root", videos, "--metrics", "stoi")
    assert output.code == 3
    assert "file_missing: 1" in output.err.replace("\n", " ")
    assert "ground-truth" in output.out
    assert "my_wavs" in output.out
    assert "2/3" in output.out


@pytest.mark.slow
def test_unusual_wavs_get_a_failure_kind_or_a_score(f2v: Command, tmp_path: Path) -> None:
    real, made = tmp_path / "real", tmp_path / "made"
    real.mkdir()
    made.mkdir()
    names = ["good", "empty", "nan", "silent", "stereo 8k", "short", "junk"]
    for name in names:
        soundfile.write(real / f"{name}.wav", babble(1.0), RATE)
    soundfile.write(made / "good.wav", babble(1.0), RATE)
    soundfile.write(made / "empty.wav", np.zeros(0, np.float32), RATE)
    soundfile.write(made / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    soundfile.write(made / "silent.wav", np.zeros(RATE, np.float32), RATE)
    soundfile.write(made / "stereo 8k.wav", np.stack([babble(1.0, rate=8000)] * 2, 1), 8000)
    soundfile.write(made / "short.wav", babble(0.5), RATE)
    (made / "junk.wav").write_bytes(b"RIFF but no")
    output = f2v("score", "made", "-d", "folder", "--data-root", "real", "--metrics", "stoi", "-o", "r")
    assert output.code == 3
    audio = pd.read_parquet(tmp_path / "r/audio.parquet").set_index(["system", "clip"])["status"]["made"]
    scores = pd.read_parquet(tmp_path / "r/scores.parquet").set_index(["column", "system", "clip"])["status"]
    found = {name: audio[name] if audio[name] != "ok" else scores["stoi", "made", name] for name in names}
    assert found == {
        "good": "ok",
        "empty": "empty_audio",
        "nan": "not_finite",
        "silent": "silent",
        "stereo 8k": "ok",
        "short": "duration_mismatch",
        "junk": "unreadable_audio",
    }


@pytest.mark.slow
def test_score_against_a_folder_of_wavs(f2v: Command, tmp_path: Path) -> None:
    for name in ("real", "made"):
        (tmp_path / name).mkdir()
        for index in range(3):
            soundfile.write(tmp_path / name / f"{index}.wav", babble(1.0, index), RATE)
    output = f2v("score", "made", "-d", "folder", "--data-root", "real", "--metrics", "stoi,pesq")
    assert output.code == 0
    assert output.out.count("1.000") >= 2


@pytest.mark.slow
def test_an_lrs3_tree_runs(f2v: Command, tmp_path: Path) -> None:
    root = tmp_path / "lrs3"
    for talk in ("00aBcD", "9uOMectkCCs"):
        for utterance in ("00001", "00002"):
            clip = write_clip(root / "test" / talk / f"{utterance}.mp4", 1.0, babble(1.0, int(utterance)))
            clip.video.with_suffix(".txt").write_text("Text:  AND SO IT BEGINS\nConf:  5\n")
    output = f2v("run", "-d", "lrs3", "--data-root", root, *QUICK, "-m", "ground-truth")
    assert output.code == 0
    assert "4/4" in output.out
    manifest = json.loads((tmp_path / "runs/lrs3-test/run.json").read_text())
    assert manifest["dataset"]["list_id"] != "lrs3/test"  # four clips are not the official list
    clips = pd.read_parquet(tmp_path / "runs/lrs3-test/clips.parquet")
    assert set(clips["text"]) == {"AND SO IT BEGINS"}
    assert set(clips["speaker"]) == {"00aBcD", "9uOMectkCCs"}


@pytest.mark.parametrize("corpus", ["lrs3", "lrs2", "grid", "folder"])
def test_a_corpus_without_root_is_an_error_with_instructions(f2v: Command, corpus: str) -> None:
    output = f2v("run", "-d", corpus)
    assert output.code == 2
    assert f"'{corpus}' has no root" in output.err
    assert "--data-root" in output.err
    assert "F2V_DATA" in output.err


@pytest.mark.slow
def test_bad_clips_get_a_failure_kind_and_the_others_are_scored(f2v: Command, videos: Path, tmp_path: Path) -> None:
    root = tmp_path / 'it\'s a "bad" földer'
    shutil.copytree(videos / "ann", root)
    (root / "empty.mp4").touch()
    (root / "cut.mp4").write_bytes((root / "0.mp4").read_bytes()[:900])
    soundfile.write(root / "sound.wav", tone(0.5), RATE)
    (root / "sound.wav").rename(root / "sound.mp4")
    write_video(root / "mute.mp4", numbered_frames(25))
    write_clip(root / "silent.mp4", 1.0, np.zeros(RATE, np.float32))
    write_clip(root / "näme with 'quotes\" 你好.mp4", 1.0)
    output = f2v("run", "-d", "folder", "--data-root", root, "--metrics", "stoi,pesq", "-m", "ground-truth")
    assert output.code == 3
    for kind in ("unreadable_video", "no_video", "no_audio", "silent", "no_face"):
        assert kind in output.err
    assert "4/9" in output.out
    audio = pd.read_parquet(tmp_path / "runs/folder-test/audio.parquet").set_index("clip")["status"]
    found = {name.rpartition("/")[2]: status for name, status in audio.items()}
    assert found["empty"] == found["cut"] == "unreadable_video"
    assert found["sound"] == "no_video"
    assert found["mute"] == "no_audio"
    assert found["näme with 'quotes\" 你好"] == "ok"


@pytest.mark.slow
def test_missing_transcripts_are_noted(f2v: Command, videos: Path, tmp_path: Path) -> None:
    root = tmp_path / "some"
    shutil.copytree(videos, root)
    (root / "ann" / "1.txt").unlink()
    manifest = root / "clips.csv"
    manifest.write_text("clip_id,path,transcript\na,ann/0.mp4,bin blue at f two now\nb,ann/1.mp4,\n")
    output = f2v(
        "run", "-d", "folder", "--data-root", manifest, "--no-faces", "--metrics", "stoi", "-m", "ground-truth"
    )
    assert output.code == 0
    assert "1 of 2 clips have no transcript" in output.err


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("a,../outside.mp4\n", "outside"),
        ("a,0.mp4\na,0.mp4\n", "duplicate clip ids"),
    ],
)
def test_invalid_manifests(f2v: Command, tmp_path: Path, rows: str, what: str) -> None:
    write_clip(tmp_path / "root" / "0.mp4", 0.4)
    write_clip(tmp_path / "outside.mp4", 0.4)
    (tmp_path / "root" / "clips.csv").write_text("clip_id,path\n" + rows)
    output = f2v("run", "-d", "folder", "--data-root", tmp_path / "root" / "clips.csv", *QUICK)
    assert output.code == 2
    assert what in output.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--model", "oursss"], "there is no system called 'oursss'"),
        (["--model", "bad label=ground-truth"], "is not [LABEL=]NAME[:ARGUMENT]"),
        (["-m", "ground-truth", "-m", "ground-truth"], "two systems are called 'ground-truth'"),
        (["--metrics", "dnsmoss"], "did you mean 'dnsmos'"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--set", "dnsmos"], "is not NAME.OPTION=VALUE"),
        (["--set", "dnsmoss.compat=x"], "there is no metric or model 'dnsmoss' in this run"),
        (["-m", "gt=ground-truth", "--set", "gt.steps=3"], "the system 'ground-truth' has no setting 'steps'"),
        (["-m", "gt=ground-truth", "--set", "gt.speaker_reference=face"], "has no setting 'speaker_reference'"),
        (["-m", "gt=ground-truth", "--set", "ground-truth.steps=3"], "there is no metric or model 'ground-truth'"),
        (["--set", "dnsmos.compatt=x"], "compat"),
        (["--device", "tpu"], "is not a device"),
        (["--split", "tset"], "tset"),
        (["--frobnicate"], "frobnicate"),
        (["--dataset", "lsr3"], "did you mean"),
    ],
)
def test_bad_usage_is_one_message(f2v: Command, videos: Path, words: list[str], what: str) -> None:
    root = videos / "clips.csv"
    root.write_text("clip_id,path,split\na,ann/0.mp4,test\n")
    output = f2v("run", "-d", "folder", "--data-root", root, "--no-faces", *words)
    root.unlink()
    assert output.code == 2
    assert what in output.err.replace("\n", " ").replace("  ", " ")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_an_output_folder_that_cannot_be_written(f2v: Command, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = f2v("run", "-d", "folder", "--data-root", videos, *QUICK, "-o", "file/below")
    assert output.code == 2
    assert "cannot be written" in output.err


def test_ctrl_c_keeps_finished_results(f2v: Command, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from f2v_bench.metrics.stoi import STOI

    def stop(self: STOI, batch: object) -> None:
        raise KeyboardInterrupt

    words = ("run", "-d", "folder", "--data-root", videos, *QUICK, "-m", "ground-truth", "--workers", "1")
    with monkeypatch.context() as patch:
        patch.setattr(STOI, "score", stop)
        output = f2v(*words)
    assert output.code == 130
    assert "Progress is saved" in output.err
    again = f2v(*words)
    assert again.code == 0
    assert "synthesis: 3 clips, 3 done already" in again.err


def test_opencv_is_imported_before_threads_detect_faces() -> None:
    """A first import in two threads at once can give one of them a module without its data folder."""
    code = """
import sys
from f2v_bench.runs.faces import face_finder
assert "cv2" not in sys.modules
face_finder(None)
assert sys.modules["cv2"].data.haarcascades
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
