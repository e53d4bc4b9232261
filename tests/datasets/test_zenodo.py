from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.grid import Grid
from f2v_bench.datasets.zenodo import pull_grid
from f2v_bench.errors import F2VError


def make_zip(entries: dict[str, bytes]) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return body.getvalue()


def noise(seed: str, size: int) -> bytes:
    return b"".join(hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(size // 32))


class Zenodo(ThreadingHTTPServer):
    """Fake record with files, served with ranges; ``cuts`` is the number of transfers that stop half-way."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cuts = 0
        self.ranges = True
        self.record_extra: dict[str, dict[str, object]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def record(self) -> bytes:
        files = [
            {
                "key": name,
                "size": len(body),
                "checksum": f"md5:{hashlib.md5(body).hexdigest()}",
                "links": {"self": f"{self.url}/files/{name}/content"},
            }
            | self.record_extra.get(name, {})
            for name, body in self.files.items()
        ]
        return json.dumps({"id": 1, "files": files}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Zenodo

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        if self.path == "/record":
            return self.answer(200, self.server.record)
        name = self.path.split("/")[2]
        if name not in self.server.files:
            return self.answer(404, b"")
        body = self.server.files[name]
        stated = self.headers.get("Range") if self.server.ranges else None
        start = int(stated.removeprefix("bytes=").removesuffix("-")) if stated else 0
        if start >= len(body):
            return self.answer(416, b"")
        return self.answer(206 if stated else 200, body[start:], cuttable=True)

    def answer(self, status: int, body: bytes, *, cuttable: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cuttable and self.server.cuts > 0:
            self.server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def zenodo() -> Iterator[Zenodo]:
    server = Zenodo()
    server.files = {
        "s1.zip": make_zip({"s1/bbaf2n.mpg": noise("a", 3 << 20), "s1/sbia1a.mpg": noise("b", 1 << 20)}),
        "alignments.zip": make_zip({"alignments/s1/bbaf2n.align": b"0 23750 sil\n", "__MACOSX/._x": b"junk"}),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def pull(zenodo: Zenodo, root: Path, speaker: str = "s1") -> Path:
    return pull_grid(speaker, root, base_url=f"{zenodo.url}/record")


def check(root: Path) -> None:
    assert (root / "s1/bbaf2n.mpg").read_bytes() == noise("a", 3 << 20)
    assert (root / "s1/sbia1a.mpg").read_bytes() == noise("b", 1 << 20)
    assert (root / "alignments/s1/bbaf2n.align").read_bytes() == b"0 23750 sil\n"
    assert sorted(path.name for path in (root / ".f2v-pull").iterdir()) == ["alignments.done", "s1.done"]


def test_pull_writes_the_published_layout(zenodo: Zenodo, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    root = tmp_path / "GRID größe"
    folder = pull_grid("s1", root, base_url=f"{zenodo.url}/record", progress=lambda *all_: heard.append(all_))
    assert folder == root / "s1"
    check(root)
    clips = [clip for split in ("train", "val", "test") for clip in _clips(root, split)]
    assert sorted(clips) == ["s1/bbaf2n", "s1/sbia1a"]
    sizes = {name: len(body) for name, body in zenodo.files.items()}
    assert {name: total for name, _, total in heard} == sizes
    assert {name: max(done for other, done, _ in heard if other == name) for name in sizes} == sizes


def _clips(root: Path, split: str) -> list[str]:
    try:
        return [clip.id for clip in Grid(DatasetOptions(root, split)).clips()]
    except F2VError:  # two clips cannot fill three splits
        return []


def test_an_interrupted_transfer_resumes(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.cuts = 1
    pull(zenodo, tmp_path)
    check(tmp_path)
    asked = [stated for path, stated in zenodo.requests if "s1.zip" in path]
    assert asked == [None, f"bytes={len(zenodo.files['s1.zip']) // 2}-"]


def test_a_stopped_pull_is_resumed_by_the_next(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.cuts = 99
    with pytest.raises(F2VError, match="was interrupted 5 times") as caught:
        pull(zenodo, tmp_path)
    assert "run the same command" in caught.value.do
    part = tmp_path / ".f2v-pull/s1.zip.part"
    kept = part.stat().st_size
    assert zenodo.files["s1.zip"].startswith(part.read_bytes())
    assert kept > len(zenodo.files["s1.zip"]) // 2
    assert not (tmp_path / "s1").exists()
    zenodo.cuts = 0
    zenodo.requests.clear()
    pull(zenodo, tmp_path)
    check(tmp_path)
    assert ("/files/s1.zip/content", f"bytes={kept}-") in zenodo.requests


def test_a_server_without_ranges_sends_all_again(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.ranges = False
    zenodo.cuts = 1
    pull(zenodo, tmp_path)
    check(tmp_path)


def test_pulling_again_requests_nothing(zenodo: Zenodo, tmp_path: Path) -> None:
    pull(zenodo, tmp_path)
    zenodo.requests.clear()
    pull(zenodo, tmp_path)
    assert zenodo.requests == []
    zenodo.files["s2.zip"] = make_zip({"s2/bbaf2n.mpg": b"x"})
    pull(zenodo, tmp_path, "s2")
    assert [path for path, _ in zenodo.requests] == ["/record", "/files/s2.zip/content"]


def test_a_file_without_a_folder_inside_goes_into_its_own(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.files["s1.zip"] = make_zip({"bbaf2n.mpg": noise("a", 3 << 20), "sbia1a.mpg": noise("b", 1 << 20)})
    pull(zenodo, tmp_path)
    check(tmp_path)


def test_a_wrong_checksum_is_refused_and_fetched_anew(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.record_extra["s1.zip"] = {"checksum": f"md5:{'0' * 32}"}
    with pytest.raises(F2VError, match="not the file that was published"):
        pull(zenodo, tmp_path)
    assert not (tmp_path / "s1").exists()
    zenodo.record_extra.clear()
    pull(zenodo, tmp_path)
    check(tmp_path)


def test_a_damaged_part_file_is_found_out(zenodo: Zenodo, tmp_path: Path) -> None:
    part = tmp_path / ".f2v-pull/s1.zip.part"
    part.parent.mkdir()
    part.write_bytes(b"junk" * 100)
    with pytest.raises(F2VError, match="not the file that was published"):
        pull(zenodo, tmp_path)
    part.write_bytes(bytes(len(zenodo.files["s1.zip"]) + 1))  # longer than the file: of another version
    pull(zenodo, tmp_path)
    check(tmp_path)


def test_size_and_checksum_may_be_unknown(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.record_extra = {name: {"checksum": None, "size": None} for name in zenodo.files}
    zenodo.cuts = 1
    pull(zenodo, tmp_path)
    check(tmp_path)


def test_a_part_longer_than_a_file_of_unknown_size_is_dropped(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.record_extra = {name: {"size": None} for name in zenodo.files}
    part = tmp_path / ".f2v-pull/s1.zip.part"
    part.parent.mkdir()
    part.write_bytes(bytes(len(zenodo.files["s1.zip"]) + 1))
    pull(zenodo, tmp_path)
    check(tmp_path)


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("s1/link.mpg")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize("name", ["../evil.mpg", "/tmp/evil.mpg", "s1/../../evil.mpg", "s1\\..\\evil.mpg", None])
def test_entries_that_leave_the_folder_are_refused(zenodo: Zenodo, tmp_path: Path, name: str | None) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        file.writestr("s1/good.mpg", b"x")
        file.writestr(name or link(), "/etc/passwd")
    zenodo.files["s1.zip"] = body.getvalue()
    root = tmp_path / "deep" / "root"
    with pytest.raises(F2VError, match="outside its folder or is a link"):
        pull(zenodo, root)
    assert not (root / "s1").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_a_file_that_is_not_a_zip_is_refused(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.files["s1.zip"] = b"<html>try later</html>"
    with pytest.raises(F2VError, match="cannot be unpacked"):
        pull(zenodo, tmp_path)


@pytest.mark.parametrize("speaker", ["s0", "s21", "s35", "1", "s1/../s2", "S1", "s01", ""])
def test_unknown_speakers(tmp_path: Path, speaker: str) -> None:
    with pytest.raises(F2VError, match="no videos of a speaker"):
        pull_grid(speaker, tmp_path)


def test_a_record_that_is_something_else(zenodo: Zenodo, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match=r"no file 's2\.zip'"):
        pull(zenodo, tmp_path, "s2")
    with pytest.raises(F2VError, match="cannot be read: HTTP Error 404"):
        pull_grid("s1", tmp_path, base_url=f"{zenodo.url}/files/none")
    with pytest.raises(F2VError, match="is not a record"):
        pull_grid("s1", tmp_path, base_url=f"{zenodo.url}/files/s1.zip/content")
    with pytest.raises(F2VError, match="is not a web address"):
        pull_grid("s1", tmp_path, base_url="file:///etc/passwd")
    zenodo.record_extra["s1.zip"] = {"links": {"self": "file:///etc/passwd"}}
    with pytest.raises(F2VError, match="is not a web address"):
        pull(zenodo, tmp_path)
    zenodo.record_extra["s1.zip"] = {"links": {"self": f"{zenodo.url}/files/gone/content"}}
    with pytest.raises(F2VError, match="returned 404"):
        pull(zenodo, tmp_path)


def test_no_network_and_no_room_to_write(zenodo: Zenodo, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="cannot be read"):
        pull_grid("s1", tmp_path, base_url="http://127.0.0.1:9/record")
    (tmp_path / "file").touch()
    with pytest.raises(F2VError, match="cannot write the corpus"):
        pull(zenodo, tmp_path / "file" / "root")
