"""One score as the run folder stores it: long form, a row per system, clip and column."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from f2v_bench.errors import FailureKind

OK = "ok"
RowKey = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One value of one clip, or the reason why there is none.

    Attributes:
        system: label of the system in this run.
        clip: clip id.
        metric: the metric that was asked.
        column: which of its values.
        value: None where ``status`` is not ``ok``.
        weight: what the column's aggregate weighs the value with.
        status: ``ok`` or a FailureKind.
        detail: JSON of what a person wants to see beside the number, on the metric's first column only.
        signature: the metric's signature.
        inputs: hashes of what was scored: the waveform, and the transcript or the reference where the metric needs it.
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

    @property
    def key(self) -> RowKey:
        """What may exist once: the same inputs, under the same signature, for the same system, clip and column."""
        return self.system, self.clip, self.column, self.signature, self.inputs

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_done(status: str) -> bool:
    """Whether a status stands, so that a resumed run leaves the clip alone."""
    return status == OK or not FailureKind(status).is_retryable
