from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
import soundfile

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.records import FaceCrops
from f2v_bench.media import clip_audio, iter_frames, read_audio, read_video, video_info, write_video
from f2v_bench.registry import SYSTEMS
from f2v_bench.systems.base import FaceSystem, SpeakerReference, SystemOptions
from tests.cli.conftest import Output
from tests.clips import RATE, babble, number_of, numbered_frames, tone, write_timed_video

Command = Callable[..., Output]
DEMO = Path(__file__).resolve().parents[2] / "f2v_bench/datasets/demo/clips/test"
JUMP = 29  # the frame at which numbered frames turn from white to black
POINTS = np.array([[30, 25], [50, 25], [40, 35], [32, 45], [48, 45]], np.float32)


class Clicker(FaceSystem):
    """Clicks where the face gets much brighter or darker between two frames."""

    name = "clicker"
    summary = "clicks of a test"
    speaker_reference = SpeakerReference.FACE
    stages = ("click",)
    settings = ("gain",)
    sample_rate = RATE
    calls: ClassVar[list[tuple[str, int]]] = []
    made: ClassVar[list[SystemOptions]] = []

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.made.append(options)

    def synthesize_crops(self, crops: Sequence[FaceCrops], names: Sequence[str], seed: int) -> list[Waveform]:
        self.calls.extend((name, seed) for name in names)
        return [Waveform(self._clicks(one), RATE) for one in crops]

    def _clicks(self, crops: FaceCrops) -> np.ndarray[Any, np.dtype[np.float32]]:
        level = crops.face.mean(axis=(1, 2, 3))
        samples = np.zeros(640 * len(level), np.float32)
        for frame in np.flatnonzero(np.abs(np.diff(level)) > 100) + 1:
            samples[640 * frame :][:32] = float(self.options.settings.get("gain", "0.8"))
        return samples


class Echo(Clicker):
    """Repeats the reference recording for the duration of the video."""

    name = "echo"

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.speaker_reference = SpeakerReference(options.speaker_reference or SpeakerReference.FACE)

    def synthesize_clips(
        self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int
    ) -> list[Waveform | ClipFailure]:
        (clip,), (one,) = clips, crops
        (voice,) = [other for other in self.options.clips if other.speaker == clip.speaker and other.id != clip.id]
        return [Waveform(np.resize(clip_audio(voice, RATE).samples, 640 * len(one.lips)), RATE)]


class Failing(Clicker):
    """Fails, or returns values that are not finite."""

    name = "failing"
    settings = ("how",)

    def synthesize_clips(
        self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int
    ) -> list[Waveform | ClipFailure]:
        if self.options.settings.get("how") == "nan":
            return [Waveform(np.full(640, np.nan, np.float32), RATE)]
        return [ClipFailure(FailureKind.SYNTHESIS_FAILED, "no output")]


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the systems of this file."""
    Clicker.calls.clear()
    Clicker.made.clear()
    for kind in (Clicker, Echo, Failing):
        point = EntryPoint(kind.name, f"{__name__}:{kind.__name__}", SYSTEMS.group)
        monkeypatch.setitem(SYSTEMS._found(), kind.name, point)


def film(
    path: Path, times: Sequence[float], sound: np.ndarray[Any, np.dtype[np.float32]] | None = None, start: float = 0.0
) -> Path:
    """Write numbered frames at the given times, and landmarks of a face."""
    path.parent.mkdir(exist_ok=True, parents=True)
    write_timed_video(path, list(times), sound, start)
    marked(path)
    return path


def marked(path: Path, unseen: int = 0) -> None:
    points = np.repeat(POINTS[None], video_info(path).frames, axis=0)
    points[3 : 3 + unseen] = np.nan
    np.save(path.with_name(f"{path.stem}.landmarks.npy"), points)


def frames_of(path: Path) -> list[tuple[float, bytes]]:
    """Return time in seconds after the first frame, and decoded pixels, of every frame."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
        return [(round(float(frame.time - frames[0].time), 6), frame.to_ndarray().tobytes()) for frame in frames]


def clicks(path: Path) -> list[float]:
    """Return the times of the clicks in a file, in seconds after its first frame."""
    samples = np.abs(clip_audio(Clip("a/b", "a", path, path, None, "test"), RATE).samples)
    loud = np.flatnonzero(samples > 0.4)
    return [float(at) / RATE for at in loud[np.diff(loud, prepend=-RATE) > RATE // 10]]


EVEN = [n / 25 for n in range(45)]
TIMES = {
    "25 fps": EVEN,
    "starts late": [0.72 + at for at in EVEN],
    "30 fps": [n / 30 for n in range(50)],
    "variable rate": [0.3 + n / 25 + 0.3 * (n > 10) + 0.013 * (n % 3) for n in range(45)],
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("kind", TIMES)
def test_the_sound_follows_the_picture(f2v: Command, kind: str, suffix: str) -> None:
    video, out = film(Path("in/film.mkv"), TIMES[kind]), Path(f"new/dubbed{suffix}")
    output = f2v("dub", video, "-o", out, "-m", "clicker")
    assert (output.code, output.out.split()) == (0, [str(out)])
    assert frames_of(out) == frames_of(video)
    tick = next(t for t, frame in enumerate(iter_frames(video)) if t > 5 and number_of(frame) == 0)
    (at,) = clicks(out)
    assert abs(at - tick / 25) < 0.001
    assert abs(at - frames_of(video)[JUMP][0]) < 0.021  # the 25 fps clock shows a frame half a tick early or late
    assert abs(read_audio(out).duration_s - video_info(video).duration_s) < (0.07 if suffix != ".mkv" else 1e-6)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("start", [0.42, 0.72, 0.92])
def test_the_audio_track_of_the_video_changes_nothing(f2v: Command, start: float) -> None:
    video = film(Path("film.mkv"), [0.72 + at for at in EVEN], babble(1.7), start)
    assert f2v("dub", video, "-o", "dubbed.mp4", "-m", "clicker").code == 0
    (at,) = clicks(Path("dubbed.mp4"))
    assert abs(at - JUMP / 25) < 0.001
    assert frames_of(Path("dubbed.mp4")) == frames_of(video)


@pytest.mark.parametrize("count", [1, 2])
def test_a_very_short_video(f2v: Command, count: int) -> None:
    video = film(Path("film.mkv"), EVEN[:count])
    assert f2v("dub", video, "-o", "dubbed.mkv", "-m", "clicker").code == 0
    assert frames_of(Path("dubbed.mkv")) == frames_of(video)
    assert len(read_audio(Path("dubbed.mkv")).samples) == 640 * count


def test_face_coverage_and_provenance_are_printed(f2v: Command) -> None:
    video = film(Path("film.mkv"), EVEN)
    marked(video, unseen=9)
    output = f2v("dub", video, "-o", "dubbed.mp4", "-m", "clicker")
    assert "face visible in 80% of 45 frames, by precomputed" in output.err
    assert "clicks of a test" in output.err
    assert output.out.strip() == "dubbed.mp4"


def test_options_reach_the_system(f2v: Command) -> None:
    video = film(Path("film.mkv"), EVEN)
    video.with_name("film.landmarks.npy").rename("marks.npy")
    words = ("--landmarks", "marks.npy", "--weights", "w", "--seed", 7, "--set", "gain=0.5", "--device", "cpu")
    assert f2v("dub", video, "-o", "dubbed.mkv", "-m", "clicker:some:thing", *words).code == 0
    (options,), ((_, seed),) = Clicker.made, Clicker.calls
    assert (options.argument, options.weights, options.dataset, seed) == ("some:thing", "w", None, 7)
    assert abs(np.abs(read_audio(Path("dubbed.mkv")).samples).max() - 0.5) < 1e-3


@pytest.mark.parametrize("name", ["voice.wav", "voice.mp4"])
def test_a_reference_recording(f2v: Command, name: str) -> None:
    if name.endswith(".wav"):
        soundfile.write(name, tone(0.5), RATE, subtype="FLOAT")
    else:
        write_video(Path(name), numbered_frames(25), Waveform(tone(1.0), RATE))
    video = film(Path("film.mkv"), EVEN)
    assert f2v("dub", video, "-o", "dubbed.mkv", "-m", "echo", "--speaker-reference", name).code == 0
    waveform = read_audio(Path("dubbed.mkv")).samples
    assert len(waveform) == 640 * 45
    assert np.corrcoef(waveform[1000:7000], tone(0.5)[1000:7000])[0, 1] > 0.99


@pytest.mark.slow
def test_a_sheet_of_the_result(f2v: Command) -> None:
    video = film(Path("film.mkv"), EVEN)
    output = f2v("dub", video, "-o", "dubbed.mp4", "-m", "clicker", "--sheet", "sheet.png")
    assert (output.code, output.out.split()) == (0, ["dubbed.mp4", "sheet.png"])
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_clip_without_landmarks(f2v: Command) -> None:
    video = sorted(DEMO.glob("*/*.mp4"))[0]
    output = f2v("dub", video, "-o", "dubbed.mp4", "-m", "clicker")
    assert output.code == 0
    assert "by cascade" in output.err or "by mediapipe" in output.err
    np.testing.assert_array_equal(read_video(Path("dubbed.mp4")), read_video(video))
    assert np.abs(read_audio(Path("dubbed.mp4")).samples).max() < 0.01  # the real speech is removed


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_grid_as_published(f2v: Command, shared: Path, suffix: str) -> None:
    video, out = shared / "data/grid/original/s1/bbaf2n.mpg", Path(f"dubbed{suffix}")
    assert f2v("dub", video, "-o", out, "-m", "clicker").code == 0
    assert frames_of(out) == frames_of(video)
    assert len(clip_audio(Clip("a", "a", out, out, None, "test"), RATE).samples) == 48_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.mp4", "-o", "out.mp4"], "'none.mp4' is not a file"),
        (["empty.mp4", "-o", "out.mp4"], "is empty"),
        (["noise.mp4", "-o", "out.mp4"], "cannot be decoded"),
        (["voice.wav", "-o", "out.mp4"], "has no video stream"),
        (["film.mkv", "-o", "film.mkv"], "is the input video"),
        (["film.mkv", "-o", "link.mkv"], "is the input video"),
        (["film.mkv", "-o", "out.avi"], "does not end in one of .mp4"),
        (["film.mkv", "-o", "out"], "does not end in one of .mp4"),
        (["film.mkv", "-o", "folder.mp4"], "'folder.mp4' cannot be written"),
        (["film.mkv", "-o", "voice.wav/out.mp4"], "cannot be written"),
        (["film.mkv", "-o", "out.mp4", "--sheet", "sheet.mp4"], "does not end in one of .png"),
        (["film.mkv", "-o", "out.mp4", "--sheet", "s.png", "--landmarks", "marks.npy"], "film.landmarks.npy"),
        (["film.mkv", "-o", "out.mp4", "--landmarks", "none.npy"], "no landmarks"),
        (["film.mkv", "-o", "out.mp4", "--set", "gain"], "is not NAME=VALUE"),
        (["film.mkv", "-o", "out.mp4", "--set", "gian=1"], "did you mean 'gain'?"),
        (["film.mkv", "-o", "out.mp4", "-m", "clickers"], "did you mean 'clicker'?"),
        (["film.mkv", "-o", "out.mp4", "-m", "ground-truth"], "does not synthesize from face crops"),
        (["film.mkv", "-o", "out.mp4", "-m", "ours"], "--weights"),
        (["film.mkv", "-o", "out.mp4", "--speaker-reference", "none.wav"], "'none.wav' is not a file"),
        (["film.mkv", "-o", "out.mp4", "--speaker-reference", "film.mkv"], "has no audio track"),
        (
            ["film.mkv", "-o", "out.mp4", "--speaker-reference", "voice.wav"],
            "does not compute the speaker embedding",
        ),
        (["film.mkv", "-o", "out.mp4", "--device", "tpu"], "is not a device"),
        (["wall.mp4", "-o", "out.mp4"], "no_face"),
    ],
)
def test_unsuitable_input_is_an_error_before_the_work(f2v: Command, words: list[str], message: str) -> None:
    film(Path("film.mkv"), EVEN)
    os.link("film.mkv", "link.mkv")
    write_video(Path("wall.mp4"), numbered_frames(10))
    soundfile.write("voice.wav", tone(0.3), RATE)
    Path("empty.mp4").touch()
    Path("noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    Path("folder.mp4").mkdir()
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    output = f2v("dub", "-m", "clicker", *words)
    assert output.code == 2
    assert message in output.err.replace("\n", " ")
    assert not output.out
    assert not Clicker.calls
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


@pytest.mark.parametrize(("how", "message"), [("fail", "no output"), ("nan", "NaN")])
def test_a_failing_system_keeps_the_earlier_result(f2v: Command, how: str, message: str) -> None:
    video = film(Path("film.mkv"), EVEN)
    Path("dubbed.mp4").write_text("of before")
    output = f2v("dub", video, "-o", "dubbed.mp4", "-m", "failing", "--set", f"how={how}")
    assert output.code == 2
    assert message in output.err
    assert Path("dubbed.mp4").read_text() == "of before"


def test_the_earlier_result_is_replaced(f2v: Command) -> None:
    video = film(Path("film.mkv"), EVEN)
    Path("dubbed.mp4").write_text("of before")
    assert f2v("dub", video, "-o", "dubbed.mp4", "-m", "clicker").code == 0
    assert frames_of(Path("dubbed.mp4")) == frames_of(video)
