"""Prepared clips in memory as far as they fit, and the labels of their sound."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import get_worker_info

from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.signal.mel import FLOOR, HOP
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME, UNITS_PER_VIDEO_FRAME
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.prepare import Prepared
from f2v_bench.training.data.units import MfccUnits, fit_units
from f2v_bench.utils.paths import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.encoders.hubert import HubertUnits

_KEPT_BYTES = 6_000_000_000


class ClipDataset:
    """The clips of a split; the first that fit stay in memory, others are read each time.

    A process that loads batches has what its parent had in memory, and keeps no more: the room is there once.

    Args:
        prepared: where they are.
        budget: bytes that may be kept.
    """

    def __init__(self, prepared: Prepared, budget: int = _KEPT_BYTES) -> None:
        self.prepared = prepared
        self._kept: dict[int, ClipFeatures] = {}
        self._room = budget

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, index: int) -> ClipFeatures:
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        targets = self.prepared.load(index)
        size = sum(array.nbytes for array in targets.arrays().values())
        if size <= self._room and get_worker_info() is None:
            self._room -= size
            self._kept[index] = targets
        return targets

    @property
    def hours(self) -> float:
        """Of speech, as far as the corpus states durations, else counted."""
        return sum(clip.duration_s or 0.0 for clip in self.prepared.clips) / 3600 or self._counted

    @cached_property
    def _counted(self) -> float:
        return sum(self[at].frames for at in range(len(self))) / 25 / 3600


class UnitLabeler:
    """Speech units of training clips: clusters of MFCC, fitted once and kept in a file, or HuBERT's.

    Args:
        config: which.
        file: where the clusters of MFCC are kept.
        clips: what they are fitted to where the file is not there yet.

    Raises:
        AssetMissing: HuBERT or its clusters are not here.
        F2VError: too little sound, or a file of another number of units.
    """

    def __init__(self, config: UnitConfig, file: Path, clips: ClipDataset | None = None) -> None:
        self.config = config
        self._mfcc = self._fitted(file, clips) if config.source == "mfcc" else None

    def __call__(self, targets: ClipFeatures) -> NDArray[np.int64]:
        """Units of a clip, int64 ``(2 T,)``."""
        if self._mfcc is not None:
            return self._mfcc.nearest(targets.cepstra)
        found = self._hubert.label(clip_samples(targets))
        wanted = UNITS_PER_VIDEO_FRAME * targets.frames  # HuBERT's convolutions leave out the last frame
        return np.pad(found[:wanted], (0, max(0, wanted - len(found))), mode="edge")

    @cached_property
    def _hubert(self) -> HubertUnits:
        from f2v_bench.assets import get_asset, require_asset
        from f2v_bench.nn.encoders.hubert import load_hubert_units

        centers = require_asset("hubert-base-km200")
        network = require_asset("hubert-base")
        return load_hubert_units(network, centers, get_asset("hubert-base").instructions, layer=self.config.layer)

    def _fitted(self, file: Path, clips: ClipDataset | None) -> MfccUnits:
        if not file.is_file():
            if clips is None:
                raise F2VError(
                    f"the speech units '{file}' are not there", "train the stage that comes before: --stage lips"
                )
            units = fit_units([clips[at].cepstra for at in range(len(clips))], self.config)
            with atomic_path(file) as part, part.open("wb") as opened:
                np.savez(opened, centers=units.centers, scale=units.scale)
        with np.load(file, allow_pickle=False) as entry:
            units = MfccUnits(entry["centres"], entry["scale"])
        if len(units.centers) != self.config.count:
            raise F2VError(
                f"'{file}' holds {len(units.centers)} units, the settings ask for {self.config.count}",
                "use another folder, or the same settings",
            )
        return units


def clip_samples(targets: ClipFeatures) -> NDArray[np.float32]:
    """The samples of a clip, float32 ``(640 T,)`` in [-1, 1]."""
    samples: NDArray[np.float32] = targets.audio.astype(np.float32) / np.float32(32_767)
    return samples


def sample_segment(
    targets: ClipFeatures, samples: int, rng: np.random.Generator, units: NDArray[np.int64] | None = None
) -> dict[str, NDArray[Any]]:
    """A random piece of a clip; short clips end in silence.

    Args:
        targets: of the clip.
        samples: of the piece, S, a multiple of 160.
        rng: draws its place.
        units: of the clip, ``(2 T,)``; with them the piece begins where a unit does.

    Returns:
        ``audio`` ``(S,)``, ``mel`` ``(S / 160, 80)``, ``f0`` ``(S / 160,)``, and ``units`` ``(S / 160,)`` at the mel's
        rate where there are some; beyond a short clip's end the last one stays.
    """
    frames, step = samples // HOP, 1 if units is None else MEL_FRAMES_PER_VIDEO_FRAME // UNITS_PER_VIDEO_FRAME
    first = step * int(rng.integers(max(1, (len(targets.mel) - frames) // step + 1)))
    mel, f0 = targets.mel[first : first + frames], targets.f0[first : first + frames]
    sound = clip_samples(targets)[HOP * first : HOP * (first + frames)]
    missing = frames - len(mel)
    if missing:
        mel = np.pad(mel, ((0, missing), (0, 0)), constant_values=np.float32(np.log(FLOOR)))
        f0, sound = np.pad(f0, (0, missing)), np.pad(sound, (0, HOP * missing))
    piece = {"audio": sound, "mel": mel, "f0": f0}
    if units is None:
        return piece
    labels = np.repeat(units, step)[first : first + frames]
    return piece | {"units": np.pad(labels, (0, missing), mode="edge")}


def mean_std(values: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and deviation."""
    return float(values.mean()), float(values.std())
