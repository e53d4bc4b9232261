from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.demo import Demo, corpus
from f2v_bench.datasets.demo.corpus import PEOPLE, generate, plan, render
from f2v_bench.datasets.demo.render.scene import film
from f2v_bench.errors import F2VError
from f2v_bench.media import read_audio, read_video, video_info


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader", reason="uv sync --extra demo")
    return generate(tmp_path_factory.mktemp("demo"), 3)


def test_plans_share_no_sentence_and_no_person_between_splits() -> None:
    plans = [plan(0, index) for index in range(1000)]
    assert len({clip.sentence for clip in plans}) == 1000
    shares = Counter(clip.split for clip in plans)
    assert shares == {"train": 800, "val": 80, "test": 120}
    people = {split: {clip.person.name for clip in plans if clip.split == split} for split in PEOPLE}
    assert [len(people[split]) for split in ("train", "val", "test")] == [80, 8, 12]
    assert not people["train"] & people["test"]
    assert not people["val"] & (people["test"] | people["train"])


def test_the_first_three_clips_cover_all_splits() -> None:
    assert {plan(7, index).split for index in range(3)} == {"train", "val", "test"}


def test_another_seed_is_another_corpus() -> None:
    first, second = plan(0, 4), plan(1, 4)
    assert first.sentence != second.sentence
    assert first.person.traits != second.person.traits


def test_files_and_manifest(three: Path) -> None:
    with (three / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert not list(three.rglob("*.part*"))
    assert json.loads((three / "corpus.json").read_text())["seed"] == 0
    for row in rows:
        clip = plan(0, int(row["index"]))
        assert (row["clip_id"], row["transcript"], row["split"]) == (clip.clip_id, clip.sentence, clip.split)
        video = three / row["path"]
        info = video_info(video)
        assert (info.width, info.height, info.source_fps, info.has_audio) == (192, 192, 25, True)
        assert info.duration_s == pytest.approx(float(row["duration_s"]))
        timing = json.loads(video.with_suffix(".json").read_text())["phones"]
        assert {word for *_, word in timing} >= set(range(6))
        assert 0.1 < timing[0][1] < timing[-1][2] < info.duration_s - 0.1


@pytest.mark.slow
def test_rendering_is_deterministic_and_close_to_the_file(three: Path) -> None:
    clip = plan(0, 1)
    first, second = render(clip), render(clip)
    frames = np.stack(list(first.frames))
    assert np.array_equal(frames, np.stack(list(second.frames)))
    assert first.audio.sha256 == second.audio.sha256
    assert len(frames) == first.count
    decoded = read_video(three / clip.path)
    assert psnr(decoded, frames) > 32
    audio = read_audio(three / clip.path).samples[: len(first.audio.samples)]
    assert np.corrcoef(audio, first.audio.samples[: len(audio)])[0, 1] > 0.95


def test_complete_clips_are_kept_and_missing_ones_rendered(three: Path) -> None:
    paths = [three / plan(0, index).path for index in range(3)]
    before = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    steps: list[tuple[int, int]] = []
    generate(three, 3, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(2, 3), (3, 3)]
    after = [path.stat().st_mtime_ns for path in paths]
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] > before[1]


@pytest.mark.slow
def test_an_interruption_leaves_complete_clips_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="uv sync --extra demo")

    def interrupted(*args: Any) -> Iterator[NDArray[np.uint8]]:
        yield from list(film(*args))[:5]
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus, "film", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, 1)
    assert [path for path in tmp_path.rglob("*.mp4") if not path.name.startswith(".")] == []
    with pytest.raises(F2VError, match="make-demo"):
        Demo(DatasetOptions(root=tmp_path))
    monkeypatch.undo()
    generate(tmp_path, 1)
    assert [path.name for path in tmp_path.rglob("*.mp4")] == [f"{plan(0, 0).code}.mp4"]


@pytest.mark.slow
def test_workers_render_equal_clips(three: Path, tmp_path: Path) -> None:
    generate(tmp_path, 2, workers=2)
    for index in range(2):
        path = plan(0, index).path
        timing = Path(path).with_suffix(".json")
        assert (tmp_path / timing).read_bytes() == (three / timing).read_bytes()
        assert psnr(read_video(tmp_path / path), read_video(three / path)) > 40


def test_a_corpus_file_with_the_earlier_license_key_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "corpus.json"
    earlier = json.dumps({"generator": "f2v-bench demo", "version": 1, "seed": 0, "licence": "MIT"})
    file.write_text(earlier)
    corpus._write_corpus_file(tmp_path, 0)
    assert file.read_text() == earlier
    with pytest.raises(F2VError, match="seed 0"):
        corpus._write_corpus_file(tmp_path, 1)


def test_a_folder_of_another_seed_is_refused(three: Path) -> None:
    with pytest.raises(F2VError, match="seed 0"):
        generate(three, 3, seed=1)


@pytest.mark.parametrize(
    ("clips", "split", "match"), [(0, None, "0 clips"), (70_000, None, "64000"), (3, "dev", "dev")]
)
def test_impossible_counts_and_splits_are_refused(tmp_path: Path, clips: int, split: str | None, match: str) -> None:
    with pytest.raises(F2VError, match=match):
        generate(tmp_path / "new", clips, split=split)
    assert not (tmp_path / "new").exists()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(F2VError, match="writable folder"):
        generate(path, 1)


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-12)))
