"""Score records of the run folder, in long form, and the spelling of their names in earlier versions."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from f2v_bench.errors import FailureKind

OK = "ok"
RowKey = tuple[str, str, str, str, str]

# Earlier versions used British spelling in parts of these signatures, columns and details.
_SIGNATURE_S = re.compile(r"^(wer:.*\|normali|secs:.*\|gain:standardi|dnsmos:.*\|p835:personali)s")
_SIGNATURE_Z = re.compile(r"^(wer:.*\|normali|secs:.*\|gain:standardi|dnsmos:.*\|p835:personali)z")
_SIGNATURE_RE = re.compile(r"^(rmse_f0:amphion\|.*\|)cent(?:re):")
_SIGNATURE_ER = re.compile(r"^(rmse_f0:amphion\|.*\|)center:")
_COLUMN = re.compile(r"^(energy_rmse|mel_l1)_centr(?:ed)$")
_DETAIL = re.compile(r'"(recogni|hypothesis_normali|reference_normali)s(er|ed)": ')


@lru_cache(maxsize=1024)
def canonical_signature(signature: str) -> str:
    """Return a metric's signature in present spelling: signatures of earlier versions compare equal afterwards."""
    return _SIGNATURE_RE.sub(r"\1center:", _SIGNATURE_S.sub(r"\1z", signature))


@lru_cache(maxsize=1024)
def earlier_signature(signature: str) -> str:
    """Return a metric's signature as earlier versions spelled it, to find what they cached."""
    return _SIGNATURE_ER.sub(lambda match: match[1] + "centre" + ":", _SIGNATURE_Z.sub(r"\1s", signature))


@lru_cache(maxsize=1024)
def canonical_column(name: str) -> str:
    """Return a column name in present spelling."""
    return _COLUMN.sub(r"\1_centered", name)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One value of one clip, or the reason why there is none.

    Names in the spelling of earlier versions are converted to the present one.

    Attributes:
        system: label of the system in this run.
        clip: clip id.
        metric: metric name.
        column: column name.
        value: value, or None where ``status`` is not ``ok``.
        weight: weight of the value in the aggregate of the column.
        status: ``ok`` or a FailureKind.
        detail: JSON of additional information for readers, on the first column of the metric only.
        signature: signature of the metric.
        inputs: hashes of the scored data: the waveform, and the transcript or the reference where the metric needs it.
    """

    system: str
    clip: str
    metric: str
    column: str
    value: float | None
    weight: float
    status: str
    detail: str
    signature: str
    inputs: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", canonical_column(self.column))
        object.__setattr__(self, "signature", canonical_signature(self.signature))
        object.__setattr__(self, "detail", _DETAIL.sub(r'"\1z\2": ', self.detail))

    @property
    def key(self) -> RowKey:
        """Unique key: system, clip, column, signature and inputs."""
        return self.system, self.clip, self.column, self.signature, self.inputs

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def is_done(status: str) -> bool:
    """Return True for a final status: a resumed run does not score the clip again."""
    return status == OK or not FailureKind(status).is_retryable
