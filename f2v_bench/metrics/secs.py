"""SECS: speaker encoder cosine similarity of output and real speech.

The reference is the same clip's real speech, which is the easier of the two common protocols (the other, a different
clip of the speaker, has a ceiling near 0.56 on LRS3). Cosines of different encoders are different scales: GE2E's
embeddings have no negative values, so that two different speakers score about 0.5; with the other two, near 0.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from f2v_bench.assets import AssetMissing, file_sha256, get_asset, require_asset
from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, Metric, MetricOptions, MetricUnavailable, Need, Sample, Scores, per_clip
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CACHE_SIZE = 8192  # 1 KB each: the references of a test list, once for all systems
MAX_SECONDS = 60


class Encoder(Protocol):
    """Speaker encoder."""

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return unit vectors, float32 ``(clips, d)``.

        Args:
            clips: waveforms at 16 kHz, float32 ``(n,)`` each.
        """


@dataclass(frozen=True, slots=True)
class _EncoderInfo:
    """Speaker encoder of the setting ``encoder``.

    Attributes:
        asset: name of the asset with the weights.
        protocol: parts of the signature.
        min_samples: shortest clip in samples.
    """

    asset: str
    protocol: str
    min_samples: int


ENCODERS: Mapping[str, _EncoderInfo] = {
    "ge2e": _EncoderInfo("ge2e", "mel:40x25ms/10ms|pieces:1.6s@1.3/s-cover-0.75|volume:-30dBFS-up|vad:none", 400),
    "wavlm-sv": _EncoderInfo("wavlm-sv", "layers:weighted-sum|gain:standardized|vad:none", 720),
    "ecapa": _EncoderInfo("ecapa-voxceleb", "mel:80x25ms/10ms|db:top-80|norm:clip-mean|vad:none", 640),
}


def secs(audio: NDArray[np.float32], reference: NDArray[np.float32], encoder: Encoder) -> float:
    """Return the cosine of the speaker embeddings of two clips.

    Args:
        audio: waveform of the output at 16 kHz, float32 ``(n,)``.
        reference: waveform of the real speech; the lengths may differ.
        encoder: speaker encoder, see ``load_encoder``.

    Returns:
        Cosine, -1 to 1, 1 for equal clips.
    """
    from f2v_bench.nn.layers.precision import reference_precision

    with reference_precision():
        embedding, embedding_ref = encoder.embed([audio, reference])
    return cosine(embedding, embedding_ref)


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the cosine of two vectors in double precision, which is exactly 1 for equal vectors.

    Args:
        a: first vector, ``(d,)``.
        b: second vector, ``(d,)``.
    """
    import numpy as np

    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    return float(np.clip(a64 @ b64 / np.sqrt((a64 @ a64) * (b64 @ b64)), -1, 1))


def load_encoder(name: str, device: str = "cpu") -> Encoder:
    """Load an encoder of ``ENCODERS`` with its published weights.

    Args:
        name: key of ``ENCODERS``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        AssetMissing: the weights are not on this machine.
        F2VError: the weight file is invalid.
    """
    asset = get_asset(ENCODERS[name].asset)
    path = require_asset(asset.name)
    get_again = f"fetch it again: f2v-bench assets pull {asset.name}" if asset.url else asset.instructions
    if name == "ge2e":
        from f2v_bench.nn.encoders.ge2e import load_ge2e

        return load_ge2e(path, get_again, device)
    if name == "ecapa":
        from f2v_bench.nn.encoders.ecapa import load_ecapa

        return load_ecapa(path, get_again, device)
    from f2v_bench.nn.encoders.wavlm_sv import load_wavlm_sv

    return load_wavlm_sv(path, get_again, device)


class SECS(Metric):
    """Speaker similarity to the same clip's real speech.

    Setting ``encoder``: ``ge2e`` (default; Resemblyzer's weights, without its voice activity detection),
    ``wavlm-sv`` (WavLM-large with ECAPA-TDNN, as seed-tts-eval) or ``ecapa`` (SpeechBrain's ECAPA-TDNN of VoxCeleb).
    """

    name = "secs"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    on_device = True
    batch_size = 64
    columns = (
        Column(
            "secs",
            "SECS",
            "",
            higher_is_better=True,
            lower=-1,
            upper=1,
            digits=3,
            definition="Cosine of the speaker embeddings of the output and of the same clip's real speech.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        self._encoder_name = common.parse_settings(self.options, self.name, {"encoder": tuple(ENCODERS)})["encoder"]
        try:
            self._weights = require_asset(ENCODERS[self._encoder_name].asset)
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing
        self._embeddings: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @cached_property
    def _encoder(self) -> Encoder:
        return load_encoder(self._encoder_name, self.options.device)

    @cached_property  # the file's hash may take seconds
    def signature(self) -> str:
        return common.signature(
            "secs:v1",
            f"encoder:{self._encoder_name}-{file_sha256(self._weights)[:12]}",
            ENCODERS[self._encoder_name].protocol,
            "reference:same-clip",
            "precision:fp32",
            f"longest:{MAX_SECONDS}s",
            packages=("librosa",) if self._encoder_name == "ge2e" else (),
            aggregate="clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.score_valid(batch, self._check, self._score_checked)

    def _score_checked(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        embeddings = self._embed([wave for sample in batch for wave in _waveforms(sample).values()])
        return per_clip(batch, lambda sample: _compare(sample, embeddings))

    def _check(self, sample: Sample) -> None:
        """Raise ClipFailure for a clip that cannot be embedded."""
        min_samples = ENCODERS[self._encoder_name].min_samples
        for name, wave in _waveforms(sample).items():
            common.require_sound(wave.samples, name)
            if len(wave.samples) < min_samples:
                raise ClipFailure(
                    FailureKind.TOO_SHORT,
                    f"the {name} has {len(wave.samples)} samples, {self._encoder_name} needs {min_samples}",
                )
            if wave.duration_s > MAX_SECONDS:
                raise ClipFailure(
                    FailureKind.TOO_LONG, f"the {name} lasts {wave.duration_s:.1f} s, more than {MAX_SECONDS} s"
                )

    def _embed(self, waves: Sequence[Waveform]) -> dict[str, NDArray[np.float32]]:
        """Return hash to embedding; equal audio is embedded once, whichever clip or system it comes from."""
        import numpy as np

        from f2v_bench.nn.layers.precision import reference_precision

        new = {wave.sha256: wave.samples for wave in waves if wave.sha256 not in self._embeddings}
        if new:
            # an overflow leaves its own clip without a score, see _compare
            with reference_precision(), np.errstate(over="ignore", invalid="ignore"):
                self._embeddings.update(zip(new, self._encoder.embed(list(new.values())), strict=True))
        embeddings = {wave.sha256: self._embeddings[wave.sha256] for wave in waves}
        while len(self._embeddings) > CACHE_SIZE:
            self._embeddings.popitem(last=False)
        return embeddings


def _waveforms(sample: Sample) -> dict[str, Waveform]:
    return {"audio": sample.audio, "reference": common.require_reference(sample)}


def _compare(sample: Sample, embeddings: Mapping[str, NDArray[np.float32]]) -> Scores:
    """Return the score of a clip; ClipFailure where loud audio overflows in the network's float32."""
    import numpy as np

    waves = _waveforms(sample)
    embedding, embedding_ref = (embeddings[wave.sha256] for wave in waves.values())
    for name, wave in waves.items():
        if not np.isfinite(embeddings[wave.sha256]).all():
            peak = np.abs(wave.samples).max()
            raise ClipFailure(
                FailureKind.NOT_FINITE, f"the {name}, with a peak of {peak:.3g}, overflows in the speaker encoder"
            )
    return Scores({"secs": cosine(embedding, embedding_ref)})
