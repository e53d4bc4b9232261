from __future__ import annotations

import shutil
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
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import copies
from tests.clips import RATE, babble, number_of, numbered_frames, tone, write_clip, write_timed_video


def kind_of(call: object, *args: object) -> FailureKind:
    with pytest.raises(ClipFailure) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.kind


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ([n / 25 for n in range(5)], [0, 1, 2, 3, 4]),
        ([n / 50 for n in range(10)], [0, 2, 4, 6, 8]),
        # ticks at 0, 40, 80, ... ms show the last frame that began up to half a tick later
        ([n / 30 for n in range(6)], [0, 1, 2, 4, 5]),
        ([n / 12.5 for n in range(3)], [0, 0, 1, 1, 2, 2]),
        # variable rate: the second frame is held for 200 ms
        ([0.0, 0.04, 0.24, 0.28], [0, 1, 1, 1, 1, 1, 2, 3]),
        # the clock starts with the first frame, wherever the file starts counting
        ([1.0, 1.04, 1.08], [0, 1, 2]),
    ],
)
def test_any_frame_rate_becomes_25_fps_by_time(tmp_path: Path, times: list[float], shown: list[int]) -> None:
    path = tmp_path / "v.mkv"
    write_timed_video(path, times)
    assert [number_of(frame) for frame in media.iter_frames(path)] == shown
    assert media.video_info(path).frames == len(shown)


def test_read_video_gives_rgb_frames(tmp_path: Path) -> None:
    red = np.zeros((64, 80, 3), np.uint8)
    red[..., 0] = 200
    media.write_video(tmp_path / "red.mp4", [red] * 3)
    frames = media.read_video(tmp_path / "red.mp4")
    assert frames.shape == (3, 64, 80, 3)
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - red).max() < 12


@pytest.mark.parametrize("start", [0.0, 0.2, -0.2])
def test_clip_audio_lies_on_the_clock_of_its_video(tmp_path: Path, start: float) -> None:
    path = tmp_path / "v.mkv"
    sound = babble(1.0)
    write_timed_video(path, [0.5 + n / 25 for n in range(25)], sound, 0.5 + start)
    clip = Clip("a/b", "a", path, path, None, "test")
    samples = media.clip_audio(clip, RATE).samples
    expected = media.pad_or_trim(sound, round(start * RATE), RATE)
    assert len(samples) == RATE
    np.testing.assert_allclose(samples, expected, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.5])
def test_clip_audio_is_as_long_as_its_video(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "v.mkv"
    write_timed_video(path, [n / 25 for n in range(25)], tone(seconds))
    samples = media.clip_audio(Clip("a/b", "a", path, path, None, "test"), RATE).samples
    assert len(samples) == RATE
    assert np.abs(samples[round(seconds * RATE) :]).max(initial=0) == 0
    assert np.abs(samples[: round(min(seconds, 1) * RATE)]).max() > 0.25


def test_mp4_keeps_sound_and_picture_together(tmp_path: Path) -> None:
    sound = np.zeros(RATE, np.float32)
    sound[RATE // 2 : RATE // 2 + 400] = 0.5
    clip = write_clip(tmp_path / "s" / "click.mp4", samples=sound)
    heard = np.abs(media.clip_audio(clip, RATE).samples)
    assert abs(int(np.argmax(heard > 0.2)) - RATE // 2) < 32  # 2 ms: the encoder's priming samples are accounted for


def test_write_video_is_deterministic(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 80, 3), np.uint8) for _ in range(10)]
    for name in ("a.mp4", "b.mp4"):
        media.write_video(tmp_path / name, frames, Waveform(babble(0.4), RATE))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_wav_becomes_mono_float(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "a.wav"
    sound = tone(0.5, rate=22_050)
    soundfile.write(path, np.stack([sound] * channels, 1), 22_050, subtype=subtype)
    whole = media.read_audio(path)
    assert whole.sample_rate == 22_050
    np.testing.assert_allclose(whole.samples, sound, atol=0.01 if subtype == "PCM_U8" else 1e-4)
    assert media.read_audio(path, RATE).sample_rate == RATE


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(0.2), np.zeros(3200, np.float32)], 1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(media.read_audio(path).samples, tone(0.2) / 2, atol=1e-6)


def test_resample_keeps_a_tone() -> None:
    out = media.resample(tone(1.0, rate=44_100), 44_100, RATE)
    np.testing.assert_allclose(out[500:-500], tone(1.0)[500 : len(out) - 500], atol=2e-3)


def test_failure_kinds_of_video(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    good = tmp_path / "s" / "good.mp4"
    write_clip(good)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    wav = tmp_path / "speech.wav"
    soundfile.write(wav, tone(0.5), RATE)
    assert kind_of(media.video_info, tmp_path / "none.mp4") is FailureKind.FILE_MISSING
    assert kind_of(media.video_info, empty) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.read_video, cut) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.read_video, noise) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.read_video, wav) is FailureKind.NO_VIDEO


def test_failure_kinds_of_audio(tmp_path: Path) -> None:
    mute = tmp_path / "mute.mp4"
    media.write_video(mute, numbered_frames(5))
    soundfile.write(tmp_path / "zero.wav", np.zeros(0, np.float32), RATE)
    bad = tone(0.1)
    bad[3] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, RATE, subtype="FLOAT")
    (tmp_path / "junk.wav").write_bytes(b"RIFF but no")
    soundfile.write(tmp_path / "slow.wav", tone(0.1), 1)
    assert kind_of(media.read_audio, mute) is FailureKind.NO_AUDIO
    assert kind_of(media.read_audio, tmp_path / "zero.wav") is FailureKind.EMPTY_AUDIO
    assert kind_of(media.read_audio, tmp_path / "nan.wav") is FailureKind.NOT_FINITE
    assert kind_of(media.read_audio, tmp_path / "junk.wav") is FailureKind.UNREADABLE_AUDIO
    assert kind_of(media.read_audio, tmp_path / "slow.wav", RATE) is FailureKind.UNREADABLE_AUDIO
    assert kind_of(media.read_audio, tmp_path / "absent.wav") is FailureKind.FILE_MISSING


def test_write_audio_counts_what_it_clips(tmp_path: Path) -> None:
    samples = np.array([0.0, 1.5, -2.0, 0.25], np.float32)
    assert media.write_audio(tmp_path / "a" / "x.flac", Waveform(samples, RATE)) == 2
    np.testing.assert_allclose(media.read_audio(tmp_path / "a" / "x.flac").samples, [0, 1, -1, 0.25], atol=1e-6)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.flac"]


def test_copy_silent_keeps_every_frame_and_no_sound(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "s" / "a.mp4")
    media.copy_silent(clip.video, tmp_path / "out" / "a.mp4")
    info = media.video_info(tmp_path / "out" / "a.mp4")
    assert (info.frames, info.has_audio) == (25, False)
    np.testing.assert_array_equal(media.read_video(tmp_path / "out" / "a.mp4"), media.read_video(clip.video))


def test_names_of_every_kind(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "s" / "a.mp4").video
    odd = tmp_path / 'it\'s a "näme" 你好 %d.mp4'
    shutil.copy(source, odd)
    assert media.video_info(odd).frames == 25


def test_grid_as_published(shared: Path) -> None:
    path = shared / "data/grid/original/s1/bbaf2n.mpg"
    info = media.video_info(path)
    assert (info.frames, info.width, info.height, info.has_audio) == (75, 360, 288, True)
    assert media.read_video(path).shape == (75, 288, 360, 3)
    clip = Clip("s1/bbaf2n", "s1", path, path, None, "test")
    assert len(media.clip_audio(clip, RATE).samples) == 48_000


def test_grid_clip_of_74_frames(shared: Path) -> None:
    path = shared / "data/grid/s1/lrae3s.mkv"
    assert media.video_info(path).frames == 74 == len(media.read_video(path))


def write_film(path: Path, times: list[float], codec: str = "libx264", clock: int = 90_000, **options: str) -> Path:
    """A picture that moves, frame by frame at the given times (s), in any container."""
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


def shown(path: Path) -> tuple[list[float], list[bytes]]:
    """When each frame of a file shows (s), and its pixels as they are coded."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
        return [float(frame.time) for frame in frames], [frame.to_ndarray().tobytes() for frame in frames]


def click(seconds: float, at: float, rate: int = RATE) -> Waveform:
    samples = np.zeros(round(seconds * rate), np.float32)
    samples[round(at * rate) :][: rate // 500] = 0.8
    return Waveform(samples, rate)


def heard_at(path: Path) -> float:
    """When a file's click sounds (s), on the clock of its first frame."""
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


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("film", FILMS)
def test_a_copy_with_sound_keeps_pictures_and_times(tmp_path: Path, film: str, suffix: str) -> None:
    name, times, codec, clock, options = FILMS[film]
    source = write_film(tmp_path / name, times, codec, clock, **options)
    target = tmp_path / "out" / f"copy{suffix}"
    if (film, suffix) in {("VP9", ".mov"), ("trimmed at its start", ".mkv")}:
        with pytest.raises(F2VError, match=r"vp9|trimmed"):
            media.copy_with_sound(source, target, click(1, 0.5))
        assert not target.parent.exists()
        return
    info = media.video_info(source)
    at = info.duration_s / 2
    media.copy_with_sound(source, target, click(info.duration_s, at))
    before, pictures = shown(source)
    after, copies = shown(target)
    assert copies == pictures
    np.testing.assert_allclose(
        np.array(after) - after[0], np.array(before) - before[0], atol=6e-4 if suffix == ".mkv" else 1e-6
    )
    assert after[0] == 0
    assert abs(heard_at(target) - at) < 0.001
    assert media.video_info(target).frames == info.frames
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_copy_with_sound_of_grid_as_published(shared: Path, tmp_path: Path, suffix: str) -> None:
    source, target = shared / "data/grid/original/s1/bbaf2n.mpg", tmp_path / f"copy{suffix}"
    media.copy_with_sound(source, target, click(3, 1.5))
    assert shown(target) == shown(source)
    assert abs(heard_at(target) - 1.5) < 0.001


def test_a_copy_has_the_new_sound_alone(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "s" / "a.mp4", samples=babble(1)).video
    media.copy_with_sound(source, tmp_path / "a.mkv", Waveform(tone(1), RATE))
    np.testing.assert_allclose(media.read_audio(tmp_path / "a.mkv").samples, tone(1), atol=1e-4)


@pytest.mark.parametrize("rate", [7_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_sound_of_a_copy_may_have_any_rate(tmp_path: Path, rate: int, suffix: str) -> None:
    source = write_clip(tmp_path / "s" / "a.mp4").video
    media.copy_with_sound(source, tmp_path / f"a{suffix}", Waveform(tone(1, rate=rate), rate))
    heard = media.read_audio(tmp_path / f"a{suffix}", RATE).samples
    assert np.corrcoef(heard[2000:14_000], tone(1)[2000:14_000])[0, 1] > 0.999


def test_a_copy_shows_as_its_source_stands(tmp_path: Path) -> None:
    lying = write_film(tmp_path / "a.mp4", [n / 25 for n in range(5)])
    header = bytearray(lying.read_bytes())
    matrix = header.index(b"tkhd") + 44  # after type, flags, times, id, duration, layer and volume
    header[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    lying.write_bytes(header)
    assert media.read_video(lying).shape == (5, 80, 64, 3)
    media.copy_with_sound(lying, tmp_path / "b.mp4", click(0.2, 0.1))
    np.testing.assert_array_equal(media.read_video(tmp_path / "b.mp4"), media.read_video(lying))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_and_picture_of_a_long_copy_lie_side_by_side(tmp_path: Path, suffix: str) -> None:
    source = write_film(tmp_path / "a.avi", [n / 25 for n in range(750)], "mpeg4", 25)
    media.copy_with_sound(source, tmp_path / f"b{suffix}", Waveform(babble(30), RATE))
    at: dict[str, float] = {}
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        for packet in container.demux():
            if packet.dts is not None and packet.time_base is not None:
                at[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(at.get("audio", 0) - at.get("video", 0)) < 1.5
    assert min(at.values()) > 29


@pytest.mark.parametrize("name", ["b.avi", "b.wav", "b"])
def test_a_copy_is_refused_where_the_container_is_unknown(tmp_path: Path, name: str) -> None:
    source = write_film(tmp_path / "a.mp4", [0, 0.04])
    with pytest.raises(F2VError, match=r"does not end in one of \.mp4"):
        media.check_copy_with_sound(source, tmp_path / name)


def test_a_picture_that_the_container_does_not_take_is_refused(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.webm", [n / 25 for n in range(5)], "libvpx", 1000)
    with pytest.raises(F2VError, match=r"vp8.*\n.*mkv"):
        media.check_copy_with_sound(source, tmp_path / "b.mp4")
    media.check_copy_with_sound(source, tmp_path / "b.MKV")


def test_a_copy_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = write_film(tmp_path / "a.mp4", [0, 0.04]), tmp_path / "out" / "b.mp4"
    media.copy_with_sound(source, target, click(0.1, 0.05))
    first = target.read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(F2VError, match="cannot be written"):
        media.copy_with_sound(source, tmp_path / "file" / "b.mp4", click(0.1, 0.05))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copies, "encode_sound", stop)
    with pytest.raises(KeyboardInterrupt):
        media.copy_with_sound(source, target, click(0.1, 0.02))
    assert [path.name for path in target.parent.iterdir()] == ["b.mp4"]
    assert target.read_bytes() == first


def test_what_cannot_be_copied(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.2), RATE)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    timeless = write_film(tmp_path / "a.h264", [n / 25 for n in range(5)], clock=25)
    sound, target = click(0.1, 0.05), tmp_path / "b.mp4"
    assert kind_of(media.copy_with_sound, tmp_path / "none.mp4", target, sound) is FailureKind.FILE_MISSING
    assert kind_of(media.copy_with_sound, tmp_path / "a.wav", target, sound) is FailureKind.NO_VIDEO
    assert kind_of(media.copy_with_sound, tmp_path / "noise.mp4", target, sound) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.copy_with_sound, timeless, target, sound) is FailureKind.UNREADABLE_VIDEO
    assert not target.exists()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_piece_of_audio_is_that_piece_of_the_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"speech{suffix}"
    soundfile.write(path, np.stack([babble(3.0), 0.5 * babble(3.0)], axis=1), RATE)
    assert media.audio_duration_s(path) == pytest.approx(3.0, abs=0.1)
    whole = media.read_audio(path, RATE).samples
    piece = media.read_audio_piece(path, 1.0, 0.5, RATE).samples
    assert len(piece) == RATE // 2
    packet = 0 if suffix in {".wav", ".flac"} else 1600  # where a piece of a compressed file may begin, samples
    found = [np.corrcoef(piece, whole[RATE + shift :][: len(piece)])[0, 1] for shift in range(-packet, packet + 1)]
    assert max(found) > 0.99
    end = media.read_audio_piece(path, media.audio_duration_s(path) - 0.25, 0.5, RATE).samples
    assert 0 < len(end) < RATE // 2


def test_what_cannot_be_read_piece_by_piece_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.flac").write_bytes(b"no sound at all")
    (tmp_path / "noise.mp3").write_bytes(b"no sound at all")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    for name, kind in (
        ("noise.flac", FailureKind.UNREADABLE_AUDIO), ("noise.mp3", FailureKind.UNREADABLE_AUDIO),
        ("nowhere.wav", FailureKind.FILE_MISSING), ("empty.wav", FailureKind.EMPTY_AUDIO),
    ):  # fmt: skip
        assert kind_of(media.audio_duration_s, tmp_path / name) == kind
        assert kind_of(media.read_audio_piece, tmp_path / name, 0.0, 1.0, RATE) == kind
    media.write_video(tmp_path / "v.mp4", numbered_frames(5))
    assert kind_of(media.audio_duration_s, tmp_path / "v.mp4") == FailureKind.NO_AUDIO
