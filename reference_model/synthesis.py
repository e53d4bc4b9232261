"""From face crops to samples with trained weights; long videos in overlapping windows without seams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2v_bench.nn.batches import length_batches
from f2v_bench.nn.windows import faded
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.identity import arcface, speaker_encoder
from f2v_bench.training.loader import Batch, Item, collated
from f2v_bench.training.targets import MELS, pictures_of
from reference_model.speech import Speech, sound, speech_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops
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
        said: list[Speech] = [Speech(np.empty(0, np.float32))] * len(crops)
        noises = [rng.standard_normal((MELS * n, N_MELS), np.float32) for rng, n in zip(rngs, lengths, strict=True)]
        pictures = [pictures_of(one) for one in crops]
        for group in length_batches([min(n, WINDOW) for n in lengths], _BUDGET):
            short = [at for at in group if lengths[at] <= WINDOW]
            for at, speech in zip(
                short, self._said([pictures[i] for i in short], [noises[i] for i in short], voice), strict=True
            ):
                said[at] = speech
            for at in set(group) - set(short):
                said[at] = self._long(pictures[at], noises[at], voice)
        return [sound(speech, self.vocoder, rng) for speech, rng in zip(said, rngs, strict=True)]

    def voice(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The speaker embedding ``(256,)`` of real speech, float32 ``(n,)`` at 16 kHz."""
        embedding: NDArray[np.float32] = speaker_encoder().embed([samples])[0]
        return embedding

    def _long(
        self, pictures: Mapping[str, NDArray[np.uint8]], noise: NDArray[np.float32], voice: NDArray[np.float32] | None
    ) -> Speech:
        """A long clip from windows that share the clip's noise and identity, faded where they overlap."""

        def piece(first: int, end: int) -> NDArray[np.float32]:
            frames = slice(first // MELS, end // MELS)
            seen = {name: pictures[name][frames] for name in ("lips", "face")} | {"identity": pictures["identity"]}
            mel, melody = self._said([seen], [noise[first:end]], voice)[0]
            return mel if melody is None else np.concatenate([mel, melody], axis=1)

        whole = faded(len(noise), MELS * WINDOW, MELS * OVERLAP, piece)  # (4 T, 80), or (4 T, 82) with the melody
        return Speech(whole[:, :N_MELS], whole[:, N_MELS:] if whole.shape[1] > N_MELS else None)

    @torch.no_grad()
    def _said(
        self,
        pictures: Sequence[Mapping[str, NDArray[np.uint8]]],
        noises: Sequence[NDArray[np.float32]],
        voice: NDArray[np.float32] | None,
    ) -> list[Speech]:
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
        return [speech_of(found, at, MELS * item.frames) for at, item in enumerate(items)]

    def _who(self, pictures: Mapping[str, NDArray[np.uint8]]) -> NDArray[Any]:
        if self.config.timbre.face == "stand-in":
            return pictures["identity"]
        return arcface(str(self.device)).embed(pictures["identity"])
