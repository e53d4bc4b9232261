"""Cache of frozen lip features: each training clip as it is, and a few augmented variants.

The encoder overfits its training clips. A model trained on their clean features would rely on them more than it should.
The variants, with augmented crops, masked frames and dropout, are about as uncertain as features of unseen clips.
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

VARIANTS = 4  # augmented variants of a training clip, beside the clean features
_BATCH = 16  # clips
_MASK_PROB, _MASK_LENGTH = 0.1, 4  # share of masked frames of a variant, and frames of a span
_SETTINGS = "lips:1"  # part of cache keys; incremented whenever the features below change


class LipFeatures:
    """Features by clip and variant; variant 0 is the clip without augmentation.

    Args:
        encoder: frozen lip encoder.
        clips: prepared clips.
        variants: number of augmented variants.
        augment: strength of the augmentation.
        device: device of the encoder.
        folder: folder of the cache; None is ``cache_folder("lips")``.
    """

    def __init__(
        self,
        encoder: FrozenLipEncoder,
        clips: Prepared,
        *,
        variants: int,
        augment: AugmentConfig,
        device: str = "cpu",
        folder: Path | None = None,
    ) -> None:
        self.encoder = encoder.to(device)
        self.clips, self.variants, self.augment, self.device = clips, variants, augment, device
        key = hashlib.sha256(f"{_SETTINGS}|{encoder.config}|{augment}".encode())
        for name, tensor in sorted(encoder.state_dict().items()):
            key.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        self.folder = (folder or cache_folder("lips")) / key.hexdigest()[:24]

    def load(self, index: int, variant: int) -> NDArray[np.float16]:
        """Load the features of a clip, float16 ``(T, L, D)``."""
        features: NDArray[np.float16] = np.load(self._file(index, variant), allow_pickle=False)
        return features

    def make(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute the features that are missing.

        Args:
            progress: called with (done, total) at the start and after every batch.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        count = len(self.clips)
        batches = [
            (variant, range(first, min(first + _BATCH, count)))
            for variant in range(self.variants + 1)
            for first in range(0, count, _BATCH)
        ]
        # whole batches, so that the random numbers of a clip do not depend on where a run was interrupted
        missing = [(v, batch) for v, batch in batches if any(not self._file(index, v).is_file() for index in batch)]
        total = count * (self.variants + 1)
        done = total - sum(len(batch) for _, batch in missing)
        report = progress or (lambda _done, _total: None)
        report(done, total)
        for variant, batch in missing:
            for index, features in zip(batch, self._encode(batch, variant), strict=True):
                self._save(self._file(index, variant), features)
            done += len(batch)
            report(done, total)

    def _encode(self, indices: range, variant: int) -> list[NDArray[np.float16]]:
        crops = [self.clips.load(index).lips for index in indices]
        batch = collate([Example(len(one), {"lips": one}) for one in crops])
        lips, mask = batch["lips"].to(self.device), batch["mask"].to(self.device)
        seed = hash((indices[0], variant))
        features = self._encode_augmented(lips, mask, seed) if variant else self.encoder(lips, mask)
        return [f[: len(one)].half().cpu().numpy() for f, one in zip(features, crops, strict=True)]

    @torch.no_grad()
    def _encode_augmented(self, lips: torch.Tensor, mask: torch.Tensor, seed: int) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder.train()  # dropout is active; batch norms keep their statistics
            for module in self.encoder.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.eval()
            augmented = augment(lips, self.encoder.config, self.augment)
            features = self.encoder.layer_outputs(augmented, mask, mask_spans(mask, _MASK_PROB, _MASK_LENGTH))
            self.encoder.eval()
        return features

    def _file(self, index: int, variant: int) -> Path:
        return self.folder / f"{self.clips.files[index].stem}.{variant}.npy"

    def _save(self, file: Path, features: NDArray[np.float16]) -> None:
        with atomic_path(file) as part, part.open("wb") as opened:
            np.save(opened, features)


class LipFeatureSets(NamedTuple):
    """Lip features of training and validation clips.

    Attributes:
        training: features of the training clips, with variants.
        validation: features of the validation clips.
    """

    training: LipFeatures
    validation: LipFeatures

    def sample_variant(self, index: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Load a random variant of a training clip, ``(T, L, D)``."""
        return self.training.load(index, int(rng.integers(VARIANTS + 1))).astype(np.float32)

    def load_validation(self, index: int) -> NDArray[np.float32]:
        """Load the features of a validation clip, ``(T, L, D)``."""
        return self.validation.load(index, 0).astype(np.float32)
