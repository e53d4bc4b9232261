from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.datasets.base import DatasetOptions, list_sha256
from f2v_bench.datasets.demo import PACKAGED, PACKAGED_BY, PACKAGED_SHA256, Demo
from f2v_bench.datasets.grid_sentences import decode_sentence
from f2v_bench.errors import F2VError
from f2v_bench.media import clip_audio, read_video


def test_packaged_clips() -> None:
    demo = Demo(DatasetOptions())
    clips = demo.clips()
    assert len(clips) == 24
    assert demo.list_id == "demo/test"
    assert list_sha256(clip.id for clip in clips) == PACKAGED_SHA256
    assert len({clip.speaker for clip in clips}) == 12
    assert sum(path.stat().st_size for path in PACKAGED.rglob("*") if path.is_file()) < 3_000_000
    for clip in clips:
        assert clip.id == f"{clip.speaker}/{clip.video.stem}"
        assert clip.text == decode_sentence(clip.video.stem)
        assert clip.split == "test"
        assert clip.video == clip.audio
        assert clip.video.is_file()
    audio = clip_audio(clips[0], 16_000)
    assert audio.duration_s == pytest.approx(clips[0].duration_s)
    assert np.abs(audio.samples).max() > 0.05


def test_packaged_people_are_not_in_the_training_split() -> None:
    from f2v_bench.datasets.demo.corpus import plan

    training = [plan(0, index) for index in range(3000)]
    training = [clip for clip in training if clip.split == "train"]
    clips = Demo(DatasetOptions()).clips()
    assert not {clip.speaker for clip in clips} & {clip.person.name for clip in training}
    assert not {clip.text for clip in clips} & {clip.sentence for clip in training}


@pytest.mark.slow
def test_the_generator_reproduces_the_packaged_clips() -> None:
    pytest.importorskip("espeakng_loader", reason="uv sync --extra demo")
    from f2v_bench.datasets.demo.corpus import plan, render

    seed = PACKAGED_BY["seed"]
    assert isinstance(seed, int)
    clip = plan(seed, 9)
    frames = np.stack(list(render(clip).frames)).astype(np.float64)
    shipped = read_video(PACKAGED / clip.path).astype(np.float64)
    assert shipped.shape == frames.shape
    assert 10 * np.log10(255**2 / np.mean((shipped - frames) ** 2)) > 32


def test_a_list_file_selects_clips(tmp_path: Path) -> None:
    selected = [clip.id for clip in Demo(DatasetOptions()).clips()][3:6]
    listed = tmp_path / "three.txt"
    listed.write_text("\n".join(selected))
    demo = Demo(DatasetOptions(list_file=listed))
    assert [clip.id for clip in demo.clips()] == selected
    assert demo.list_id.startswith("demo/test~3clips-")


def test_a_missing_split_is_an_error() -> None:
    with pytest.raises(F2VError, match="train"):
        Demo(DatasetOptions(split="train")).clips()


def test_a_folder_without_a_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="make-demo"):
        Demo(DatasetOptions(root=tmp_path))


def test_the_grammar_holds_every_sentence() -> None:
    grammar = Demo(DatasetOptions()).grammar
    assert all(word in grammar for clip in Demo(DatasetOptions()).clips() for word in (clip.text or "").split())


def test_importing_the_dataset_imports_no_heavy_package() -> None:
    code = (
        "import sys, f2v_bench.datasets.demo;"
        "print(sorted({'numpy', 'cv2', 'librosa', 'torch', 'espeakng_loader'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
