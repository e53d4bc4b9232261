"""Conversion of command-line texts to values."""

from __future__ import annotations

from collections.abc import Sequence

from f2v_bench.errors import F2VError


def parse_settings(texts: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """Parse ``NAME.OPTION=VALUE`` texts into options by metric or system label.

    Raises:
        F2VError: a text of another form.
    """
    settings: dict[str, dict[str, str]] = {}
    for text in texts or []:
        path, equals, value = text.partition("=")
        name, dot, option = path.rpartition(".")
        if not (equals and dot and option):
            raise F2VError(f"--set {text!r} is not NAME.OPTION=VALUE", "for example --set dnsmos.compat=all-segments")
        settings.setdefault(name, {})[option] = value
    return settings


def parse_options(texts: Sequence[str] | None) -> dict[str, str]:
    """Parse ``NAME=VALUE`` texts.

    Raises:
        F2VError: a text of another form.
    """
    options = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise F2VError(f"--set {text!r} is not NAME=VALUE", "for example --set steps=10")
        options[name] = value
    return options
