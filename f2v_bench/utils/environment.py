"""Versions and hardware of this machine, written beside every result."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "f2v-bench",
    "av",
    "espeakng-loader",
    "h5py",
    "jiwer",
    "librosa",
    "mediapipe",
    "numpy",
    "onnx",
    "onnxruntime",
    "openai-whisper",
    "opencv-python-headless",
    "pesq",
    "pocketsphinx",
    "pysptk",
    "pystoi",
    "pyworld",
    "resemblyzer",
    "scipy",
    "soundfile",
    "soxr",
    "speechmos",
    "torch",
    "torchaudio",
    "torchdiffeq",
)


def package_version(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of every package that can change a score."""
    return {"python": platform.python_version(), **{name: package_version(name) for name in _PACKAGES}}


def hardware(device: str) -> dict[str, Any]:
    """Return processor, cores, memory (GiB), and the accelerator when one is used."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "device": device,
    }
    if device.startswith("cuda"):
        import torch

        found["accelerator"] = torch.cuda.get_device_name(device)
    return found


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    return None
