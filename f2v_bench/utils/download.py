"""Fetch files over HTTP: a transfer that was cut goes on where it stopped, and what arrives is verified."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from f2v_bench.errors import F2VError

_BLOCK = 1 << 20
_TIMEOUT_S = 60
_TRIES = 5
#: called with a file's name, the bytes at hand and the bytes in all (None where the server does not say)
Progress = Callable[[str, int, int | None], None]


def fetch(
    url: str,
    folder: Path,
    name: str,
    *,
    checksum: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch ``url`` into ``folder/name``; a file that is there with the right checksum is not fetched again.

    Args:
        url: http or https.
        folder: made where it is missing.
        name: of the file.
        checksum: ``sha256:<hex>`` or ``md5:<hex>`` as the publisher states it.
        size: bytes, where the publisher states them.
        progress: hears how far it is.

    Raises:
        F2VError: the address refuses, the transfer was cut too often, or what arrived is another file.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    folder.mkdir(parents=True, exist_ok=True)
    download = ResumedDownload(name, size, folder / f"{name}.part", progress)
    try:
        return Path(pooch.retrieve(url, checksum, fname=name, path=folder, downloader=download))
    except ValueError as error:  # pooch's word for a wrong hash; it has deleted the file
        raise F2VError(f"{url} is not the file that was published: {error}", "run the command again") from error


def open_url(url: str, start: int = 0) -> HTTPResponse:
    """A request for what follows byte ``start``."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise F2VError(f"'{url}' is no web address", "an address begins with https://")
    headers = {"User-Agent": "f2v-bench", **({"Range": f"bytes={start}-"} if start else {})}
    response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    return response


@dataclass(frozen=True, slots=True)
class ResumedDownload:
    """A downloader for pooch that keeps what has come in a ``.part`` file and asks for the rest of it.

    Attributes:
        name: of the file.
        size: bytes, where the publisher states them.
        part: where to keep it until it is whole.
        progress: hears how far it is.
    """

    name: str
    size: int | None
    part: Path
    progress: Progress | None = None

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Fetch ``url`` into ``output_file``; the signature is pooch's.

        Raises:
            F2VError: the address refuses, or the transfer was cut too often.
        """
        cut: Exception | None = None
        for _ in range(_TRIES):
            try:
                if self._transfer(url):
                    self.part.replace(output_file)
                    return
            except HTTPError as error:
                if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self._at_hand():
                    self.part.unlink()  # more at hand than the server has: of another file
                    continue
                raise F2VError(f"{url} answers {error.code} {error.reason}", "run the command again later") from error
            except (TimeoutError, ConnectionError, URLError, HTTPException) as error:
                cut = error
        raise F2VError(
            f"the transfer of {url} was cut {_TRIES} times, with {self._at_hand()} of {self.size} bytes at hand"
            + (f": {cut}" if cut else ""),
            "run the command again: it goes on from there",
        ) from cut

    def _at_hand(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _transfer(self, url: str) -> bool:
        """One request; whether the file is whole after it."""
        start, whole = self._at_hand(), self.size
        if whole is not None and start >= whole:
            if start == whole:
                return True
            self.part.unlink()
            start = 0
        with open_url(url, start) as response:
            if response.status != HTTPStatus.PARTIAL_CONTENT:
                start = 0  # a server that cannot resume sends all of it again
            length = response.headers.get("Content-Length")
            whole = whole or (start + int(length) if length else None)
            with self.part.open("ab" if start else "wb") as file:
                while block := response.read(_BLOCK):
                    file.write(block)
                    start += len(block)
                    if self.progress:
                        self.progress(self.name, start, whole)
        return whole is None or start == whole
