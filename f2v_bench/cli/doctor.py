"""``f2v-bench doctor``: state of metrics, packages, assets and corpora on this machine."""

from __future__ import annotations

from f2v_bench.cli.console import console

#: import name of an optional package: its use, the command that installs it
_OPTIONAL = {
    "whisper": ("wer and cer by Whisper, the recognizer of the protocol", "uv sync --extra whisper"),
    "mediapipe": ("face landmarks by MediaPipe instead of the cascade", "uv sync --extra mediapipe"),
    "h5py": ("svts in its published form, at 24 kHz", "uv sync --extra pwg"),
    "espeakng_loader": ("f2v-bench data make-demo", "uv sync --extra demo"),
}


def doctor() -> int:
    """Print what is installed and found on this machine, what each missing part disables, and how to get it."""
    from importlib.util import find_spec

    from rich.table import Table

    from f2v_bench.assets import AssetMissing, all_assets, find_asset
    from f2v_bench.cli.data import find_corpus
    from f2v_bench.registry import DATASETS, METRICS, SYSTEMS
    from f2v_bench.runs.build import resolve_device
    from f2v_bench.utils.environment import hardware, versions
    from f2v_bench.utils.paths import asset_folder

    out = console()
    device = resolve_device("auto")
    out.print("machine: " + ", ".join(f"{key} {value}" for key, value in hardware(device).items()), highlight=False)
    out.print("packages: " + ", ".join(f"{k} {v or 'missing'}" for k, v in versions().items()), highlight=False)

    table = Table("part", "state", "what to do", title="state of this machine", title_justify="left", show_lines=True)
    for name in METRICS.names():
        table.add_row(f"metric {name}", *_metric(name, device))
    for package, (enables, command) in _OPTIONAL.items():
        here = find_spec(package) is not None
        table.add_row(f"package {package}", "installed" if here else f"missing: no {enables}", "" if here else command)
    for name, asset in all_assets().items():
        here = find_asset(name) is not None
        table.add_row(
            f"asset {name}",
            "found" if here else f"missing: no {asset.enables}",
            "" if here else AssetMissing(asset).do,
        )
    for name in DATASETS.names():
        state, _, rest = find_corpus(name).partition(": ")
        table.add_row(
            f"corpus {name}", f"found at {rest}" if state == "yes" else "missing", "" if state == "yes" else rest
        )
    out.print(table)
    out.print(f"systems: {', '.join(SYSTEMS.names())}; assets are searched in {asset_folder()}", highlight=False)
    return 0


def _metric(name: str, device: str) -> tuple[str, str]:
    """Return the state of a metric, and what to do about it."""
    from f2v_bench.datasets.grid_sentences import JSGF
    from f2v_bench.errors import F2VError
    from f2v_bench.metrics.base import MetricUnavailable
    from f2v_bench.runs.build import load_metric

    try:
        load_metric(name, None, device, {})
    except MetricUnavailable as error:
        try:
            load_metric(name, JSGF, device, {})
        except MetricUnavailable:
            return f"unavailable: {error.why}", error.do
        return "works only for corpora with a closed grammar (demo, grid)", f"for open speech: {error.do}"
    except F2VError as error:
        return error.what, error.do
    return "works", ""
