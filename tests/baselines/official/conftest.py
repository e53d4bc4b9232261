from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face import crops as crops_module
from f2v_bench.face.records import FaceCrops
from f2v_bench.nn.encoders import pretrained as identity
from tests.clips import tone, write_clip

Notes = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    """Return the recorded inputs of the stand-ins, in order."""
    path = tmp_path / "notes.jsonl"
    monkeypatch.setenv("STANDIN_NOTES", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def accident(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Order failures of the stand-ins by stage, then by number of the utterance."""
    return lambda **orders: monkeypatch.setenv("STANDIN", json.dumps(orders))


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, ...]:
    """Four clips of two speakers, 1 to 1.6 s, each with its own tone; ids have characters that break tools."""
    root = tmp_path_factory.mktemp("filmed")
    made = []
    for at, (talk, name) in enumerate([("a-n_n'", "00001"), ("a-n_n'", "00002"), ("bob", "00001"), ("bob", "00002")]):
        clip = write_clip(root / "test" / talk / f"{name}.mp4", 1 + at / 5, tone(1 + at / 5, 200.0 + 100 * at))
        made.append(replace(clip, id=f"test/{talk}/{name}", speaker=talk))
    return tuple(made)


@pytest.fixture
def clips(filmed: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[Clip, ...]:
    """Clips whose lip crops encode the frame, and speaker embeddings that encode the length of the speech."""

    def cropped(video: Path, **_: Any) -> FaceCrops:
        if video.stem == "faceless":
            raise ClipFailure(FailureKind.NO_FACE, "nobody there")
        clip = next(one for one in filmed if one.video == video)
        return make_crops(25 + 5 * filmed.index(clip))

    def embed(waveforms: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        return np.eye(256, dtype=np.float32)[[len(samples) // 640 for samples in waveforms]]

    monkeypatch.setattr(crops_module, "face_crops", cropped)
    monkeypatch.setattr(identity, "speaker_encoder", lambda: SimpleNamespace(embed=embed))
    return filmed


def levels(frames: int) -> np.ndarray[Any, Any]:
    """Return the gray level of every frame of synthetic lip crops, in [0, 1]; adjacent frames differ."""
    return (30 + 7 * np.arange(frames) % 200) / 255


def make_crops(frames: int) -> FaceCrops:
    """Return crops whose lips have ``levels``."""
    flat = np.rint(255 * levels(frames)).astype(np.uint8)
    return FaceCrops(
        lips=np.broadcast_to(flat[:, None, None], (frames, 96, 96)),
        face=np.zeros((frames, 112, 112, 3), np.uint8),
        boxes=np.zeros((frames, 4), np.float32),
        points=np.zeros((frames, 5, 2), np.float32),
        visible=np.ones(frames, np.bool_),
        detector="cascade",
    )


def kinds(outcomes: list[Any]) -> list[str]:
    """Return failure kinds, ``ok`` for a waveform."""
    return [str(one.kind) if isinstance(one, ClipFailure) else "ok" for one in outcomes]
