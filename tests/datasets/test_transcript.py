from __future__ import annotations

from pathlib import Path

import pytest

from f2v_bench.datasets.transcript import read_transcript

PRETRAIN = "Text:  SO {NS} WHAT'S  NEXT {LG}\nConf:  4\n\nWORD START END ASDSCORE\nSO 0.10 0.31 7.2\n"


@pytest.mark.parametrize(
    ("content", "plain", "words"),
    [
        (PRETRAIN, False, "SO WHAT'S NEXT"),
        (PRETRAIN, True, "SO WHAT'S NEXT"),
        ("\ufeffText:  HELLO\r\nConf:  1\r\n", False, "HELLO"),
        ("Text:  {NS}\nConf: 1\n", False, None),
        ("Conf:  1\n", False, None),
        ("hello world\n", False, None),
        ("hello\n  Wörld, “now”\n", True, "hello Wörld, “now”"),
        ("", True, None),
    ],
)
def test_transcripts(tmp_path: Path, content: str, plain: bool, words: str | None) -> None:
    path = tmp_path / "00001.txt"
    path.write_bytes(content.encode())
    assert read_transcript(path, plain=plain) == words


def test_no_file_and_no_text_are_no_transcript(tmp_path: Path) -> None:
    assert read_transcript(tmp_path / "none.txt", plain=True) is None
    (tmp_path / "bytes.txt").write_bytes(b"Text: \xff\xfe")
    assert read_transcript(tmp_path / "bytes.txt", plain=True) is None
