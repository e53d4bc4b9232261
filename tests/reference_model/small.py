"""Reference model small enough for tests, with batches, crops and weight files for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from f2v_bench.face.records import FaceCrops
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.checkpoint import TrainingInfo, save_checkpoint
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.encoders.lip_encoder import LipEncoder, LipEncoderConfig
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.vocoders.build import build_vocoder
from f2v_bench.nn.vocoders.config import VocoderConfig
from reference_model.ablations import FlatFacesToVoices, model_class
from reference_model.config import (
    Ablation,
    ConditionConfig,
    ContentConfig,
    FacesToVoicesConfig,
    FlowConfig,
    ProsodyConfig,
    TimbreConfig,
)
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.spec import SPEC
from tests.nn.test_transformer import awake, seeded

UNITS = 10
ABLATIONS: tuple[Ablation, ...] = ("none", "hierarchy", "timbre", "prosody")
STATISTICS = DataStatistics(mel=(-5.0, 2.0), pitch=(5.0, 0.3), energy=(1.5, 0.8))
SMALL = FacesToVoicesConfig(
    preset="small",
    lips=LipEncoderConfig(field=64, size=16, channels=(4, 4, 4, 4), width=8, layers=1, heads=2, kernel=3),
    units=UnitConfig(count=UNITS),
    content=ContentConfig(width=16, blocks=2, kernel=5),
    timbre=TimbreConfig(channels=(4, 4, 8, 8), frames=2),
    prosody=ProsodyConfig(channels=(4, 4, 4), width=8, blocks=1, kernel=3),
    condition=ConditionConfig(blocks=1, kernel=3),
    flow=FlowConfig(width=16, heads=2, steps=2, guidance=1.5),
    vocoder=VocoderConfig(
        generator="istft", width=8, blocks=1, hidden=8, n_fft=320, adversarial_from=-1, spectral_sizes=(320,)
    ),
)
FACTS = TrainingInfo("small", "demo", "demo/train", 6, 0.01, {"main": {"steps": 3, "seconds": 1.0}}, "none", 0, "MIT")


def small(
    ablate: Ablation = "none", statistics: DataStatistics = STATISTICS, seed: int = 0, **flow: Any
) -> FacesToVoices:
    """Build a model with random numbers in all weights, ready for inference."""
    return awake(FacesToVoices(small_config(ablate, **flow), statistics), seed)


def small_flat(statistics: DataStatistics = STATISTICS, seed: int = 0, **flow: Any) -> FlatFacesToVoices:
    """Build the ablation without hierarchy as ``small`` builds the others."""
    return awake(FlatFacesToVoices(small_config("hierarchy", **flow), statistics), seed)


def small_any(ablate: Ablation, seed: int = 0, **flow: Any) -> FacesToVoices | FlatFacesToVoices:
    """Build the model of any ablation."""
    return awake(model_class(ablate)(small_config(ablate, **flow), STATISTICS), seed)


def small_config(ablate: Ablation = "none", **flow: Any) -> FacesToVoicesConfig:
    """Return the settings of ``small``."""
    return replace(SMALL, ablate=ablate, flow=replace(SMALL.flow, **flow))


def batch_of(lengths: Sequence[int], beyond: int = 0, seed: int = 0) -> Batch:
    """Build a batch of the main stage; the padding holds random numbers, not zeros."""
    rng, longest, count = seeded(seed), max(lengths) + beyond, len(lengths)
    layers, channels = SMALL.lips.outputs

    def pixels(*shape: int) -> torch.Tensor:
        return torch.randint(256, shape, dtype=torch.uint8, generator=rng)

    voiced = torch.rand(count, 4 * longest, generator=rng) < 0.6
    return {
        "mask": valid_mask(torch.tensor(lengths), longest),
        "features": torch.randn(count, longest, layers, channels, generator=rng),
        "face": pixels(count, longest, 56, 56),
        "identity": pixels(count, 2, 112, 112, 3),
        "units": torch.randint(UNITS, (count, 2 * longest), generator=rng),
        "mel": STATISTICS.mel[0] + STATISTICS.mel[1] * torch.randn(count, 4 * longest, 80, generator=rng),
        "f0": voiced * (STATISTICS.pitch[0] + STATISTICS.pitch[1] * torch.randn(voiced.shape, generator=rng)).exp(),
        "energy": STATISTICS.energy[0] + STATISTICS.energy[1] * torch.randn(voiced.shape, generator=rng),
        "speaker": functional.normalize(torch.rand(count, 256, generator=rng), dim=1),
        "pitch_stats": torch.randn(count, 2, generator=rng) * 0.1 + torch.tensor([0.0, 1.0]),
        "person": torch.arange(count),
    }


def alone(batch: Batch, clip: int) -> Batch:
    """Return one clip of a batch, without padding."""
    real, longest = int(batch["mask"][clip].sum()), batch["mask"].shape[1]
    out = {}
    for name, tensor in batch.items():
        one = tensor[clip : clip + 1]
        whole = name in ("identity", "speaker", "pitch_stats", "person", "voice")
        out[name] = one if whole else one[:, : real * (one.shape[1] // longest)]
    return out


def crops_of(frames: int, seed: int = 0) -> FaceCrops:
    """Return noise in the shape of face crops."""
    rng = np.random.default_rng(seed)

    def pixels(*shape: int) -> NDArray[np.uint8]:
        return rng.integers(256, size=shape, dtype=np.uint8)

    return FaceCrops(
        lips=pixels(frames, 96, 96),
        face=pixels(frames, 112, 112, 3),
        boxes=np.zeros((frames, 4), np.float32),
        points=np.zeros((frames, 5, 2), np.float32),
        visible=np.ones(frames, np.bool_),
        detector="cascade",
    )


def save_small(
    path: Path, config: FacesToVoicesConfig = SMALL, facts: TrainingInfo = FACTS, *, vocoder: bool = True, seed: int = 0
) -> Path:
    """Write a weight file with random weights; the vocoder's stay as initialized, so that its output is not clipped."""
    save_checkpoint(
        path,
        SPEC,
        config=config,
        statistics=asdict(STATISTICS),
        facts=facts,
        model=awake(model_class(config.ablate)(config, STATISTICS), seed).state_dict(),
        lips=awake(LipEncoder(config.lips), seed + 1).state_dict(),
        vocoder=small_vocoder(config, seed).state_dict() if vocoder else None,
    )
    return path


#: parameter names of this version and the one before, in the order in which they are replaced
EARLIER_NAMES = (
    ("decoder.flow.velocity_net.", "flow.decoder."),
    ("decoder.contour_embedding.conv.", "prosody.embed."),
    ("decoder.", ""),
    ("audio_frontend.", "hearing."),
    ("null_speaker", "nobody"),
    ("prosody.pitch_stats.", "prosody.place."),
    ("mel_encoder.", "fine."),
    (".downsample.", ".downs."),
    ("flow.decoder.upsample.", "flow.decoder.ups."),
    (".skip.", ".keep."),
    (".conv_in.", ".near."),
    (".in_proj.", ".enter."),
    (".out_proj.", ".leave."),
    ("ffn.fc1.", "feed.rise."),
    ("ffn.fc2.", "feed.fall."),
    ("ffn_norm.", "feed_norm."),
    ("fuse_proj.", "mix."),
    ("layer_weights", "share"),
    ("mask_embedding", "hidden"),
    (".down.", ".descent."),
    (".mid.", ".bottom."),
    (".up.", ".ascent."),
)


def earlier_name(name: str) -> str:
    """Return the name of a parameter of the reference model in weight files of format 1."""
    for now, earlier in EARLIER_NAMES:
        prefix = now if now.startswith(("decoder.", "audio_frontend.", "mel_encoder.", "flow.")) else None
        if prefix is None:
            name = name.replace(now, earlier)
        elif name.startswith(prefix):
            name = earlier + name.removeprefix(prefix)
    return name


def small_vocoder(config: FacesToVoicesConfig = SMALL, seed: int = 0) -> nn.Module:
    """Build the vocoder of ``save_small``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_vocoder(config.vocoder)


def small_lips(config: FacesToVoicesConfig = SMALL, seed: int = 1) -> FrozenLipEncoder:
    """Build the lip encoder of ``save_small``."""
    return FrozenLipEncoder(config.lips, awake(LipEncoder(config.lips), seed).state_dict())
