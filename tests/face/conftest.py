"""Videos of a drawn face, written once for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f2v_bench.clip import Waveform
from f2v_bench.media import write_video

from .drawing import empty, talking


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ``talk.mp4`` (50 frames, with audio), ``half.mp4`` (a face in 24 of 50) and ``wall.mp4``."""
    folder = tmp_path_factory.mktemp("films")
    frames, _ = talking(50)
    t = np.arange(32_000) / 16_000
    sound = Waveform((0.3 * np.sin(2 * np.pi * 150 * t) * (np.sin(9 * t) > 0)).astype(np.float32), 16_000)
    write_video(folder / "talk.mp4", frames, sound)
    write_video(folder / "half.mp4", frames[:24] + [empty()] * 26)
    write_video(folder / "wall.mp4", [empty()] * 30)
    return folder
