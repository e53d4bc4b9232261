from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from f2v_bench.assets import shared_weights
from f2v_bench.modeling.shared_config import TINY
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.nn.encoders.arcface import IResNet50
from f2v_bench.nn.encoders.avhubert import AVHuBERT
from f2v_bench.nn.encoders.ecapa import ECAPA
from f2v_bench.nn.encoders.ge2e import GE2E
from f2v_bench.nn.encoders.lip_encoder import LipEncoder
from f2v_bench.nn.encoders.syncnet import SyncNet
from f2v_bench.nn.encoders.wavlm_sv import WavLMSV
from f2v_bench.nn.layers.conformer import Conformer, ConformerConfig
from f2v_bench.nn.mos.dnsmos import P808, P835
from f2v_bench.nn.mos.utmos import UTMOS22Strong
from f2v_bench.nn.vocoders.build import build_vocoder
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.discriminators import Discriminators
from f2v_bench.nn.vocoders.hifigan import HiFiGAN
from f2v_bench.nn.vocoders.parallel_wavegan import ParallelWaveGAN

#: names of format 1 and present names
EXAMPLES = {
    "model.conformer.blocks.0.after.layers.3.weight": "model.conformer.blocks.0.ffn2.layers.3.weight",
    "model.conformer.blocks.0.attention.bias_place": "model.conformer.blocks.0.attention.bias_position",
    "model.conformer.blocks.0.attention.place.weight": "model.conformer.blocks.0.attention.position.weight",
    "model.conformer.blocks.11.before.layers.0.bias": "model.conformer.blocks.11.ffn1.layers.0.bias",
    "model.conformer.blocks.0.convolution.enter.weight": "model.conformer.blocks.0.convolution.in_proj.weight",
    "model.conformer.blocks.0.convolution.leave.bias": "model.conformer.blocks.0.convolution.out_proj.bias",
    "model.conformer.enter.weight": "model.conformer.in_proj.weight",
    "model.leave.bias": "model.out_proj.bias",
    "leave.bias": "out_proj.bias",
    "model.denoiser.blocks.2.feed_norm.weight": "model.denoiser.blocks.2.ffn_norm.weight",
    "model.denoiser.blocks.2.feed.rise.weight": "model.denoiser.blocks.2.ffn.fc1.weight",
    "model.denoiser.blocks.2.feed.fall.bias": "model.denoiser.blocks.2.ffn.fc2.bias",
    "model.front.layers.share": "model.front.layers.layer_weights",
    "lips.hidden": "lips.mask_embedding",
    "model.flow.decoder.descent.0.convolutions.1.scale": "model.flow.decoder.down.0.convolutions.1.scale",
    "model.flow.decoder.bottom.transformers.0.feed_norm.bias": "model.flow.decoder.mid.transformers.0.ffn_norm.bias",
    "model.flow.decoder.ascent.1.convolutions.0.scale": "model.flow.decoder.up.1.convolutions.0.scale",
    "model.prosody.mix.weight": "model.prosody.fuse_proj.weight",
    "model.prosody.place.0.weight": "model.prosody.place.0.weight",
    "lips.front_end.stages.0.conv1.weight": "lips.front_end.stages.0.conv1.weight",
}  # fmt: skip


def test_earlier_names_become_present_ones() -> None:
    state = {name: torch.tensor(at) for at, name in enumerate(EXAMPLES)}
    renamed = rename_keys(state, LAYER_KEYS)
    assert list(renamed) == list(EXAMPLES.values())
    assert all(renamed[new] is state[old] for old, new in EXAMPLES.items())
    assert list(rename_keys(renamed, LAYER_KEYS)) == list(renamed)


def test_patterns_apply_in_order() -> None:
    state = {"a.weight": torch.zeros(1), "c.weight": torch.ones(1)}
    assert list(rename_keys(state, [(r"^a\.", "b."), (r"^b\.", "d.")])) == ["d.weight", "c.weight"]
    with pytest.raises(ValueError, match=r"two keys that become 'c\.weight'"):
        rename_keys(state, [(r"^a\.", "c.")])


def networks() -> list[nn.Module]:
    with torch.device("meta"):
        return [
            *(AVHuBERT(), IResNet50(), ECAPA(), GE2E(), SyncNet(), WavLMSV(), UTMOS22Strong(), P835(), P808()),
            *(HiFiGAN(VocoderConfig()), Discriminators(VocoderConfig(resolutions=(512,))), ParallelWaveGAN()),
            *(LipEncoder(TINY.lips), Conformer(80, ConformerConfig())),
        ]


@pytest.mark.parametrize("network", networks(), ids=lambda network: type(network).__name__)
def test_published_and_present_names_stay(network: nn.Module) -> None:
    state = network.state_dict()
    assert list(rename_keys(state, LAYER_KEYS)) == list(state)


@pytest.mark.parametrize("name", ["demo-tiny", "grid-s1-tiny"])
def test_shared_weights_load_bit_equal(name: str) -> None:
    path = shared_weights(name)
    if path is None:
        pytest.skip(f"no package with the shared weights '{name}'")
    for prefix, network in (("lips.", LipEncoder(TINY.lips)), ("vocoder.", build_vocoder(TINY.vocoder))):
        state = part(path, prefix)
        network.load_state_dict(rename_keys(state, LAYER_KEYS))
        for loaded, tensor in zip(network.state_dict().values(), ordered(state, network), strict=True):
            assert torch.equal(loaded, tensor.to(loaded.dtype))


def part(path: Path, prefix: str) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name.removeprefix(prefix): file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118


def ordered(state: dict[str, torch.Tensor], network: nn.Module) -> list[torch.Tensor]:
    renamed = rename_keys(state, LAYER_KEYS)
    return [renamed[name] for name in network.state_dict()]
