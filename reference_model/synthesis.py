"""From face crops to samples with trained weights; long videos in overlapping windows without seams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2v_bench.nn.batches import length_batches
from f2v_bench.nn.vocoder import vocode
from f2v_bench.nn.windows import faded
from f2v_bench.signal.griffin_lim import griffin_lim
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.identity import arcface, speaker_encoder
from f2v_bench.training.loader import Batch, Item, collated
from f2v_bench.training.targets import MELS, pictures_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops
    from f2v_bench.nn.generator import Generator
    from reference_model.weights import Weights

WINDOW = 500  # video frames that the model sees at once, 20 s
OVERLAP = 50  # frames over which windows fade into each other, 2 s
_BUDGET = 2000  # padded frames of a batch


class Synthesizer:
    """The whole chain with one set of weights.

    Args:
        weights: of all parts.
        settings: of the flow's sampling.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, weights: Weights, settings: Mapping[str, Any], device: str) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.config = weights.config
        self.lips = weights.lips().to(self.device)
        self.model = weights.model().to(self.device)
        vocoder = weights.vocoder()
        self.vocoder = vocoder.to(self.device) if vocoder is not None else None

    def speak(
        self,
        crops: Sequence[FaceCrops],
        rngs: Sequence[np.random.Generator],
        voice: NDArray[np.float32] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Samples ``(640 T,)`` at 16 kHz of each clip.

        Args:
            crops: of the clips.
            rngs: one a clip, which draws its noise.
            voice: unit vector ``(256,)`` of the speaker space that takes the place of all faces.
        """
        lengths = [len(one.lips) for one in crops]
        mels: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(crops)
        noises = [rng.standard_normal((MELS * n, N_MELS), np.float32) for rng, n in zip(rngs, lengths, strict=True)]
        pictures = [pictures_of(one) for one in crops]
        for group in length_batches([min(n, WINDOW) for n in lengths], _BUDGET):
            short = [at for at in group if lengths[at] <= WINDOW]
            for at, mel in zip(
                short, self._mels([pictures[i] for i in short], [noises[i] for i in short], voice), strict=True
            ):
                mels[at] = mel
            for at in set(group) - set(short):
                mels[at] = self._long(pictures[at], noises[at], voice)
        return [sound(mel, self.vocoder, rng) for mel, rng in zip(mels, rngs, strict=True)]

    def voice(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The speaker embedding ``(256,)`` of real speech, float32 ``(n,)`` at 16 kHz."""
        embedding: NDArray[np.float32] = speaker_encoder().embed([samples])[0]
        return embedding

    def _long(
        self, pictures: Mapping[str, NDArray[np.uint8]], noise: NDArray[np.float32], voice: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """A long clip's mel from windows that share the clip's noise and identity, faded where they overlap."""

        def piece(first: int, end: int) -> NDArray[np.float32]:
            frames = slice(first // MELS, end // MELS)
            seen = {name: pictures[name][frames] for name in ("lips", "face")} | {"identity": pictures["identity"]}
            return self._mels([seen], [noise[first:end]], voice)[0]

        return faded(len(noise), MELS * WINDOW, MELS * OVERLAP, piece)

    @torch.no_grad()
    def _mels(
        self,
        pictures: Sequence[Mapping[str, NDArray[np.uint8]]],
        noises: Sequence[NDArray[np.float32]],
        voice: NDArray[np.float32] | None,
    ) -> list[NDArray[np.float32]]:
        if not pictures:
            return []
        items = [
            Item(
                len(one["lips"]),
                {"lips": one["lips"], "face": one["face"], "noise": noise},
                {"identity": self._who(one)},
            )
            for one, noise in zip(pictures, noises, strict=True)
        ]
        batch: Batch = {name: tensor.to(self.device) for name, tensor in collated(items).items()}
        batch["features"] = self.lips(batch["lips"], batch["mask"])
        if voice is not None:
            batch["voice"] = torch.from_numpy(voice).to(self.device).expand(len(items), -1)
        found = self.model.synthesize(batch, batch["noise"], **self.settings)
        return [mel[: MELS * item.frames].cpu().numpy() for mel, item in zip(found, items, strict=True)]

    def _who(self, pictures: Mapping[str, NDArray[np.uint8]]) -> NDArray[Any]:
        if self.config.timbre.face == "stand-in":
            return pictures["identity"]
        return self._arcface(pictures["identity"])

    def _arcface(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        return arcface(str(self.device)).embed(faces)


def sound(mel: NDArray[np.float32], vocoder: Generator | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Samples of a natural-log mel ``(T, 80)``, by the vocoder, or else by Griffin-Lim from drawn phases."""
    made = vocode(vocoder, mel) if vocoder is not None else griffin_lim(mel, rng)
    return made.clip(-1, 1)
