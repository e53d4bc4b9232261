"""From face crops to samples with trained weights; long videos in overlapping windows that are cross-faded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2v_bench.modeling.base import ModelOutput, OutputT, map_fields
from f2v_bench.modeling.batch import Batch, Example, collate
from f2v_bench.modeling.inputs import video_inputs
from f2v_bench.nn.encoders.pretrained import speaker_encoder
from f2v_bench.nn.layers.masking import length_batches
from f2v_bench.nn.layers.overlap_add import cross_fade_windows, windows
from f2v_bench.nn.vocoders.build import vocode
from f2v_bench.signal.griffin_lim import griffin_lim
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.records import FaceCrops
    from f2v_bench.modeling.checkpoint import ModelCheckpoint
    from f2v_bench.nn.vocoders.base import Vocoder

WINDOW = 500  # video frames of one forward pass, 20 s
OVERLAP = 50  # video frames over which windows are cross-faded, 2 s
_BUDGET = 2000  # padded video frames of a batch

VideoInputs = Mapping[str, "NDArray[np.uint8]"]


def to_waveform(output: ModelOutput, vocoder: Vocoder | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Convert one clip's output to samples ``(640 T,)`` at 16 kHz, with its F0 where the model predicts it.

    Args:
        output: features of one clip, ``(4 T, ...)``, float32 on the CPU.
        vocoder: trained vocoder; None uses Griffin-Lim.
        rng: generator of Griffin-Lim's initial phases.
    """
    f0 = None
    if output.log_f0 is not None and output.voicing is not None:
        f0 = np.exp(output.log_f0.numpy()) * (output.voicing.numpy() > 0.5)  # 0 where unvoiced
    return vocode_mel(output.mel.numpy(), f0, vocoder, rng)


def vocode_mel(
    mel: NDArray[np.float32], f0: NDArray[np.float32] | None, vocoder: Vocoder | None, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Convert a mel spectrogram to samples ``(160 n,)`` at 16 kHz.

    Args:
        mel: log mel spectrogram, float32 ``(n, 80)``, natural log.
        f0: F0 in Hz, 0 where unvoiced, float32 ``(n,)``; None leaves it to the vocoder.
        vocoder: trained vocoder; None uses Griffin-Lim.
        rng: generator of Griffin-Lim's initial phases.
    """
    samples = vocode(vocoder, mel, f0) if vocoder is not None else griffin_lim(mel, rng)
    return samples.clip(-1, 1)


class Synthesizer:
    """The whole chain with one set of weights: lip encoder, model and vocoder.

    Models with other inputs than lips override ``build_example``.

    Args:
        checkpoint: weights of all parts.
        settings: sampling settings.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, checkpoint: ModelCheckpoint, settings: Mapping[str, Any], device: str) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.config, self.spec = checkpoint.config, checkpoint.spec
        self.model = checkpoint.model().to(self.device)
        self.lip_encoder = checkpoint.lip_encoder().to(self.device) if checkpoint.uses_lip_encoder else None
        vocoder = checkpoint.vocoder()
        self.vocoder = vocoder.to(self.device) if vocoder is not None else None

    def vocode(self, output: Any, rng: np.random.Generator) -> NDArray[np.float32]:
        """Convert the model's output for one clip to samples.

        Args:
            output: fields of one clip, ``(4 T, ...)``, float32 on the CPU.
            rng: the clip's random generator.
        """
        return self.spec.vocode(output, self.vocoder, rng)

    def build_example(self, video: VideoInputs, noise: NDArray[np.float32]) -> Example:
        """Build the model's inputs for a clip, or for a window of it.

        Args:
            video: output of ``video_inputs``: ``lips`` and ``face`` ``(T, ...)``, ``identity`` of the whole clip.
            noise: standard normal samples ``(4 T, 80)``.
        """
        return Example(len(video["lips"]), {"lips": video["lips"], "noise": noise})

    def synthesize(
        self,
        crops: Sequence[FaceCrops],
        rngs: Sequence[np.random.Generator],
        voices: Sequence[NDArray[np.float32]] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Synthesize samples ``(640 T,)`` at 16 kHz for each clip.

        Args:
            crops: face crops, one entry per clip.
            rngs: random generators, one per clip.
            voices: speaker embeddings, unit vectors ``(256,)``, one per clip; None leaves the voice to the model.
        """
        lengths = [len(one.lips) for one in crops]
        noises = [
            rng.standard_normal((MEL_FRAMES_PER_VIDEO_FRAME * n, N_MELS), np.float32)
            for rng, n in zip(rngs, lengths, strict=True)
        ]
        videos = [video_inputs(one) for one in crops]
        outputs: dict[int, Any] = {}
        for group in length_batches([min(n, WINDOW) for n in lengths], _BUDGET):
            short = [at for at in group if lengths[at] <= WINDOW]
            embeddings = [voices[at] for at in short] if voices is not None else None
            predicted = self._predict([videos[at] for at in short], [noises[at] for at in short], embeddings)
            outputs.update(zip(short, predicted, strict=True))
            for at in set(group) - set(short):
                outputs[at] = self._predict_long(videos[at], noises[at], voices[at] if voices is not None else None)
        return [self.vocode(outputs[at], rng) for at, rng in enumerate(rngs)]

    def embed_speaker(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the speaker embedding ``(256,)`` of real speech, float32 ``(n,)`` at 16 kHz."""
        embedding: NDArray[np.float32] = speaker_encoder().embed([samples])[0]
        return embedding

    def _predict_long(
        self, video: VideoInputs, noise: NDArray[np.float32], voice: NDArray[np.float32] | None
    ) -> tuple[Any, ...]:
        """Predict a long clip in windows that share the clip's noise and identity, and cross-fade every field."""
        size, overlap = MEL_FRAMES_PER_VIDEO_FRAME * WINDOW, MEL_FRAMES_PER_VIDEO_FRAME * OVERLAP
        pieces: dict[tuple[int, int], tuple[Any, ...]] = {}
        for first, end in windows(len(noise), size, overlap):
            frames = slice(first // MEL_FRAMES_PER_VIDEO_FRAME, end // MEL_FRAMES_PER_VIDEO_FRAME)
            window = {name: video[name][frames] for name in ("lips", "face")} | {"identity": video["identity"]}
            voices = None if voice is None else [voice]
            pieces[first, end] = self._predict([window], [noise[first:end]], voices)[0]
        return cross_fade_fields(pieces, len(noise), size, overlap)

    @torch.no_grad()
    def _predict(
        self,
        videos: Sequence[VideoInputs],
        noises: Sequence[NDArray[np.float32]],
        voices: Sequence[NDArray[np.float32]] | None,
    ) -> list[tuple[Any, ...]]:
        if not videos:
            return []
        examples = [self.build_example(video, noise) for video, noise in zip(videos, noises, strict=True)]
        batch: Batch = {name: tensor.to(self.device) for name, tensor in collate(examples).items()}
        if self.lip_encoder is not None:
            batch["features"] = self.lip_encoder(batch["lips"], batch["mask"])
        if voices is not None:
            batch["voice"] = torch.from_numpy(np.stack(voices)).to(self.device)
        output = self.model.synthesize(batch, batch["noise"], **self.settings)
        output = map_fields(lambda field: field.float().cpu(), output)
        return [clip_output(output, at, example.frames) for at, example in enumerate(examples)]


def clip_output(output: OutputT, row: int, frames: int) -> OutputT:
    """Return the output of one clip of a batch, without padding.

    Args:
        output: fields ``(B, 4 T, ...)``.
        row: index of the clip in the batch.
        frames: video frames of the clip.
    """
    return map_fields(lambda field: field[row, : MEL_FRAMES_PER_VIDEO_FRAME * frames], output)


def cross_fade_fields(pieces: Mapping[tuple[int, int], OutputT], frames: int, size: int, overlap: int) -> OutputT:
    """Cross-fade overlapping windows of an output field by field.

    Args:
        pieces: outputs of one clip's windows, fields ``(end - first, ...)``, by first and end frame.
        frames: mel frames of the clip.
        size: mel frames of a window, as for ``windows``.
        overlap: mel frames that neighbors share, as for ``windows``.
    """

    def fade(index: int, shape: torch.Size) -> torch.Tensor:
        def window(first: int, end: int) -> NDArray[np.float32]:
            part: NDArray[np.float32] = pieces[first, end][index].reshape(end - first, -1).numpy()
            return part

        return torch.from_numpy(cross_fade_windows(frames, size, overlap, window)).reshape(frames, *shape[1:])

    example = next(iter(pieces.values()))
    build: Any = type(example)
    fields = (None if field is None else fade(index, field.shape) for index, field in enumerate(example))
    output: OutputT = build(*fields)
    return output
