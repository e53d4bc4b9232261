"""``f2v-bench doctor``: what is installed and found here, what each missing thing disables, and how to get it."""

from __future__ import annotations

from f2v_bench.cli.console import console

#: import name of an optional package: what it enables, how to get it
_OPTIONAL = {
    "whisper": ("wer and cer by Whisper, the protocol's recogniser", "uv sync --extra whisper"),
    "mediapipe": ("face landmarks by MediaPipe instead of the cascade", "uv sync --extra mediapipe"),
    "h5py": ("svts in its published form, at 24 kHz", "uv sync --extra pwg"),
    "espeakng_loader": ("f2v-bench data make-demo", "uv sync --extra demo"),
}


def doctor() -> int:
    """Say what is installed, which assets and corpora are found, what each missing one disables, how to get it."""
    from importlib.util import find_spec

    from rich.table import Table

    from f2v_bench.assets import AssetMissing, all_assets, find_asset
    from f2v_bench.cli.data import where
    from f2v_bench.cli.options import resolve_device
    from f2v_bench.registry import DATASETS, METRICS, SYSTEMS
    from f2v_bench.utils.environment import hardware, versions
    from f2v_bench.utils.paths import asset_folder

    out = console()
    device = resolve_device("auto")
    out.print("machine: " + ", ".join(f"{key} {value}" for key, value in hardware(device).items()), highlight=False)
    out.print("packages: " + ", ".join(f"{k} {v or 'missing'}" for k, v in versions().items()), highlight=False)

    table = Table("what", "state", "what to do", title="what works here", title_justify="left", show_lines=True)
    for name in METRICS.names():
        table.add_row(f"metric {name}", *_metric(name, device))
    for package, (enables, how) in _OPTIONAL.items():
        here = find_spec(package) is not None
        table.add_row(f"package {package}", "installed" if here else f"missing: no {enables}", "" if here else how)
    for name, asset in all_assets().items():
        here = find_asset(name) is not None
        table.add_row(
            f"asset {name}",
            "found" if here else f"missing: no {asset.enables}",
            "" if here else AssetMissing(asset).do,
        )
    for name in DATASETS.names():
        state, _, rest = where(name).partition(": ")
        table.add_row(
            f"corpus {name}", f"found at {rest}" if state == "yes" else "missing", "" if state == "yes" else rest
        )
    out.print(table)
    out.print(f"systems: {', '.join(SYSTEMS.names())}; assets are looked for in {asset_folder()}", highlight=False)
    return 0


def _metric(name: str, device: str) -> tuple[str, str]:
    """State of a metric, and what to do about it."""
    from f2v_bench.datasets.grid_sentences import JSGF
    from f2v_bench.errors import F2VError
    from f2v_bench.metrics.base import MetricOptions, MetricUnavailable
    from f2v_bench.registry import METRICS

    try:
        kind = METRICS.load(name)
        kind(MetricOptions(device))
    except MetricUnavailable as gone:
        try:
            kind(MetricOptions(device, grammar=JSGF))
        except MetricUnavailable:
            return f"unavailable: {gone.why}", gone.do
        return "works for corpora with a closed grammar alone (demo, grid)", f"for open speech: {gone.do}"
    except F2VError as error:
        return error.what, error.do
    return "works", ""
