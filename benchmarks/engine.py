"""Benchmark of the metrics engine against a plain loop over the packages that define the metrics.

    uv run python -m benchmarks.engine --data-root ../shared/data/grid             # ratio on the CPU
    uv run python -m benchmarks.engine --data-root ../shared/data/grid --device cuda

Both score the same clips, real speech resynthesized by Griffin-Lim, against the real speech, with DNSMOS, RMSE-F0 by
Harvest (the preset of VERSA), STOI and ESTOI, PESQ in both bands, and WER by pocketsphinx. The output has the ratio of
their times and the largest difference of their values; with ``--device``, for DNSMOS and for UTMOS (random weights:
speed does not depend on them), seconds of audio per second and the share of the device's matrix throughput.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from f2v_bench.clip import Clip, Waveform
from f2v_bench.datasets.base import Dataset, DatasetOptions
from f2v_bench.media import clip_audio, read_audio, write_audio
from f2v_bench.metrics.base import Metric, MetricOptions
from f2v_bench.registry import DATASETS, METRICS
from f2v_bench.scoring.cache import ScoreCache
from f2v_bench.scoring.pool import Job, score_jobs
from f2v_bench.scoring.records import ScoreRow
from f2v_bench.scoring.scorer import ScoringItem
from f2v_bench.utils.multiprocessing import setup_numba_cache

RATE = 16_000
METRIC_SETTINGS = {"dnsmos": {}, "rmse_f0": {"preset": "versa"}, "stoi": {}, "pesq": {}, "wer": {"cache": "off"}}
T = TypeVar("T")
Values = dict[tuple[str, str], float]


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="root of GRID; default: the packaged demo corpus")
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", help="measure DNSMOS and UTMOS on this device instead: cpu, cuda, cuda:N")
    args = parser.parse_args()
    setup_numba_cache()
    options = DatasetOptions(root=args.data_root)
    dataset: Dataset = DATASETS.load("grid" if args.data_root else "demo")(options)
    clips = dataset.clips()[: args.clips]
    with tempfile.TemporaryDirectory() as folder:
        items = list(make_items(clips, Path(folder)))
        if args.device:
            measure_device(items, args.device)
        else:
            measure_engine(items, dataset.grammar or "", args.workers, Path(folder))


def make_items(clips: Sequence[Clip], folder: Path) -> Iterator[ScoringItem]:
    """Write the resynthesis of every clip in the format of a run, and yield its items."""
    from f2v_bench.systems.base import SystemOptions
    from f2v_bench.systems.resynthesis import Resynthesis

    system = Resynthesis(SystemOptions())
    for index, clip in enumerate(clips):
        [waveform] = system.synthesize([clip], seed=0)
        if not isinstance(waveform, Waveform):
            raise SystemExit(str(waveform))
        path = folder / f"{index}.flac"
        write_audio(path, waveform)
        yield ScoringItem("resynthesis", clip, path, read_audio(path).sha256, waveform.duration_s)


def measure_engine(items: list[ScoringItem], grammar: str, workers: int, folder: Path) -> None:
    """Measure the plain loop, the engine, and the engine on unchanged audio."""
    metrics = [METRICS.load(name)(MetricOptions("cpu", grammar, s)) for name, s in METRIC_SETTINGS.items()]
    plain, plain_s = timed(lambda: plain_loop(items, grammar))
    rows, engine_s = timed(lambda: score(items, metrics, workers))
    ours = {(row.clip, row.column): row.value for row in rows if row.value is not None}
    with ScoreCache(folder / "scores.sqlite") as cache:
        for metric in metrics:
            cache.store(metric, [row for row in rows if row.metric == metric.name])
        signatures = {metric.name: metric.signature for metric in metrics}
        again, cached_s = timed(
            lambda: [cache.find(metric, signatures[metric.name], one) for metric in metrics for one in items]
        )
    assert all(found is not None for found in again)

    audio_s = sum(item.duration_s for item in items)
    table = Table("", "seconds", "ratio", "audio s/s", title=f"{len(items)} clips, {audio_s:.0f} s of audio")
    for name, seconds in (
        ("plain loop over the packages", plain_s),
        (f"engine, {workers} workers", engine_s),
        ("engine, unchanged audio", cached_s),
    ):
        table.add_row(name, f"{seconds:.2f}", f"{plain_s / seconds:.1f}", f"{audio_s / seconds:.1f}")
    out = Console()
    out.print(table)
    differences = Table("column", "largest difference", "values")
    for column in dict.fromkeys(column for _, column in plain):
        pairs = [(value, ours[clip, name]) for (clip, name), value in plain.items() if name == column]
        differences.add_row(column, f"{max(abs(a - b) for a, b in pairs):.1e}", str(len(pairs)))
    out.print(differences)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a call and its wall time in seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def score(items: list[ScoringItem], metrics: Sequence[Metric], workers: int) -> list[ScoreRow]:
    """Score with the engine, including the start of its workers."""
    jobs = [Job(metric, metric.signature, items) for metric in metrics]
    return [row for answer in score_jobs(jobs, workers) for row in answer.rows]


def plain_loop(items: Sequence[ScoringItem], grammar: str) -> Values:
    """Score one clip after the other with the packages, as in a common evaluation script."""
    import pesq
    import pocketsphinx
    import pystoi
    from speechmos import dnsmos

    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("grammar", grammar)
    decoder.activate_search("grammar")
    values: Values = {}
    for item in items:
        name = item.clip.id
        audio = read_audio(item.audio, RATE).samples
        real = clip_audio(item.clip, RATE).samples
        with contextlib.redirect_stdout(io.StringIO()):
            mos = dnsmos.run(audio, sr=RATE)
        for ours, theirs in (("ovrl", "ovrl_mos"), ("sig", "sig_mos"), ("bak", "bak_mos"), ("p808", "p808_mos")):
            values[name, f"dnsmos_{ours}"] = float(mos[theirs])
        values[name, "f0_rmse_versa"] = harvest_rmse(audio, real)
        values[name, "stoi"] = pystoi.stoi(real, audio, RATE)
        values[name, "estoi"] = pystoi.stoi(real, audio, RATE, extended=True)
        values[name, "pesq_wb"] = pesq.pesq(RATE, real, audio, "wb")
        values[name, "pesq_nb"] = pesq.pesq(RATE, real, audio, "nb")
        values[name, "wer"] = word_error_rate(decoder, audio, item.clip.text or "")
    return values


def harvest_rmse(audio: NDArray[np.float32], real: NDArray[np.float32]) -> float:
    """Return the RMSE of F0 over all frames in Hz, as in VERSA."""
    import pyworld
    from scipy.signal import firwin, lfilter

    taps = firwin(255, 70 / (RATE // 2), pass_zero=False)
    ours, true = (
        pyworld.harvest(lfilter(taps, [1.0], x.astype(np.float64) * 32767), RATE, f0_floor=40, f0_ceil=800)[0]
        for x in (audio, real)
    )
    return float(np.sqrt(np.mean((ours - true) ** 2)))


def word_error_rate(decoder: object, audio: NDArray[np.float32], text: str) -> float:
    """Return the word error rate of pocketsphinx."""
    import jiwer
    import pocketsphinx

    assert isinstance(decoder, pocketsphinx.Decoder)
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw((np.clip(audio, -1, 1) * 32767).astype(np.int16).tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return float(jiwer.wer(text.lower(), hypothesis.hypstr if hypothesis else ""))


def measure_device(items: Sequence[ScoringItem], device: str) -> None:
    """Measure DNSMOS and UTMOS on one device: throughput, and its share of the matrix throughput."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from f2v_bench.assets import require_asset
    from f2v_bench.metrics.dnsmos import dnsmos_torch, load_torch_networks
    from f2v_bench.metrics.utmos import utmos
    from f2v_bench.nn.mos.utmos import UTMOS22Strong

    clips = [read_audio(item.audio, RATE).samples for item in items]
    audio_s = sum(map(len, clips)) / RATE
    networks = load_torch_networks(require_asset("dnsmos-p835"), require_asset("dnsmos-p808"), device=device)
    mos_net = UTMOS22Strong().to(device).eval()
    peak = matrix_throughput(device)
    table = Table("metric", "audio s/s", "TFLOP/s", f"of {peak / 1e12:.2f} TFLOP/s", title=f"{device}, fp32")
    calls: dict[str, Callable[[], object]] = {
        "dnsmos": lambda: dnsmos_torch(clips, networks),
        "utmos (random weights)": lambda: utmos(clips, mos_net, device),
    }
    for name, call in calls.items():
        with FlopCounterMode(display=False) as counter:
            call()  # also the warm-up
        seconds = min(timed(synchronized(call, device))[1] for _ in range(3))
        rate = counter.get_total_flops() / seconds
        table.add_row(name, f"{audio_s / seconds:.1f}", f"{rate / 1e12:.2f}", f"{rate / peak:.0%}")
    Console().print(table)
    if device.startswith("cuda"):
        Console().print(torch.cuda.get_device_name(device))


def synchronized(call: Callable[[], object], device: str) -> Callable[[], None]:
    """Return the call followed by a synchronization of the GPU."""
    import torch

    def call_and_wait() -> None:
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return call_and_wait


def matrix_throughput(device: str) -> float:
    """Return the FLOP/s of a large fp32 matrix product: the upper bound."""
    import torch

    size = 8192 if device.startswith("cuda") else 2048
    matrix = torch.randn(size, size, device=device)
    best = float("inf")
    product = synchronized(lambda: matrix @ matrix, device)
    product()
    for _ in range(4):
        _, seconds = timed(product)
        best = min(best, seconds)
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
