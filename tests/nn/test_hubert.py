from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
import torchaudio
from sklearn.cluster import KMeans

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.nn.checkpoints.torch import load_weights
from f2v_bench.nn.encoders.hubert import HubertUnits, from_fairseq, load_hubert, load_hubert_units
from f2v_bench.nn.encoders.wav2vec2 import TransformerShape, Wav2Vec2, attention_mask, frame_count
from tests.nn.published import chirp, randomized, shapes_of

SMALL = TransformerShape(layers=3, width=32, heads=4, hidden=64, norm_first=False, position_groups=4)
PRE_TRAINING = {
    "label_embs_concat": torch.ones(504, 256),
    "final_proj.weight": torch.ones(256, 768),
    "final_proj.bias": torch.ones(256),
}


def small() -> Any:
    """Build a narrow network of torchaudio with the layout of HuBERT Base."""
    return torchaudio.models.wav2vec2_model(
        extractor_mode="group_norm",
        extractor_conv_layer_config=None,
        extractor_conv_bias=False,
        encoder_embed_dim=SMALL.width,
        encoder_projection_dropout=0.1,
        encoder_pos_conv_kernel=SMALL.position_kernel,
        encoder_pos_conv_groups=SMALL.position_groups,
        encoder_num_layers=SMALL.layers,
        encoder_num_heads=SMALL.heads,
        encoder_attention_dropout=0.1,
        encoder_ff_interm_features=SMALL.hidden,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.1,
        encoder_layer_norm_first=False,
        encoder_layer_drop=0.05,
        aux_num_out=None,
    )


def test_names_and_shapes_are_the_published_ones() -> None:
    """Fairseq's names, which ``Wav2Vec2`` has, become torchaudio's, one for one.

    Wav2Vec2 counts the mask embedding of pre-training (768), which torchaudio's network does without.
    """
    with torch.device("meta"):
        theirs, ours = Wav2Vec2(), torchaudio.models.hubert_base()
    assert sum(p.numel() for p in theirs.parameters()) == 94_371_712
    assert sum(p.numel() for p in ours.parameters()) == 94_371_712 - 768
    kernel = "encoder.transformer.pos_conv_embed.conv."
    expected = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): shape
        for name, shape in shapes_of(ours).items()
    }
    assert {f"{kernel}weight_g", f"{kernel}weight_v"} <= expected.keys()
    mapped = from_fairseq({**theirs.state_dict(), **PRE_TRAINING})
    assert {name: tuple(tensor.shape) for name, tensor in mapped.items()} == expected


@pytest.fixture(scope="module")
def pair() -> tuple[Wav2Vec2, Any]:
    """Two networks with the same weights, under fairseq's names and under torchaudio's."""
    torch.manual_seed(0)
    theirs, ours = Wav2Vec2(SMALL), small()
    randomized(theirs, spread=0.2)
    load_weights(ours, from_fairseq(theirs.state_dict()), Path("small"), "")
    return theirs, ours


@pytest.mark.parametrize("layer", [1, 2, 3])
@torch.inference_mode()
def test_every_layer_equals_that_of_the_other_network(pair: tuple[Wav2Vec2, Any], layer: int) -> None:
    theirs, ours = pair
    wave = chirp(4_321)
    x = theirs.post_extract_proj(theirs.layer_norm(theirs.feature_extractor(wave[None], torch.tensor([len(wave)]))))
    inside = torch.ones(x.shape[:2], dtype=torch.bool)
    x = theirs.encoder.embed_positions(x, inside)
    for block in theirs.encoder.layers[:layer]:
        x = block(x, attention_mask(inside))
    found = HubertUnits(ours, np.ones((2, SMALL.width), np.float32), layer).features(wave.numpy())
    assert found.std() > 0.05
    torch.testing.assert_close(found, x[0], atol=1e-4, rtol=1e-4)


def test_units_are_those_of_the_nearest_center(pair: tuple[Wav2Vec2, Any]) -> None:
    _, ours = pair
    wave = chirp(16_000).numpy()
    features = HubertUnits(ours, np.ones((2, SMALL.width), np.float32), 2).features(wave).numpy()
    centers = np.random.default_rng(0).permutation(features)[:7].copy()
    units = HubertUnits(ours, centers, 2).label(wave)
    assert units.dtype == np.int64
    assert units.shape == (frame_count(16_000),) == (49,)
    distance = np.linalg.norm(features[:, None].astype(float) - centers[None].astype(float), axis=2)
    np.testing.assert_array_equal(units, distance.argmin(1))
    assert len(set(units.tolist())) == 7
    np.testing.assert_array_equal(HubertUnits(ours, centers, 2).label(wave), units)  # no dropout


def test_other_sizes_are_refused(pair: tuple[Wav2Vec2, Any]) -> None:
    _, ours = pair
    with pytest.raises(ValueError, match="centers have 39 dimensions, HuBERT's features 32"):
        HubertUnits(ours, np.ones((2, 39), np.float32))
    centers = np.ones((2, 32), np.float32)
    with pytest.raises(ClipFailure) as short:
        HubertUnits(ours, centers, 3).label(np.zeros(399, np.float32))
    assert short.value.kind == FailureKind.TOO_SHORT
    for layer in (0, 4):
        with pytest.raises(ValueError, match=f"HuBERT has no layer {layer}"):
            HubertUnits(ours, centers, layer)
    assert HubertUnits(ours, centers, 3).label(np.zeros(400, np.float32)).shape == (1,)


def test_both_published_layouts_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: Any) -> None:
    theirs, ours = pair
    monkeypatch.setattr(torchaudio.models, "hubert_base", small)
    settings = {"args": argparse.Namespace(arch="hubert"), "cfg": None, "optimizer_history": []}
    torch.save({**settings, "model": {**theirs.state_dict(), **PRE_TRAINING}}, tmp_path / "hubert_base_ls960.pt")
    torch.save(from_fairseq(theirs.state_dict()), tmp_path / "hubert_fairseq_base_ls960.pth")  # torchaudio's
    torch.save(ours.state_dict(), tmp_path / "saved_anew.pth")  # with newer names of the position kernel
    model = KMeans(4, n_init=1).fit(np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32))
    joblib.dump(model, tmp_path / "km.bin")
    for name in ("hubert_base_ls960.pt", "hubert_fairseq_base_ls960.pth", "saved_anew.pth"):
        units = load_hubert_units(tmp_path / name, tmp_path / "km.bin", "", layer=2)
        assert not units.network.training
        for key, tensor in ours.state_dict().items():
            assert torch.equal(units.network.state_dict()[key], tensor), key
        assert units.label(chirp(8_000).numpy()).shape == (24,)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: Any) -> None:
    monkeypatch.setattr(torchaudio.models, "hubert_base", small)
    state = pair[0].state_dict()
    for change, why in (
        ({"quantizer.vars": torch.ones(1)}, "Unexpected"),
        ({"layer_norm.bias": torch.ones(3)}, "size"),
    ):
        torch.save({"model": {**state, **change}}, tmp_path / "other.pt")
        with pytest.raises(F2VError, match=rf"other\.pt' does not fit Wav2Vec2Model: .*{why}"):
            load_hubert(tmp_path / "other.pt", "")
    torch.save({"model": {"w": torch.ones(1)}}, tmp_path / "other.pt")
    with pytest.raises(F2VError, match="Missing"):
        load_hubert(tmp_path / "other.pt", "")


@pytest.mark.slow
def test_the_whole_network_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = Wav2Vec2()
    torch.save({"model": {**theirs.state_dict(), **PRE_TRAINING}}, tmp_path / "hubert_base_ls960.pt")
    loaded = load_hubert(tmp_path / "hubert_base_ls960.pt", "")
    assert sum(p.numel() for p in loaded.parameters()) == 94_370_944
    assert torch.equal(
        loaded.encoder.transformer.layers[11].attention.q_proj.weight, theirs.encoder.layers[11].self_attn.q_proj.weight
    )
