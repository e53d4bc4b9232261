from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from f2v_bench import media
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import F2VError, FailureKind
from f2v_bench.media import copies
from tests.clips import RATE, babble, tone, write_clip
from tests.media.failures import kind_of


def write_film(path: Path, times: list[float], codec: str = "libx264", clock: int = 90_000, **options: str) -> Path:
    """Write a moving image with frames at the given times (s), in any container."""
    still = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, clock)
        for number, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.roll(still, 3 * number, axis=1), format="rgb24")
            frame.pts, frame.time_base = round(at * clock), Fraction(1, clock)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded_frames(path: Path) -> tuple[list[float], list[bytes]]:
    """Return the time of each frame in seconds, and its pixels as they are coded."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
        return [float(frame.time) for frame in frames], [frame.to_ndarray().tobytes() for frame in frames]


def click(seconds: float, at: float, rate: int = RATE) -> Waveform:
    samples = np.zeros(round(seconds * rate), np.float32)
    samples[round(at * rate) :][: rate // 500] = 0.8
    return Waveform(samples, rate)


def click_time(path: Path) -> float:
    """Return the time of the click in seconds, on the clock of the first frame."""
    clip = Clip("a/b", "a", path, path, None, "test")
    return float(np.argmax(np.abs(media.clip_audio(clip, RATE).samples) > 0.4)) / RATE


B_FRAMES = {"bf": "3"}


FILMS: dict[str, tuple[str, list[float], str, int, dict[str, str]]] = {
    "30 fps, B-frames": ("a.mp4", [n / 30 for n in range(60)], "libx264", 30_000, B_FRAMES),
    "starts late": ("a.ts", [1.4 + n / 25 for n in range(40)], "libx264", 90_000, B_FRAMES | {"g": "10"}),
    "variable rate": ("a.mkv", [0.733 + n / 25 + 0.015 * (n % 3) for n in range(40)], "libx264", 1000, B_FRAMES),
    "MPEG-1": ("a.mpg", [n / 25 for n in range(40)], "mpeg1video", 25, {"bf": "2"}),
    "MPEG-4 in AVI": ("a.avi", [n / 25 for n in range(40)], "mpeg4", 25, {"bf": "2"}),
    "VP9": ("a.webm", [n / 25 for n in range(20)], "libvpx-vp9", 1000, {"cpu-used": "8"}),
    "trimmed at its start": ("a.mp4", [n / 25 - 0.4 for n in range(40)], "libx264", 12_800, B_FRAMES),
    "one frame": ("a.mp4", [0.0], "libx264", 25, {}),
}


def test_copy_silent_keeps_every_frame_and_no_audio(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "s" / "a.mp4")
    media.copy_silent(clip.video, tmp_path / "out" / "a.mp4")
    info = media.video_info(tmp_path / "out" / "a.mp4")
    assert (info.frames, info.has_audio) == (25, False)
    np.testing.assert_array_equal(media.read_video(tmp_path / "out" / "a.mp4"), media.read_video(clip.video))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("film", FILMS)
def test_a_copy_with_audio_keeps_frames_and_times(tmp_path: Path, film: str, suffix: str) -> None:
    name, times, codec, clock, options = FILMS[film]
    source = write_film(tmp_path / name, times, codec, clock, **options)
    target = tmp_path / "out" / f"copy{suffix}"
    if (film, suffix) in {("VP9", ".mov"), ("trimmed at its start", ".mkv")}:
        with pytest.raises(F2VError, match=r"vp9|trimmed"):
            media.copy_with_audio(source, target, click(1, 0.5))
        assert not target.parent.exists()
        return
    info = media.video_info(source)
    at = info.duration_s / 2
    media.copy_with_audio(source, target, click(info.duration_s, at))
    before, frames = decoded_frames(source)
    after, copied = decoded_frames(target)
    assert copied == frames
    np.testing.assert_allclose(
        np.array(after) - after[0], np.array(before) - before[0], atol=6e-4 if suffix == ".mkv" else 1e-6
    )
    assert after[0] == 0
    assert abs(click_time(target) - at) < 0.001
    assert media.video_info(target).frames == info.frames
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_copy_with_audio_of_grid_as_published(shared: Path, tmp_path: Path, suffix: str) -> None:
    source, target = shared / "data/grid/original/s1/bbaf2n.mpg", tmp_path / f"copy{suffix}"
    media.copy_with_audio(source, target, click(3, 1.5))
    assert decoded_frames(target) == decoded_frames(source)
    assert abs(click_time(target) - 1.5) < 0.001


def test_a_copy_has_the_new_audio_alone(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "s" / "a.mp4", samples=babble(1)).video
    media.copy_with_audio(source, tmp_path / "a.mkv", Waveform(tone(1), RATE))
    np.testing.assert_allclose(media.read_audio(tmp_path / "a.mkv").samples, tone(1), atol=1e-4)


@pytest.mark.parametrize("rate", [7_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_audio_of_a_copy_may_have_any_rate(tmp_path: Path, rate: int, suffix: str) -> None:
    source = write_clip(tmp_path / "s" / "a.mp4").video
    media.copy_with_audio(source, tmp_path / f"a{suffix}", Waveform(tone(1, rate=rate), rate))
    audio = media.read_audio(tmp_path / f"a{suffix}", RATE).samples
    assert np.corrcoef(audio[2000:14_000], tone(1)[2000:14_000])[0, 1] > 0.999


def test_a_copy_keeps_the_rotation_of_its_source(tmp_path: Path) -> None:
    rotated = write_film(tmp_path / "a.mp4", [n / 25 for n in range(5)])
    header = bytearray(rotated.read_bytes())
    matrix = header.index(b"tkhd") + 44  # after type, flags, times, id, duration, layer and volume
    header[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    rotated.write_bytes(header)
    assert media.read_video(rotated).shape == (5, 80, 64, 3)
    media.copy_with_audio(rotated, tmp_path / "b.mp4", click(0.2, 0.1))
    np.testing.assert_array_equal(media.read_video(tmp_path / "b.mp4"), media.read_video(rotated))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_audio_and_video_of_a_long_copy_are_interleaved(tmp_path: Path, suffix: str) -> None:
    source = write_film(tmp_path / "a.avi", [n / 25 for n in range(750)], "mpeg4", 25)
    media.copy_with_audio(source, tmp_path / f"b{suffix}", Waveform(babble(30), RATE))
    at: dict[str, float] = {}
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        for packet in container.demux():
            if packet.dts is not None and packet.time_base is not None:
                at[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(at.get("audio", 0) - at.get("video", 0)) < 1.5
    assert min(at.values()) > 29


@pytest.mark.parametrize("name", ["b.avi", "b.wav", "b"])
def test_an_unknown_container_is_refused(tmp_path: Path, name: str) -> None:
    source = write_film(tmp_path / "a.mp4", [0, 0.04])
    with pytest.raises(F2VError, match=r"does not end in one of \.mp4"):
        media.check_copy_with_audio(source, tmp_path / name)


def test_a_codec_that_the_container_does_not_support_is_refused(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.webm", [n / 25 for n in range(5)], "libvpx", 1000)
    with pytest.raises(F2VError, match=r"vp8.*\n.*mkv"):
        media.check_copy_with_audio(source, tmp_path / "b.mp4")
    media.check_copy_with_audio(source, tmp_path / "b.MKV")


def test_a_copy_is_complete_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = write_film(tmp_path / "a.mp4", [0, 0.04]), tmp_path / "out" / "b.mp4"
    media.copy_with_audio(source, target, click(0.1, 0.05))
    first = target.read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(F2VError, match="cannot be written"):
        media.copy_with_audio(source, tmp_path / "file" / "b.mp4", click(0.1, 0.05))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copies, "encode_audio_track", stop)
    with pytest.raises(KeyboardInterrupt):
        media.copy_with_audio(source, target, click(0.1, 0.02))
    assert [path.name for path in target.parent.iterdir()] == ["b.mp4"]
    assert target.read_bytes() == first


def test_failure_kinds_of_copies(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.2), RATE)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    timeless = write_film(tmp_path / "a.h264", [n / 25 for n in range(5)], clock=25)
    sound, target = click(0.1, 0.05), tmp_path / "b.mp4"
    assert kind_of(media.copy_with_audio, tmp_path / "none.mp4", target, sound) is FailureKind.FILE_MISSING
    assert kind_of(media.copy_with_audio, tmp_path / "a.wav", target, sound) is FailureKind.NO_VIDEO
    assert kind_of(media.copy_with_audio, tmp_path / "noise.mp4", target, sound) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.copy_with_audio, timeless, target, sound) is FailureKind.UNREADABLE_VIDEO
    assert not target.exists()
