"""Public Parallel WaveGANs of kan-bayashi's collection, read from the published archives.

An archive contains ``checkpoint-<N>steps.pkl``, a file of ``torch.save`` with ``{"model": {"generator": ...}}``, and
mean and standard deviation of mels in ``stats.h5``, unless the checkpoint has them itself. Weight norm's ``weight_g``
and ``weight_v`` are folded on loading.
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


def load_parallel_wavegan(path: Path, instructions: str) -> ParallelWaveGAN:
    """Load the generator of a public archive, for inference.

    Args:
        path: published archive, ``.tar.gz``.
        instructions: hint for the error message, on getting the file.

    Raises:
        F2VError: another file, other sizes, or h5py is missing.
    """
    with TemporaryDirectory() as folder:
        checkpoint, stats = _unpack(path, Path(folder), instructions)
        state = _generator_state(read_checkpoint(checkpoint, instructions))
        if stats is not None:
            state |= _read_statistics(stats, path, instructions)
    generator = ParallelWaveGAN()
    load_weights(generator, fold_weights(state), path, instructions)
    return generator


def check_archive(path: Path, instructions: str) -> None:
    """Check, before long work, that an archive can be read here.

    Raises:
        F2VError: no archive with a checkpoint, or h5py is missing.
    """
    with _open(path, instructions) as archive:
        members = _find_members(archive, path, instructions)
    if _STATS in members and find_spec("h5py") is None:
        raise F2VError(f"the statistics '{_STATS}' in '{path}' need the package h5py", _GET_READER)


def fold_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Fold weight norm into plain weights, ``weight`` = ``weight_g`` ``weight_v`` / |``weight_v``|."""
    plain = {name: one for name, one in state.items() if not name.endswith((".weight_g", ".weight_v"))}
    for name, direction in state.items():
        length = state.get(f"{name.removesuffix('_v')}_g")
        if name.endswith(".weight_v") and length is not None:
            norm = direction.flatten(1).norm(dim=1).view(length.shape)
            plain[name.removesuffix("_v")] = length * direction / norm
    return plain


def _open(path: Path, instructions: str) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except _UNREADABLE as error:
        raise F2VError(f"'{path}' cannot be read as an archive: {error}", instructions) from error


def _find_members(archive: tarfile.TarFile, path: Path, instructions: str) -> dict[str, tarfile.TarInfo]:
    """Find the checkpoint of the most steps as ``checkpoint``, and ``stats.h5`` where present, in any folder."""
    try:
        files = {Path(member.name).name: member for member in archive.getmembers() if member.isreg()}
    except _UNREADABLE as error:
        raise F2VError(f"'{path}' cannot be read as an archive: {error}", instructions) from error
    steps = sorted((name for name in files if fnmatch(name, "checkpoint*.pkl")), key=lambda name: (len(name), name))
    if not steps:
        raise F2VError(f"'{path}' contains no checkpoint*.pkl", instructions)
    return {"checkpoint": files[steps[-1]]} | {name: files[name] for name in (_STATS,) if name in files}


def _unpack(path: Path, folder: Path, instructions: str) -> tuple[Path, Path | None]:
    """Extract checkpoint and statistics of an archive to a folder."""
    with _open(path, instructions) as archive:
        members = _find_members(archive, path, instructions)
        for name, member in members.items():
            content = archive.extractfile(member)
            assert content is not None  # regular files alone
            (folder / name).write_bytes(content.read())
    return folder / "checkpoint", folder / _STATS if _STATS in members else None


def _generator_state(content: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint's generator; none for another kind of checkpoint."""
    for part in ("model", "generator"):
        content = content.get(part) if isinstance(content, dict) else None
    state = content if isinstance(content, dict) else {}
    return {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}


def _read_statistics(file: Path, path: Path, instructions: str) -> dict[str, torch.Tensor]:
    """Read ``mean`` and ``scale``, float32 ``(80,)`` each."""
    try:
        import h5py
    except ImportError as error:
        raise F2VError(f"the statistics '{_STATS}' in '{path}' need the package h5py", _GET_READER) from error
    try:
        with h5py.File(file, "r") as opened:
            return {name: torch.from_numpy(np.ravel(opened[name][()])).float() for name in ("mean", "scale")}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise F2VError(f"'{_STATS}' in '{path}' cannot be read: {error}", instructions) from error
