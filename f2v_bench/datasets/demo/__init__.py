"""Demo corpus: synthetic talking faces rendered by the project; 24 test clips ship with the package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions, list_sha256
from f2v_bench.datasets.grid_sentences import JSGF
from f2v_bench.datasets.lists import ListedDataset, list_name, read_list, select_listed
from f2v_bench.datasets.manifest import Entry, read_manifest
from f2v_bench.errors import F2VError

PACKAGED = Path(__file__).parent / "clips"
#: arguments of the packaged clips: ``generate(PACKAGED, **PACKAGED_BY)``
PACKAGED_BY = {"clips": 200, "seed": 0, "split": "test"}
#: ``list_sha256`` of the ids of the packaged clips
PACKAGED_SHA256 = "4568460cb75e75ad677824a555770e8b26e84e0da39dba27caaecef639d02ff1"


class Demo(ListedDataset):
    """Demo corpus. Clip ids are ``<person>/<code>``; the code spells a GRID sentence.

    Without a root it is the packaged test split; a root is a folder that ``f2v-bench data make-demo`` wrote.
    """

    name = "demo"
    summary = "synthetic talking faces, 100 people, GRID sentences, 25 fps, 192x192; 24 test clips ship with the suite"
    license = "MIT; speech by espeak-ng"
    instructions = "Run 'f2v-bench data make-demo --clips N -o DIR'"

    def __init__(self, options: DatasetOptions) -> None:
        super().__init__(options)
        self.root = options.root or PACKAGED
        if not (self.root / "manifest.csv").is_file():
            raise F2VError(
                f"there is no demo corpus at '{self.root}': no manifest.csv",
                f"{self.root_help()}; make-demo on a folder that was interrupted goes on where it stopped",
            )

    @property
    def grammar(self) -> str:
        return JSGF

    def _read(self) -> Iterable[Clip]:
        manifest = read_manifest(self.root / "manifest.csv")
        listed = self.options.list_file
        if listed is None:
            return [_clip(entry) for entry in manifest.select_split(self.split)]
        known = {entry.id: _clip(entry) for entry in manifest.entries}
        return select_listed(listed, read_list(listed), known.get)

    def _list_name(self) -> str:
        ids = [clip.id for clip in self.clips()]
        return "demo/test" if list_sha256(ids) == PACKAGED_SHA256 else list_name(f"demo/{self.split}", ids, own=False)


def _clip(entry: Entry) -> Clip:
    return Clip(
        id=entry.id,
        speaker=entry.speaker or entry.id.partition("/")[0],
        video=entry.video,
        audio=entry.video,
        text=entry.text,
        split=entry.split or "",
        duration_s=entry.duration_s,
    )
