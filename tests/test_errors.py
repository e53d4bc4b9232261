from __future__ import annotations

import pickle

import pytest

from f2v_bench.errors import ClipFailure, F2VError, FailureKind, suggest, user_error


def test_an_error_has_a_description_and_a_remedy() -> None:
    assert str(F2VError("no root", "name one")) == "no root\n  -> name one"
    assert str(F2VError("no root")) == "no root"


def test_clip_failures_can_be_pickled() -> None:
    failure = pickle.loads(pickle.dumps(ClipFailure(FailureKind.SILENT, "all zero")))
    assert (failure.kind, failure.detail) == (FailureKind.SILENT, "all zero")


def test_errors_can_be_pickled() -> None:
    found = pickle.loads(pickle.dumps(F2VError("no such thing", "use another")))
    assert (found.what, found.do) == ("no such thing", "use another")


def test_a_value_error_becomes_a_user_error() -> None:
    with pytest.raises(F2VError, match="the width 30 is odd") as raised, user_error("choose another"):
        raise ValueError("the width 30 is odd")
    assert raised.value.do == "choose another"
    with pytest.raises(KeyError), user_error(""):
        raise KeyError


@pytest.mark.parametrize(("kind", "again"), [(FailureKind.FILE_MISSING, True), (FailureKind.SILENT, False)])
def test_only_failures_of_the_environment_are_retryable(kind: FailureKind, again: bool) -> None:
    assert kind.is_retryable is again


def test_suggest_puts_the_nearest_name_first() -> None:
    assert suggest("dnsmoss", ["wer", "dnsmos"]) == "did you mean 'dnsmos'? Known: dnsmos, wer."
    assert suggest("x", []) == "Known: none."
