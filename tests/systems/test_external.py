from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.systems.base import SystemOptions
from f2v_bench.systems.external import External
from tests.clips import write_clip

# A stand-in for an external repository: writes 640 samples per frame and records its inputs.
SCRIPT = """
import json, os, pathlib, sys, time, wave
import av
inputs, outputs, clip_list, seed, device, mode = sys.argv[1:]
ids = pathlib.Path(clip_list).read_text().split("\\n")[:-1]
received = {"ids": ids, "seed": seed, "device": device, "env": os.environ.get("EXTRA")}
pathlib.Path("received.json").write_text(json.dumps(received))
for number, name in enumerate(ids):
    with av.open(f"{inputs}/{name}.mp4") as video:
        assert not video.streams.audio, "the video still has an audio track"
        frames = sum(1 for _ in video.decode(video=0))
    if mode == "skips" and number == 1:
        continue
    if mode == "hangs" and number == 1:
        time.sleep(600)
    if mode == "dies" and number == 1:
        sys.exit("CUDA out of memory")
    out = pathlib.Path(outputs, "run7", name + ".wav")
    out.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(16000)
        file.writeframes(b"\\1\\2" * 640 * frames)
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    root = tmp_path_factory.mktemp("clips")
    return [write_clip(root / 'it\'s "ä"' / f"{index}.mp4", 0.4 + 0.2 * index) for index in range(3)]


def describe(folder: Path, **more: object) -> Path:
    (folder / "infer.py").write_text(SCRIPT)
    mode = more.pop("mode", "works")
    command = [sys.executable, "infer.py", "{input}", "{output}", "{list}", "{seed}", "{device}", mode]
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"command": command, **more}.items()]
    path = folder / "their.toml"
    path.write_text("\n".join([*lines, "[env]", 'EXTRA = "7"', ""]))
    return path


def system(clips: list[Clip], tmp_path: Path, **more: object) -> External:
    path = describe(tmp_path, **more)
    return External(SystemOptions(clips=clips, argument=str(path), workdir=tmp_path / "work"))


def kinds(outcomes: list[Waveform | ClipFailure]) -> list[str]:
    return [outcome.kind if isinstance(outcome, ClipFailure) else "ok" for outcome in outcomes]


def test_the_process_gets_silent_videos_and_its_audio_is_collected(clips: list[Clip], tmp_path: Path) -> None:
    outcomes = system(clips, tmp_path).synthesize(clips, 5)
    assert kinds(outcomes) == ["ok"] * 3
    assert [len(wave.samples) // 640 for wave in outcomes if isinstance(wave, Waveform)] == [10, 15, 20]
    received = json.loads((tmp_path / "received.json").read_text())
    assert received == {"ids": [clip.id for clip in clips], "seed": "5", "device": "cpu", "env": "7"}
    assert not any((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("mode", "kind", "detail"),
    [
        ("skips", FailureKind.FILE_MISSING, "wrote no audio for clip"),
        ("dies", FailureKind.PROCESS_FAILED, "CUDA out of memory"),
        pytest.param("hangs", FailureKind.TIMEOUT, "did not end within 10 s", marks=pytest.mark.slow),
    ],
)
def test_unfinished_clips_fail_and_the_others_count(
    clips: list[Clip], tmp_path: Path, mode: str, kind: FailureKind, detail: str
) -> None:
    outcomes = system(clips, tmp_path, mode=mode, timeout_s=10.0 if mode == "hangs" else 120.0).synthesize(clips, 0)
    assert kinds(outcomes)[:2] == ["ok", kind]
    assert detail in str(outcomes[1])
    assert kinds(outcomes)[2] == ("ok" if mode == "skips" else kind)


def test_a_clip_without_video_fails_alone(clips: list[Clip], tmp_path: Path) -> None:
    absent = Clip("a/none", "a", tmp_path / "none.mp4", None, None, "test")
    outcomes = system(clips, tmp_path).synthesize([clips[0], absent], 0)
    assert kinds(outcomes) == ["ok", FailureKind.FILE_MISSING]


def test_missing_requirements_are_named_before_the_start(clips: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(F2VError, match=r"required files are missing .*: weights\.pt"):
        system(clips, tmp_path, requires=["weights.pt"])
    with pytest.raises(F2VError, match="is not a folder"):
        system(clips, tmp_path, cwd="no/such/folder")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("command = [", "is not TOML"),
        ('comand = ["a"]', "unknown key 'comand'"),
        ('command = "python x"', "must be a list of words"),
        ('command = ["python", "{inputs}"]', "unknown placeholder"),
        ('command = ["python"]\ntimeout_s = -1', "must be positive"),
        ('command = ["python"]\nspeaker_reference = "ear"', "'ear' is not a valid"),
        ('command = ["no-such-program-anywhere"]', "there is no program"),
    ],
)
def test_mistakes_in_the_description_are_named(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "their.toml"
    path.write_text(text)
    with pytest.raises(F2VError, match=match):
        External(SystemOptions(argument=str(path)))


def test_the_fingerprint_follows_the_description(clips: list[Clip], tmp_path: Path) -> None:
    one = system(clips, tmp_path).fingerprint(clips[0], 0)
    assert system(clips, tmp_path).fingerprint(clips[0], 0) == one
    assert system(clips, tmp_path, description="other weights").fingerprint(clips[0], 0) != one
