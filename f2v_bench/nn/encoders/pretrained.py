"""Identity encoders, ArcFace for faces and GE2E for voices, loaded once per process and device."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from f2v_bench.assets import get_asset, require_asset

if TYPE_CHECKING:
    from f2v_bench.nn.encoders.arcface import IResNet50
    from f2v_bench.nn.encoders.ge2e import GE2E


@cache
def arcface(device: str = "cpu") -> IResNet50:
    """Load ArcFace with the published weights.

    Raises:
        AssetMissing: the weights are not on this machine.
    """
    from f2v_bench.nn.encoders.arcface import load_arcface

    name = "arcface-iresnet50"
    return load_arcface(require_asset(name), get_asset(name).instructions, device)


@cache
def speaker_encoder() -> GE2E:
    """Load GE2E with Resemblyzer's weights.

    Raises:
        AssetMissing: the weights are not on this machine.
    """
    from f2v_bench.nn.encoders.ge2e import load_ge2e

    return load_ge2e(require_asset("ge2e"), get_asset("ge2e").instructions)
