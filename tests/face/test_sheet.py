from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.sheet import inspect_sheet


def a_clip(video: Path, audio: Path | None, text: str | None = "bin blue at f two now") -> Clip:
    return Clip("s$1/na me_é $x$", "s1", video, audio, text, "test")


def drawn(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(matplotlib.image.imread(path))[..., :3]


@pytest.mark.slow
def test_a_sheet_shows_crops_and_sound(films: Path, tmp_path: Path) -> None:
    clip = a_clip(films / "talk.mp4", films / "talk.mp4")
    inspect_sheet(clip, tmp_path / "deep" / "sheet.png", columns=4, cache=tmp_path / "cache")
    picture = drawn(tmp_path / "deep" / "sheet.png")
    assert picture.shape[1] > 1200
    assert (picture[int(picture.shape[0] * 0.78) :] == 1).mean() < 0.85


@pytest.mark.slow
def test_without_audio_the_plots_give_way_to_a_note(films: Path, tmp_path: Path) -> None:
    inspect_sheet(a_clip(films / "talk.mp4", None, None), tmp_path / "mute.png", columns=4, cache=tmp_path / "cache")
    picture = drawn(tmp_path / "mute.png")
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2000
    assert (picture[int(picture.shape[0] * 0.78) :] == 1).mean() > 0.9


@pytest.mark.parametrize("film", ["wall.mp4", "half.mp4"])
def test_without_a_face_the_crops_give_way_to_a_note(films: Path, tmp_path: Path, film: str) -> None:
    inspect_sheet(a_clip(films / film, None), tmp_path / "sheet.pdf", cache=tmp_path / "cache")
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")


def test_without_a_video_there_is_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(ClipFailure) as caught:
        inspect_sheet(a_clip(tmp_path / "none.mp4", None), tmp_path / "sheet.png", cache=tmp_path)
    assert caught.value.kind is FailureKind.FILE_MISSING
    assert not (tmp_path / "sheet.png").exists()
