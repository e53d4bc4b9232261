from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from f2v_bench import media
from f2v_bench.clip import Waveform
from f2v_bench.errors import FailureKind
from tests.clips import RATE, babble, numbered_frames, tone
from tests.media.failures import kind_of


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


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_segment_equals_that_part_of_the_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"speech{suffix}"
    soundfile.write(path, np.stack([babble(3.0), 0.5 * babble(3.0)], axis=1), RATE)
    assert media.audio_duration_s(path) == pytest.approx(3.0, abs=0.1)
    whole = media.read_audio(path, RATE).samples
    segment = media.read_audio_segment(path, 1.0, 0.5, RATE).samples
    assert len(segment) == RATE // 2
    packet = 0 if suffix in {".wav", ".flac"} else 1600  # samples: tolerance of the start in a compressed file
    found = [np.corrcoef(segment, whole[RATE + shift :][: len(segment)])[0, 1] for shift in range(-packet, packet + 1)]
    assert max(found) > 0.99
    end = media.read_audio_segment(path, media.audio_duration_s(path) - 0.25, 0.5, RATE).samples
    assert 0 < len(end) < RATE // 2


def test_failure_kinds_of_segments(tmp_path: Path) -> None:
    (tmp_path / "noise.flac").write_bytes(b"no sound at all")
    (tmp_path / "noise.mp3").write_bytes(b"no sound at all")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    for name, kind in (
        ("noise.flac", FailureKind.UNREADABLE_AUDIO), ("noise.mp3", FailureKind.UNREADABLE_AUDIO),
        ("nowhere.wav", FailureKind.FILE_MISSING), ("empty.wav", FailureKind.EMPTY_AUDIO),
    ):  # fmt: skip
        assert kind_of(media.audio_duration_s, tmp_path / name) == kind
        assert kind_of(media.read_audio_segment, tmp_path / name, 0.0, 1.0, RATE) == kind
    media.write_video(tmp_path / "v.mp4", numbered_frames(5))
    assert kind_of(media.audio_duration_s, tmp_path / "v.mp4") == FailureKind.NO_AUDIO
