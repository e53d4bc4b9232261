"""SECS: how alike the speakers of two recordings sound, as the cosine of their embeddings.

The reference is the same clip's real speech, which is the easier of the two protocols in use (the other, a different
clip of the speaker, has a ceiling near 0.56 on LRS3). Cosines of different encoders are different scales: GE2E's
embeddings have no negative values, so that two strangers score about 0.5; strangers of the other two are near 0.
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
from f2v_bench.metrics.base import Column, Metric, MetricOptions, MetricUnavailable, Need, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDINGS_KEPT = 8192  # 1 KB each: the references of a test list, once for all systems
MAX_SECONDS = 60


class Encoder(Protocol):
    """A network that turns clips at 16 kHz, float32 ``(n,)``, into unit vectors, float32 ``(clips, d)``."""

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """The asset with an encoder's weights, what the signature says of it, and its shortest clip, in samples."""

    asset: str
    protocol: str
    shortest: int


ENCODERS: Mapping[str, _Kind] = {
    "ge2e": _Kind("ge2e", "mel:40x25ms/10ms|pieces:1.6s@1.3/s-cover-0.75|volume:-30dBFS-up|vad:none", 400),
    "wavlm-sv": _Kind("wavlm-sv", "layers:weighted-sum|gain:standardised|vad:none", 720),
    "ecapa": _Kind("ecapa-voxceleb", "mel:80x25ms/10ms|db:top-80|norm:clip-mean|vad:none", 640),
}


def secs(audio: NDArray[np.float32], reference: NDArray[np.float32], encoder: Encoder) -> float:
    """Cosine of two clips' embeddings.

    Args:
        audio: float32 ``(n,)`` at 16 kHz.
        reference: another recording; the two may differ in length.
        encoder: ``nn.ge2e.GE2E``, ``nn.wavlm_sv.WavLMSV`` or ``nn.ecapa.ECAPA``.

    Returns:
        -1 to 1, 1 for a clip and itself.
    """
    from f2v_bench.nn.layers.precision import reference_precision

    with reference_precision():
        ours, real = encoder.embed([audio, reference])
    return cosine(ours, real)


def cosine(ours: NDArray[np.float32], real: NDArray[np.float32]) -> float:
    """Cosine of two vectors, in double precision: 1 for equal ones, which unit length in float32 would miss."""
    import numpy as np

    one, other = ours.astype(np.float64), real.astype(np.float64)
    return float(np.clip(one @ other / np.sqrt((one @ one) * (other @ other)), -1, 1))


def load_encoder(name: str, device: str = "cpu") -> Encoder:
    """An encoder of ``ENCODERS`` with its published weights.

    Raises:
        AssetMissing: the weights are not on this machine.
        F2VError: their file is something else.
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

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._name = common.parse_settings(options, self.name, {"encoder": tuple(ENCODERS)})["encoder"]
        try:
            self._weights = require_asset(ENCODERS[self._name].asset)
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @cached_property
    def _encoder(self) -> Encoder:
        return load_encoder(self._name, self.options.device)

    @cached_property  # the file's hash may take seconds
    def signature(self) -> str:
        return common.signature(
            "secs:v1",
            f"encoder:{self._name}-{file_sha256(self._weights)[:12]}",
            ENCODERS[self._name].protocol,
            "reference:same-clip",
            "precision:fp32",
            f"longest:{MAX_SECONDS}s",
            packages=("librosa",) if self._name == "ge2e" else (),
            aggregate="clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.score_valid(batch, self._checked, self._score_checked)

    def _score_checked(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        vectors = self._embedded([wave for sample in batch for wave in _both(sample).values()])
        return common.per_clip(batch, lambda sample: _compared(sample, vectors))

    def _checked(self, sample: Sample) -> Scores:
        """No score yet, but a clip that can be embedded; else a ClipFailure."""
        shortest = ENCODERS[self._name].shortest
        for name, wave in _both(sample).items():
            common.require_sound(wave.samples, name)
            if len(wave.samples) < shortest:
                raise ClipFailure(
                    FailureKind.TOO_SHORT, f"the {name} has {len(wave.samples)} samples, {self._name} needs {shortest}"
                )
            if wave.duration_s > MAX_SECONDS:
                raise ClipFailure(
                    FailureKind.TOO_LONG, f"the {name} lasts {wave.duration_s:.1f} s, more than {MAX_SECONDS} s"
                )
        return Scores({})

    def _embedded(self, waves: Sequence[Waveform]) -> dict[str, NDArray[np.float32]]:
        """The embedding of each waveform by its hash; equal audio is embedded once, whoever it comes from."""
        import numpy as np

        from f2v_bench.nn.layers.precision import reference_precision

        new = {wave.sha256: wave.samples for wave in waves if wave.sha256 not in self._known}
        if new:
            # what overflows leaves its own clip without a score, see _compared
            with reference_precision(), np.errstate(over="ignore", invalid="ignore"):
                self._known.update(zip(new, self._encoder.embed(list(new.values())), strict=True))
        vectors = {wave.sha256: self._known[wave.sha256] for wave in waves}
        while len(self._known) > EMBEDDINGS_KEPT:
            self._known.popitem(last=False)
        return vectors


def _both(sample: Sample) -> dict[str, Waveform]:
    return {"audio": sample.audio, "reference": common.require_reference(sample)}


def _compared(sample: Sample, vectors: Mapping[str, NDArray[np.float32]]) -> Scores:
    """The score of a clip from the embeddings; a ClipFailure where the audio is too loud for a network's float32."""
    import numpy as np

    ours, real = (vectors[wave.sha256] for wave in _both(sample).values())
    for vector, (name, wave) in zip((ours, real), _both(sample).items(), strict=True):
        if not np.isfinite(vector).all():
            peak = np.abs(wave.samples).max()
            raise ClipFailure(
                FailureKind.NOT_FINITE, f"the {name}, with a peak of {peak:.3g}, overflows in the speaker encoder"
            )
    return Scores({"secs": cosine(ours, real)})
