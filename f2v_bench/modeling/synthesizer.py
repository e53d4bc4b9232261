"""From face crops to samples with trained weights; long videos in overlapping windows without seams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from f2v_bench.modeling.batch import Batch, Example, collate
from f2v_bench.modeling.inputs import video_inputs
from f2v_bench.nn.encoders.pretrained import speaker_encoder
from f2v_bench.nn.layers.masking import length_batches
from f2v_bench.nn.layers.overlap_add import cross_fade_windows
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.crops import FaceCrops
    from f2v_bench.modeling.checkpoint import ModelCheckpoint
    from f2v_bench.nn.vocoders.base import Vocoder


from f2v_bench.nn.vocoders.build import vocode
from f2v_bench.signal.griffin_lim import griffin_lim

WINDOW = 500  # video frames that a model sees at once, 20 s
OVERLAP = 50  # frames over which windows fade into each other, 2 s
_BUDGET = 2000  # padded frames of a batch

Pictures = Mapping[str, "NDArray[np.uint8]"]


class Speech(NamedTuple):
    """What a model says of one clip.

    Attributes:
        mel: natural log, float32 ``(4 T, 80)``.
        melody: log F0 in Hz and the probability of voicing, float32 ``(4 T, 2)``; None of a model without.
    """

    mel: NDArray[np.float32]
    melody: NDArray[np.float32] | None = None

    @property
    def f0(self) -> NDArray[np.float32] | None:
        """Hz, 0 where unvoiced, float32 ``(4 T,)``."""
        if self.melody is None:
            return None
        return np.exp(self.melody[:, 0]) * (self.melody[:, 1] > 0.5)


def split_mel_and_f0(said: NDArray[np.float32]) -> Speech:
    """Log mels ``(4 T, 80)`` of what a model said, and its melody where there are two channels more."""
    return Speech(said[:, :N_MELS], said[:, N_MELS:] if said.shape[1] > N_MELS else None)


def to_waveform(speech: Speech, vocoder: Vocoder | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Samples ``(640 T,)`` by the vocoder, in the melody where there is one, or by Griffin-Lim from drawn phases."""
    made = vocode(vocoder, speech.mel, speech.f0) if vocoder is not None else griffin_lim(speech.mel, rng)
    return made.clip(-1, 1)


class Synthesizer:
    """The whole chain with one set of weights: what a model says of lips, and how that sounds.

    Models that look at more than lips say so in ``item``.

    Args:
        weights: of all parts.
        settings: of the sampling.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, weights: ModelCheckpoint[Any], settings: Mapping[str, Any], device: str) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.model = weights.model().to(self.device)
        self.lips = weights.lips().to(self.device) if weights.uses_lip_encoder else None
        vocoder = weights.vocoder()
        self.vocoder = vocoder.to(self.device) if vocoder is not None else None

    def vocode(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Samples ``(640 T,)`` of what was said of a clip, ``(4 T, C)``: mel, then log F0 and voicing if there are."""
        return to_waveform(split_mel_and_f0(said), self.vocoder, rng)

    def item(self, pictures: Pictures, noise: NDArray[np.float32]) -> Example:
        """What the model is shown of a clip or of a window of it.

        Args:
            pictures: as ``video_inputs``; ``lips`` and ``face`` ``(T, ...)``, ``identity`` of the whole clip.
            noise: standard normal ``(4 T, 80)``.
        """
        return Example(len(pictures["lips"]), {"lips": pictures["lips"], "noise": noise})

    def synthesize(
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
        noises = [
            rng.standard_normal((MEL_FRAMES_PER_VIDEO_FRAME * n, N_MELS), np.float32)
            for rng, n in zip(rngs, lengths, strict=True)
        ]
        pictures = [video_inputs(one) for one in crops]
        for group in length_batches([min(n, WINDOW) for n in lengths], _BUDGET):
            short = [at for at in group if lengths[at] <= WINDOW]
            chosen = [voices[at] for at in short] if voices is not None else None
            found = self._said([pictures[at] for at in short], [noises[at] for at in short], chosen)
            for at, one in zip(short, found, strict=True):
                said[at] = one
            for at in set(group) - set(short):
                said[at] = self._long(pictures[at], noises[at], voices[at] if voices is not None else None)
        return [self.vocode(one, rng) for one, rng in zip(said, rngs, strict=True)]

    def embed_speaker(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The speaker embedding ``(256,)`` of real speech, float32 ``(n,)`` at 16 kHz."""
        embedding: NDArray[np.float32] = speaker_encoder().embed([samples])[0]
        return embedding

    def _long(
        self, pictures: Pictures, noise: NDArray[np.float32], voice: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """A long clip from windows that share the clip's noise and identity, faded where they overlap."""

        def piece(first: int, end: int) -> NDArray[np.float32]:
            frames = slice(first // MEL_FRAMES_PER_VIDEO_FRAME, end // MEL_FRAMES_PER_VIDEO_FRAME)
            seen = {name: pictures[name][frames] for name in ("lips", "face")} | {"identity": pictures["identity"]}
            return self._said([seen], [noise[first:end]], None if voice is None else [voice])[0]

        return cross_fade_windows(
            len(noise), MEL_FRAMES_PER_VIDEO_FRAME * WINDOW, MEL_FRAMES_PER_VIDEO_FRAME * OVERLAP, piece
        )

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
        batch: Batch = {name: tensor.to(self.device) for name, tensor in collate(items).items()}
        if self.lips is not None:
            batch["features"] = self.lips(batch["lips"], batch["mask"])
        if voices is not None:
            batch["voice"] = torch.from_numpy(np.stack(voices)).to(self.device)
        found = self.model.synthesize(batch, batch["noise"], **self.settings).float().cpu().numpy()
        return [one[: MEL_FRAMES_PER_VIDEO_FRAME * item.frames] for one, item in zip(found, items, strict=True)]
