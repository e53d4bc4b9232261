"""Dataset of prepared clips, cached in memory as far as they fit, and unit labels of their audio."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import get_worker_info

from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.signal.mel import FLOOR, HOP
from f2v_bench.timing import FPS, MEL_FRAMES_PER_UNIT, UNITS_PER_VIDEO_FRAME
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.prepare import Prepared
from f2v_bench.training.data.units import MfccUnits, fit_units
from f2v_bench.utils.paths import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.encoders.hubert import HubertUnits

_CACHE_BYTES = 6_000_000_000


class ClipDataset:
    """Clips of a split; the first that fit stay in memory, others are read each time.

    A worker process uses what its parent has in memory and adds nothing: the budget is there once.

    Args:
        prepared: prepared clips.
        budget: bytes that may stay in memory.
    """

    def __init__(self, prepared: Prepared, budget: int = _CACHE_BYTES) -> None:
        self.prepared = prepared
        self._cache: dict[int, ClipFeatures] = {}
        self._budget = budget

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, index: int) -> ClipFeatures:
        cached = self._cache.get(index)
        if cached is not None:
            return cached
        features = self.prepared.load(index)
        size = sum(array.nbytes for array in features.arrays().values())
        if size <= self._budget and get_worker_info() is None:
            self._budget -= size
            self._cache[index] = features
        return features

    @property
    def hours(self) -> float:
        """Hours of speech by the durations of the corpus, or by the frames where it has none."""
        return sum(clip.duration_s or 0.0 for clip in self.prepared.clips) / 3600 or self._frame_hours

    @cached_property
    def _frame_hours(self) -> float:
        return sum(self[index].frames for index in range(len(self))) / FPS / 3600


class UnitLabeler:
    """Speech units of training clips: MFCC clusters, fitted once and kept in a file, or HuBERT's units.

    Args:
        config: source and number of the units.
        file: file of the MFCC clusters.
        clips: training clips to fit the clusters to, if there is no file yet.

    Raises:
        AssetMissing: the weights or clusters of HuBERT are missing.
        F2VError: too little audio, or a file with another number of units.
    """

    def __init__(self, config: UnitConfig, file: Path, clips: ClipDataset | None = None) -> None:
        self.config = config
        self._mfcc = self._load_or_fit(file, clips) if config.source == "mfcc" else None

    def __call__(self, features: ClipFeatures) -> NDArray[np.int64]:
        """Label a clip with units, int64 ``(2 T,)``."""
        if self._mfcc is not None:
            return self._mfcc.nearest(features.cepstra)
        units = self._hubert.label(clip_samples(features))
        count = UNITS_PER_VIDEO_FRAME * features.frames  # HuBERT's convolutions leave out the last frame
        return np.pad(units[:count], (0, max(0, count - len(units))), mode="edge")

    @cached_property
    def _hubert(self) -> HubertUnits:
        from f2v_bench.assets import get_asset, require_asset
        from f2v_bench.nn.encoders.hubert import load_hubert_units

        centers = require_asset("hubert-base-km200")
        network = require_asset("hubert-base")
        return load_hubert_units(network, centers, get_asset("hubert-base").instructions, layer=self.config.layer)

    def _load_or_fit(self, file: Path, clips: ClipDataset | None) -> MfccUnits:
        if not file.is_file():
            if clips is None:
                raise F2VError(f"there is no file of speech units '{file}'", "train the stage before: --stage lips")
            units = fit_units([clips[index].cepstra for index in range(len(clips))], self.config)
            with atomic_path(file) as part, part.open("wb") as opened:
                np.savez(opened, centers=units.centers, scale=units.scale)
        with np.load(file, allow_pickle=False) as content:
            earlier = "centres"  # name of the array before it was renamed
            units = MfccUnits(content["centers" if "centers" in content else earlier], content["scale"])
        if len(units.centers) != self.config.count:
            raise F2VError(
                f"'{file}' holds {len(units.centers)} units, the settings ask for {self.config.count}",
                "use another folder, or the same settings",
            )
        return units


def clip_samples(features: ClipFeatures) -> NDArray[np.float32]:
    """Return the audio of a clip, float32 ``(640 T,)`` in [-1, 1]."""
    samples: NDArray[np.float32] = features.audio.astype(np.float32) / np.float32(32_767)
    return samples


def sample_segment(
    features: ClipFeatures, samples: int, rng: np.random.Generator, units: NDArray[np.int64] | None = None
) -> dict[str, NDArray[Any]]:
    """Sample a random segment of a clip; short clips are padded with silence.

    Args:
        features: features of the clip.
        samples: length of the segment S, a multiple of 160.
        rng: generator of its position.
        units: units of the clip, ``(2 T,)``; with them the segment starts at the start of a unit.

    Returns:
        ``audio`` ``(S,)``, ``mel`` ``(S / 160, 80)``, ``f0`` ``(S / 160,)``, and for a clip with units ``units``
        ``(S / 160,)`` at the mel's rate; the last unit fills the padding.
    """
    frames, step = samples // HOP, 1 if units is None else MEL_FRAMES_PER_UNIT
    first = step * int(rng.integers(max(1, (len(features.mel) - frames) // step + 1)))
    mel, f0 = features.mel[first : first + frames], features.f0[first : first + frames]
    audio = clip_samples(features)[HOP * first : HOP * (first + frames)]
    missing = frames - len(mel)
    if missing:
        mel = np.pad(mel, ((0, missing), (0, 0)), constant_values=np.float32(np.log(FLOOR)))
        f0, audio = np.pad(f0, (0, missing)), np.pad(audio, (0, HOP * missing))
    segment = {"audio": audio, "mel": mel, "f0": f0}
    if units is None:
        return segment
    labels = np.repeat(units, step)[first : first + frames]
    return segment | {"units": np.pad(labels, (0, missing), mode="edge")}


def mean_std(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return mean and standard deviation."""
    return float(values.mean()), float(values.std())
