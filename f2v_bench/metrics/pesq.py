"""PESQ, wide and narrow band, against the real speech, computed by the package ``pesq``.

ITU-T P.862.2 (wide band) and P.862.1 (narrow band), superseded by P.863 and kept because papers report it. PESQ aligns
in time by itself and scales both signals by their common peak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, MetricOptions, Need, PerClipMetric, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pesq(audio: NDArray[np.float32], reference: NDArray[np.float32], band: Literal["wb", "nb"]) -> float:
    """Return the perceptual evaluation of speech quality as MOS-LQO.

    Args:
        audio: waveform of the output at 16 kHz, float32 ``(n,)``.
        reference: waveform of the real speech at 16 kHz, float32.
        band: bandwidth, ``wb`` (P.862.2) or ``nb`` (P.862.1).

    Returns:
        MOS-LQO, about 1.04 to 4.64 (wb) or 1.0 to 4.55 (nb).

    Raises:
        ClipFailure: ``no_utterance`` where PESQ finds no speech, ``too_short`` below a quarter of a second,
            ``silent`` where the audio has no energy in the telephone band.
    """
    from pesq import BufferTooShortError, NoUtterancesError
    from pesq import pesq as p862

    try:
        return float(p862(SAMPLE_RATE, reference, audio, band))
    except NoUtterancesError as error:
        raise ClipFailure(FailureKind.NO_UTTERANCE, "PESQ finds no utterance in the reference") from error
    except BufferTooShortError as error:
        raise ClipFailure(FailureKind.TOO_SHORT, f"{len(audio)} samples: PESQ needs a quarter of a second") from error
    except ValueError as error:
        if "NaN" not in str(error):
            raise
        raise ClipFailure(FailureKind.SILENT, "the audio has no energy in the telephone band") from error


class PESQ(PerClipMetric):
    """PESQ wide band (headline) and narrow band."""

    name = "pesq"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        Column(
            "pesq_wb",
            "PESQ-WB",
            "MOS",
            higher_is_better=True,
            lower=1.0,
            upper=4.65,
            definition="PESQ wide band (ITU-T P.862.2), MOS-LQO.",
        ),
        Column(
            "pesq_nb",
            "PESQ-NB",
            "MOS",
            higher_is_better=True,
            lower=1.0,
            upper=4.56,
            headline=False,
            definition="PESQ narrow band (ITU-T P.862 with the P.862.1 mapping), MOS-LQO.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        common.parse_settings(self.options, self.name, {})

    @property
    def signature(self) -> str:
        return common.signature(
            "pesq:v1",
            "rate:16000",
            f"mismatch:{common.MAX_MISMATCH_S * 1000:g}ms-cut",
            packages=("pesq",),
            aggregate="clip-mean",
        )

    def score_clip(self, sample: Sample) -> Scores:
        audio, reference = common.aligned_pair(sample)
        return Scores({"pesq_wb": pesq(audio, reference, "wb"), "pesq_nb": pesq(audio, reference, "nb")})
