"""Downloads over HTTP that resume after an interruption and verify the file."""

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
#: callback with file name, bytes received and bytes in total (None where the server does not state it)
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
    """Fetch ``url`` into ``folder/name``, unless a file with the right checksum is there.

    Args:
        url: address with scheme http or https.
        folder: target folder, created where it is missing.
        name: file name.
        checksum: ``sha256:<hex>`` or ``md5:<hex>`` as the publisher states it.
        size: size in bytes, where the publisher states it.
        progress: callback after every block.

    Raises:
        F2VError: the server refuses, the transfer was interrupted too often, or the file has another checksum.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    folder.mkdir(parents=True, exist_ok=True)
    download = ResumedDownload(name, size, folder / f"{name}.part", progress)
    try:
        return Path(pooch.retrieve(url, checksum, fname=name, path=folder, downloader=download))
    except ValueError as error:  # pooch's error for a wrong hash; it has deleted the file
        raise F2VError(f"{url} is not the file that was published: {error}", "run the command again") from error


def open_url(url: str, start: int = 0) -> HTTPResponse:
    """Request the content from byte ``start`` on."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise F2VError(f"'{url}' is not a web address", "use an address that starts with https://")
    headers = {"User-Agent": "f2v-bench", **({"Range": f"bytes={start}-"} if start else {})}
    response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    return response


@dataclass(frozen=True, slots=True)
class ResumedDownload:
    """Downloader for pooch that keeps received bytes in a ``.part`` file and requests the rest.

    Attributes:
        name: file name.
        size: size in bytes, where the publisher states it.
        part: file of the received bytes until the download is complete.
        progress: callback after every block.
    """

    name: str
    size: int | None
    part: Path
    progress: Progress | None = None

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Fetch ``url`` into ``output_file``; the signature is pooch's.

        Raises:
            F2VError: the server refuses, or the transfer was interrupted too often.
        """
        interruption: Exception | None = None
        for _ in range(_TRIES):
            try:
                if self._transfer(url):
                    self.part.replace(output_file)
                    return
            except HTTPError as error:
                if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self._received():
                    self.part.unlink()  # longer than the file on the server: left over from another file
                    continue
                raise F2VError(f"{url} returned {error.code} {error.reason}", "run the command again later") from error
            except (TimeoutError, ConnectionError, URLError, HTTPException) as error:
                interruption = error
        raise F2VError(
            f"the transfer of {url} was interrupted {_TRIES} times after {self._received()} of {self.size} bytes"
            + (f": {interruption}" if interruption else ""),
            "run the same command to resume",
        ) from interruption

    def _received(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _transfer(self, url: str) -> bool:
        """Make one request and return whether the file is complete."""
        start, total = self._received(), self.size
        if total is not None and start >= total:
            if start == total:
                return True
            self.part.unlink()
            start = 0
        with open_url(url, start) as response:
            if response.status != HTTPStatus.PARTIAL_CONTENT:
                start = 0  # a server that cannot resume sends the whole file again
            length = response.headers.get("Content-Length")
            total = total or (start + int(length) if length else None)
            with self.part.open("ab" if start else "wb") as file:
                while block := response.read(_BLOCK):
                    file.write(block)
                    start += len(block)
                    if self.progress:
                        self.progress(self.name, start, total)
        return total is None or start == total
