"""f2v-bench: a benchmark for video-to-speech synthesis.

    import f2v_bench

    result = f2v_bench.evaluate(["ground-truth", "ours"], dataset="demo", metrics=["wer", "dnsmos"])
    result.table()

Names are imported on first use: ``import f2v_bench`` loads neither torch nor pandas nor matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from f2v_bench.api import Result, compare, evaluate, load_dataset, load_metric, load_system, score

    __version__: str

__all__ = [
    "Result",
    "__version__",
    "compare",
    "evaluate",
    "load_dataset",
    "load_metric",
    "load_system",
    "score",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("f2v-bench")
    if name in __all__:
        from f2v_bench import api

        return getattr(api, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
