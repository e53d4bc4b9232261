"""Features of the frozen lip encoder on disk: each training clip as it is, and a few times changed at random.

The encoder knows its training clips better than it will ever know others. A model trained on their clean features would
trust features more than it should; the changed ones, with pictures moved and lit, frames hidden and channels dropped,
are about as uncertain as those of unseen clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from f2v_bench.modeling.batch import Example, collate
from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.layers.augment import AugmentConfig, augment, mask_spans
from f2v_bench.training.data.prepare import Prepared
from f2v_bench.utils.paths import atomic_path, cache_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIANTS = 4  # of each clip's features beside the clean ones, in trainings
_BATCH = 16  # clips
_HIDDEN, _SPAN = 0.1, 4  # of the frames of changed clips
_SETTINGS = "lips:1"  # counts up whenever the features below change


class LipFeatures:
    """Features by clip and variant; variant 0 is the clip unchanged.

    Args:
        frozen: the encoder.
        clips: prepared ones.
        variants: changed versions beside the clip itself.
        augment: how they are changed.
        device: where the encoder runs.
        folder: of the cache; None is ``cache_folder("lips")``.
    """

    def __init__(
        self,
        frozen: FrozenLipEncoder,
        clips: Prepared,
        *,
        variants: int,
        augment: AugmentConfig,
        device: str = "cpu",
        folder: Path | None = None,
    ) -> None:
        self.frozen = frozen.to(device)
        self.clips, self.variants, self.augment, self.device = clips, variants, augment, device
        key = hashlib.sha256(f"{_SETTINGS}|{frozen.config}|{augment}".encode())
        for name, tensor in sorted(frozen.state_dict().items()):
            key.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        self.folder = (folder or cache_folder("lips")) / key.hexdigest()[:24]

    def load(self, index: int, variant: int) -> NDArray[np.float16]:
        """Features of a clip, float16 ``(T, L, D)``."""
        features: NDArray[np.float16] = np.load(self._file(index, variant), allow_pickle=False)
        return features

    def make(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute what is not there yet.

        Args:
            progress: called with (done, all) at the start and after every batch.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        count = len(self.clips)
        batches = [
            (variant, range(first, min(first + _BATCH, count)))
            for variant in range(self.variants + 1)
            for first in range(0, count, _BATCH)
        ]
        # whole batches, so that what is drawn for a clip does not depend on where the work was interrupted
        todo = [(v, batch) for v, batch in batches if any(not self._file(at, v).is_file() for at in batch)]
        wanted = count * (self.variants + 1)
        done = wanted - sum(len(batch) for _, batch in todo)
        report = progress or (lambda _done, _all: None)
        report(done, wanted)
        for variant, batch in todo:
            for at, features in zip(batch, self._batch(batch, variant), strict=True):
                self._save(self._file(at, variant), features)
            done += len(batch)
            report(done, wanted)

    def _batch(self, indices: range, variant: int) -> list[NDArray[np.float16]]:
        crops = [self.clips.load(at).lips for at in indices]
        batch = collate([Example(len(one), {"lips": one}) for one in crops])
        lips, mask = batch["lips"].to(self.device), batch["mask"].to(self.device)
        features = self._changed(lips, mask, hash((indices[0], variant))) if variant else self.frozen(lips, mask)
        return [f[: len(one)].half().cpu().numpy() for f, one in zip(features, crops, strict=True)]

    @torch.no_grad()
    def _changed(self, lips: torch.Tensor, mask: torch.Tensor, seed: int) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.frozen.train()  # channels drop out; batch norms stay as they are
            for module in self.frozen.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.eval()
            pictures = augment(lips, self.frozen.config, self.augment)
            features = self.frozen.layers(pictures, mask, mask_spans(mask, _HIDDEN, _SPAN))
            self.frozen.eval()
        return features

    def _file(self, index: int, variant: int) -> Path:
        return self.folder / f"{self.clips.files[index].stem}.{variant}.npy"

    def _save(self, file: Path, features: NDArray[np.float16]) -> None:
        with atomic_path(file) as part, part.open("wb") as opened:
            np.save(opened, features)


class LipFeatureSets(NamedTuple):
    """What is seen of the lips, by place of the clip.

    Attributes:
        training: features of the training clips, with variants.
        held: of the clips held out.
    """

    training: LipFeatures
    held: LipFeatures

    def drawn(self, at: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """One of a training clip's variants, ``(T, L, D)``."""
        return self.training.load(at, int(rng.integers(VARIANTS + 1))).astype(np.float32)

    def plain(self, at: int) -> NDArray[np.float32]:
        """A clip held out, ``(T, L, D)``."""
        return self.held.load(at, 0).astype(np.float32)
