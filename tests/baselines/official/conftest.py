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
from f2v_bench.face.crops import FaceCrops
from f2v_bench.nn.encoders import pretrained as identity
from tests.clips import tone, write_clip

Notes = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    """What the stand-ins saw, in order."""
    path = tmp_path / "notes.jsonl"
    monkeypatch.setenv("STANDIN_NOTES", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def accident(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Order accidents from the stand-ins: by stage, then by the number of the utterance."""
    return lambda **orders: monkeypatch.setenv("STANDIN", json.dumps(orders))


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, ...]:
    """Four clips of two speakers, 1 to 1.6 s, each with a tone of its own; ids have letters that tools stumble over."""
    root = tmp_path_factory.mktemp("filmed")
    made = []
    for at, (talk, name) in enumerate([("a-n_n'", "00001"), ("a-n_n'", "00002"), ("bob", "00001"), ("bob", "00002")]):
        clip = write_clip(root / "test" / talk / f"{name}.mp4", 1 + at / 5, tone(1 + at / 5, 200.0 + 100 * at))
        made.append(replace(clip, id=f"test/{talk}/{name}", speaker=talk))
    return tuple(made)


@pytest.fixture
def clips(filmed: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[Clip, ...]:
    """The clips, with lips whose level tells the frame, and voices that tell the length of the speech they are of."""

    def cropped(video: Path, **_: Any) -> FaceCrops:
        if video.stem == "faceless":
            raise ClipFailure(FailureKind.NO_FACE, "nobody there")
        clip = next(one for one in filmed if one.video == video)
        return seen(25 + 5 * filmed.index(clip))

    def embed(heard: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        return np.eye(256, dtype=np.float32)[[len(samples) // 640 for samples in heard]]

    monkeypatch.setattr(crops_module, "face_crops", cropped)
    monkeypatch.setattr(identity, "speaker_encoder", lambda: SimpleNamespace(embed=embed))
    return filmed


def levels(frames: int) -> np.ndarray[Any, Any]:
    """Grey level of every frame of made-up lips, in [0, 1]; neighbours differ."""
    return (30 + 7 * np.arange(frames) % 200) / 255


def seen(frames: int) -> FaceCrops:
    """Crops whose lips have ``levels``."""
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
    """Failure kinds, ``ok`` for a waveform."""
    return [str(one.kind) if isinstance(one, ClipFailure) else "ok" for one in outcomes]
