from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from f2v_bench import assets
from f2v_bench.assets import Asset
from tests.cli.conftest import Output
from tests.clips import babble, write_clip

Command = Callable[..., Output]


def test_help_names_every_command_with_examples(f2v: Command) -> None:
    output = f2v("--help")
    assert output.code == 0
    for name in ("run", "score", "train", "report", "data", "assets", "doctor"):
        assert name in output.out
        assert f2v(name, "--help").code == 0
    assert "precomputed:wavs/lipvoicer" in f2v("run", "--help").out


def test_version(f2v: Command) -> None:
    assert f2v("--version").out.strip().count(".") == 2


@pytest.mark.slow
def test_report_rewrites_the_files_of_a_run(f2v: Command, tmp_path: Path) -> None:
    for index in range(3):
        write_clip(tmp_path / "videos" / f"{index}.mp4", 0.8, babble(0.8, index))
    words = (
        "-d",
        "folder",
        "--data-root",
        "videos",
        "--no-faces",
        "--metrics",
        "stoi",
        "-m",
        "ground-truth",
        "-o",
        "r",
    )
    assert f2v("run", *words).code == 0
    before = (tmp_path / "r/table.md").read_text()
    for name in ("table.md", "spectrograms.png"):
        (tmp_path / "r" / name).unlink()
    output = f2v("report", "r", "--clip", "2")
    assert output.code == 0
    assert (tmp_path / "r/table.md").read_text() == before
    assert (tmp_path / "r/spectrograms.png").is_file()
    assert f2v("report", "r", "--clip", "7").code == 2
    output = f2v("report", "r", "--columns", "estoi")
    assert "ESTOI" in output.out
    assert (tmp_path / "r/table.md").read_text().count("ESTOI") == 1
    assert "| STOI" not in (tmp_path / "r/table.md").read_text()
    assert "did you mean 'estoi'" in f2v("report", "r", "--columns", "esto").err
    assert "is not a run folder" in f2v("report", "videos").err


def test_data_list_has_instructions_for_each_corpus(f2v: Command) -> None:
    output = f2v("data", "list")
    assert output.code == 0
    for name in ("demo", "folder", "grid", "lrs2", "lrs3"):
        assert name in output.out
    assert "--data-root" in output.out


def test_inspect_draws_one_image(f2v: Command, tmp_path: Path) -> None:
    write_clip(tmp_path / "s" / "a.mp4", 0.8)
    output = f2v("data", "inspect", "s/a.mp4", "-o", "sheet.png")
    assert output.code == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert f2v("data", "inspect", "s/none.mp4").code == 2
    assert f2v("data", "inspect", "s/a.mp4", "-o", "no/such/folder/sheet.png").code == 2


def test_pull_needs_a_folder_and_an_open_corpus(f2v: Command) -> None:
    assert "only grid is open" in f2v("data", "pull", "lrs3", "--speaker", "s1", "--data-root", "x").err
    assert "no folder to pull into" in f2v("data", "pull", "grid", "--speaker", "s1").err


def test_assets_are_listed_found_and_verified(f2v: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Asset("toy", "toy.bin", hashlib.sha256(b"toy").hexdigest(), "MIT", "a test", instructions="ask the test")
    monkeypatch.setitem(assets.ASSETS, "toy", toy)
    assert "toy" in f2v("assets", "list").out
    missing = f2v("assets", "path", "toy")
    assert missing.code == 2
    assert "ask the test" in missing.err
    (tmp_path / ".assets").mkdir()
    (tmp_path / ".assets/toy.bin").write_bytes(b"toy")
    assert f2v("assets", "path", "toy").out.strip() == str(tmp_path / ".assets/toy.bin")
    assert f2v("assets", "verify", "toy").code == 0
    (tmp_path / ".assets/toy.bin").write_bytes(b"another")
    wrong = f2v("assets", "verify", "toy")
    assert wrong.code == 2
    assert "DIFFERS" in wrong.out


def test_doctor_lists_missing_parts_and_their_use(f2v: Command) -> None:
    output = f2v("doctor")
    assert output.code == 0
    text = " ".join(output.out.replace("│", " ").split())
    assert "whisper-large-v3" in text
    assert "assets pull" in text
    assert "corpus lrs3" in text
    assert "metric dnsmos" in text
