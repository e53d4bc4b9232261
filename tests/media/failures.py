"""Kinds of failures of calls."""

from __future__ import annotations

import pytest

from f2v_bench.errors import ClipFailure, FailureKind


def kind_of(call: object, *args: object) -> FailureKind:
    with pytest.raises(ClipFailure) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.kind
