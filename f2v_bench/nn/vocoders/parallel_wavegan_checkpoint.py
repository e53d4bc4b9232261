"""Public Parallel WaveGANs of kan-bayashi's collection, read from the archives as they are published.

An archive holds ``checkpoint-<N>steps.pkl``, what ``torch.save`` made of ``{"model": {"generator": ...}}``, and mean
and deviation of mels in ``stats.h5``, unless the checkpoint has them itself. Weight norm's ``weight_g`` and
``weight_v`` are folded on loading.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint
from f2v_bench.nn.vocoders.parallel_wavegan import ParallelWaveGAN

_STATS = "stats.h5"
_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError)
_GET_READER = "install h5py: uv sync --extra pwg"


def load_parallel_wavegan(path: Path, get_again: str) -> ParallelWaveGAN:
    """The generator of a public archive, ready for inference.

    Args:
        path: the archive as it is published, ``.tar.gz``.
        get_again: how a person gets a sound copy, for the error message.

    Raises:
        F2VError: another file, other sizes, or h5py is missing.
    """
    with TemporaryDirectory() as folder:
        checkpoint, stats = _unpacked(path, Path(folder), get_again)
        state = _generator_of(read_checkpoint(checkpoint, get_again))
        if stats is not None:
            state |= _statistics(stats, path, get_again)
    generator = ParallelWaveGAN()
    load_weights(generator, folded(state), path, get_again)
    return generator


def check_archive(path: Path, get_again: str) -> None:
    """Refuse, before the long work, an archive that cannot be read here.

    Raises:
        F2VError: no archive of a checkpoint, or h5py is missing.
    """
    with _opened(path, get_again) as archive:
        members = _members(archive, path, get_again)
    if _STATS in members and find_spec("h5py") is None:
        raise F2VError(f"the statistics '{_STATS}' in '{path}' need the package h5py, which is not here", _GET_READER)


def folded(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights without weight norm: ``weight`` = ``weight_g`` ``weight_v`` / |``weight_v``|; others stay as they are."""
    plain = {name: one for name, one in state.items() if not name.endswith((".weight_g", ".weight_v"))}
    for name, direction in state.items():
        length = state.get(f"{name.removesuffix('_v')}_g")
        if name.endswith(".weight_v") and length is not None:
            norm = direction.flatten(1).norm(dim=1).view(length.shape)
            plain[name.removesuffix("_v")] = length * direction / norm
    return plain


def _opened(path: Path, get_again: str) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except _UNREADABLE as error:
        raise F2VError(f"'{path}' cannot be read as an archive: {error}", get_again) from error


def _members(archive: tarfile.TarFile, path: Path, get_again: str) -> dict[str, tarfile.TarInfo]:
    """The checkpoint of the most steps as ``checkpoint``, and ``stats.h5`` where it is there, in whatever folder."""
    try:
        files = {Path(member.name).name: member for member in archive.getmembers() if member.isreg()}
    except _UNREADABLE as error:
        raise F2VError(f"'{path}' cannot be read as an archive: {error}", get_again) from error
    steps = sorted((name for name in files if fnmatch(name, "checkpoint*.pkl")), key=lambda name: (len(name), name))
    if not steps:
        raise F2VError(f"'{path}' holds no checkpoint*.pkl", get_again)
    return {"checkpoint": files[steps[-1]]} | {name: files[name] for name in (_STATS,) if name in files}


def _unpacked(path: Path, folder: Path, get_again: str) -> tuple[Path, Path | None]:
    """Checkpoint and statistics of an archive as files of a folder."""
    with _opened(path, get_again) as archive:
        members = _members(archive, path, get_again)
        for name, member in members.items():
            content = archive.extractfile(member)
            assert content is not None  # regular files alone
            (folder / name).write_bytes(content.read())
    return folder / "checkpoint", folder / _STATS if _STATS in members else None


def _generator_of(content: Any) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint's generator; none where it is another kind of checkpoint."""
    for part in ("model", "generator"):
        content = content.get(part) if isinstance(content, dict) else None
    found = content if isinstance(content, dict) else {}
    return {name: one for name, one in found.items() if isinstance(one, torch.Tensor)}


def _statistics(file: Path, path: Path, get_again: str) -> dict[str, torch.Tensor]:
    """``mean`` and ``scale``, float32 ``(80,)`` each."""
    try:
        import h5py
    except ImportError as error:
        raise F2VError(f"the statistics '{_STATS}' in '{path}' need the package h5py", _GET_READER) from error
    try:
        with h5py.File(file, "r") as opened:
            return {name: torch.from_numpy(np.ravel(opened[name][()])).float() for name in ("mean", "scale")}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise F2VError(f"'{_STATS}' in '{path}' cannot be read: {error}", get_again) from error
