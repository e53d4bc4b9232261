"""From face crops to samples with trained weights; long videos in overlapping windows without seams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2v_bench.nn.batches import length_batches
from f2v_bench.nn.windows import faded
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.identity import speaker_encoder
from f2v_bench.training.loader import Batch, Item, collated
from f2v_bench.training.speech import sound, speech_of
from f2v_bench.training.targets import MELS, pictures_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops
    from f2v_bench.training.weights import WeightFile

WINDOW = 500  # video frames that a model sees at once, 20 s
OVERLAP = 50  # frames over which windows fade into each other, 2 s
_BUDGET = 2000  # padded frames of a batch

Pictures = Mapping[str, "NDArray[np.uint8]"]


class Synthesizer:
    """The whole chain with one set of weights: what a model says of lips, and how that sounds.

    Models that look at more than lips say so in ``item``.

    Args:
        weights: of all parts.
        settings: of the sampling.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, weights: WeightFile[Any], settings: Mapping[str, Any], device: str) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.model = weights.model().to(self.device)
        self.lips = weights.lips().to(self.device) if weights.needs_lips else None
        vocoder = weights.vocoder()
        self.vocoder = vocoder.to(self.device) if vocoder is not None else None

    def sound(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Samples ``(640 T,)`` of what was said of a clip, ``(4 T, C)``: mel, then log F0 and voicing if there are."""
        return sound(speech_of(said), self.vocoder, rng)

    def item(self, pictures: Pictures, noise: NDArray[np.float32]) -> Item:
        """What the model is shown of a clip or of a window of it.

        Args:
            pictures: as ``pictures_of``; ``lips`` and ``face`` ``(T, ...)``, ``identity`` of the whole clip.
            noise: standard normal ``(4 T, 80)``.
        """
        return Item(len(pictures["lips"]), {"lips": pictures["lips"], "noise": noise})

    def speak(
        self,
        crops: Sequence[FaceCrops],
        rngs: Sequence[np.random.Generator],
        voices: Sequence[NDArray[np.float32]] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Samples ``(640 T,)`` at 16 kHz of each clip.

        Args:
            crops: of the clips.
            rngs: one a clip, which draws its noise.
            voices: a unit vector ``(256,)`` of the speaker space a clip.
        """
        lengths = [len(one.lips) for one in crops]
        said: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(crops)
        noises = [rng.standard_normal((MELS * n, N_MELS), np.float32) for rng, n in zip(rngs, lengths, strict=True)]
        pictures = [pictures_of(one) for one in crops]
        for group in length_batches([min(n, WINDOW) for n in lengths], _BUDGET):
            short = [at for at in group if lengths[at] <= WINDOW]
            chosen = [voices[at] for at in short] if voices is not None else None
            found = self._said([pictures[at] for at in short], [noises[at] for at in short], chosen)
            for at, one in zip(short, found, strict=True):
                said[at] = one
            for at in set(group) - set(short):
                said[at] = self._long(pictures[at], noises[at], voices[at] if voices is not None else None)
        return [self.sound(one, rng) for one, rng in zip(said, rngs, strict=True)]

    def voice(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The speaker embedding ``(256,)`` of real speech, float32 ``(n,)`` at 16 kHz."""
        embedding: NDArray[np.float32] = speaker_encoder().embed([samples])[0]
        return embedding

    def _long(
        self, pictures: Pictures, noise: NDArray[np.float32], voice: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """A long clip from windows that share the clip's noise and identity, faded where they overlap."""

        def piece(first: int, end: int) -> NDArray[np.float32]:
            frames = slice(first // MELS, end // MELS)
            seen = {name: pictures[name][frames] for name in ("lips", "face")} | {"identity": pictures["identity"]}
            return self._said([seen], [noise[first:end]], None if voice is None else [voice])[0]

        return faded(len(noise), MELS * WINDOW, MELS * OVERLAP, piece)

    @torch.no_grad()
    def _said(
        self,
        pictures: Sequence[Pictures],
        noises: Sequence[NDArray[np.float32]],
        voices: Sequence[NDArray[np.float32]] | None,
    ) -> list[NDArray[np.float32]]:
        if not pictures:
            return []
        items = [self.item(one, noise) for one, noise in zip(pictures, noises, strict=True)]
        batch: Batch = {name: tensor.to(self.device) for name, tensor in collated(items).items()}
        if self.lips is not None:
            batch["features"] = self.lips(batch["lips"], batch["mask"])
        if voices is not None:
            batch["voice"] = torch.from_numpy(np.stack(voices)).to(self.device)
        found = self.model.say(batch, batch["noise"], **self.settings).float().cpu().numpy()
        return [one[: MELS * item.frames] for one, item in zip(found, items, strict=True)]
